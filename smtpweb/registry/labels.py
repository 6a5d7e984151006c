"""Validation of what users write of an SMTP server: its name, note and tags.

As in ``validators``: each function returns the accepted value or raises :class:`ValueError` with a
:class:`~..errors.Sentence`.
"""

from __future__ import annotations

import re

from .. import validators
from ..errors import Sentence

_LONGEST_NOTE = 1000
_MOST_TAGS = 10
_LONGEST_TAG = 30


def smtp_name(value: str) -> str:
    """Validate the name of an SMTP server, which appears in the subject of test emails."""
    return validators.app_name(value)


def smtp_note(value: str) -> str:
    """Validate a note of several lines; line ends are returned as newlines."""
    lines = re.sub(r"\r\n?", "\n", value).strip().split("\n")
    for line in lines:
        validators.text(line.replace("\t", " "), most=_LONGEST_NOTE)
    note = "\n".join(lines)
    if len(note) > _LONGEST_NOTE:
        raise ValueError(Sentence("Must have at most %(most)s characters.", most=_LONGEST_NOTE))
    return note


def tags(value: str) -> str:
    """Validate tags separated by commas; they are returned separated by ", ", each only once."""
    named: dict[str, str] = {}
    for tag in validators.text(value, most=1000).split(","):
        words = " ".join(tag.split())
        if words:
            named.setdefault(words.casefold(), words)
    if not named:
        raise ValueError(Sentence("Enter words separated by commas."))
    if len(named) > _MOST_TAGS or any(len(tag) > _LONGEST_TAG for tag in named.values()):
        raise ValueError(
            Sentence(
                "At most %(number)s tags of at most %(most)s characters.",
                number=_MOST_TAGS,
                most=_LONGEST_TAG,
            )
        )
    return ", ".join(named.values())
