"""What became of one attempt to deliver a message."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """``result`` in one line, cleaned, without secrets. ``gone``: the other side wants no more."""

    delivered: bool
    result: str
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together. ``foreign``: they hold what a server said."""

    lines: tuple[str, ...]
    title: str = ""
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What an alarm says in its reader's language; ``url`` leads to what it is about, or is ""."""

    subject: str
    paragraphs: tuple[Paragraph, ...]
    url: str = ""

    @property
    def text(self) -> str:
        """The whole message as plain text."""
        return "\n\n".join(
            "\n".join((*([f"{one.title}:"] if one.title else []), *one.lines))
            for one in self.paragraphs
        )
