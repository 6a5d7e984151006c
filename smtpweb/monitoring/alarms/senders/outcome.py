"""What is sent, and what became of one attempt to deliver it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """``result`` in one line, cleaned, without secrets.

    ``gone``: the other side wants no more. ``ours``: it failed before the channel could.
    """

    delivered: bool
    result: str
    gone: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together. ``foreign``: they hold what a server said."""

    lines: tuple[str, ...]
    title: str = ""
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What an alarm says in its reader's language, in one line and in paragraphs."""

    subject: str
    paragraphs: tuple[Paragraph, ...]

    @property
    def text(self) -> str:
        """The whole message as plain text."""
        return "\n\n".join(
            "\n".join((*([f"{one.title}:"] if one.title else []), *one.lines))
            for one in self.paragraphs
        )
