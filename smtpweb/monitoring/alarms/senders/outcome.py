"""The message of an alarm, and the result of an attempt to deliver it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of an attempt; ``result`` is one line, cleaned, without secrets.

    ``gone``: the receiver accepts no more. ``ours``: it failed on our side, not at the receiver.
    """

    delivered: bool
    result: str
    gone: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together. ``foreign``: they contain text of a server."""

    lines: tuple[str, ...]
    title: str = ""
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """The text of an alarm in the user's language: a subject and paragraphs."""

    subject: str
    paragraphs: tuple[Paragraph, ...]

    @property
    def text(self) -> str:
        """Return the whole message as plain text."""
        return "\n\n".join(
            "\n".join((*([f"{paragraph.title}:"] if paragraph.title else []), *paragraph.lines))
            for paragraph in self.paragraphs
        )
