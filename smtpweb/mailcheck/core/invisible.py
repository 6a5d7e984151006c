"""Characters that a person cannot see: what came with copying, or makes two names look the same."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

# Default_Ignorable_Code_Point of Unicode beyond the categories below, the empty Braille pattern,
# and the object replacement: drawn as nothing, or as a blank.
_UNDRAWN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u2800\u3164\uffa0\ufffc"
) | {
    chr(code)
    for start, stop in ((0xFE00, 0xFE10), (0xFFF0, 0xFFF9), (0xE0000, 0xE1000))
    for code in range(start, stop)
}  # fmt: skip


class Invisible(NamedTuple):
    """A character and its position, from 1."""

    char: str
    position: int


def first_undrawn(text: str) -> Invisible | None:
    """The first character that is drawn as nothing: no blank is."""
    return _first(text, blanks=False)


def first_invisible(text: str) -> Invisible | None:
    """The first character that cannot be seen as what it is; an ordinary space can be.

    Beside those that are drawn as nothing, that is any other blank, and what no font has: code
    points without a meaning, or with a private one.
    """
    return _first(text, blanks=True)


def _first(text: str, *, blanks: bool) -> Invisible | None:
    for position, char in enumerate(text, 1):
        if _is_undrawn(char) or (blanks and _is_blank_or_unknown(char)):
            return Invisible(char, position)
    return None


def _is_undrawn(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") or char in _UNDRAWN


def _is_blank_or_unknown(char: str) -> bool:
    return char != " " and (char.isspace() or unicodedata.category(char) in ("Cn", "Co", "Zs"))
