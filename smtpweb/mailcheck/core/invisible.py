"""Find invisible characters: copied by accident, or making two names look the same."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

# Unicode's Default_Ignorable_Code_Point beyond the categories below, the empty Braille pattern,
# and the object replacement character: not rendered, or rendered as a space.
_UNDRAWN = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u2800\u3164\uffa0\ufffc"
) | {
    chr(code)
    for start, stop in ((0xFE00, 0xFE10), (0xFFF0, 0xFFF9), (0xE0000, 0xE1000))
    for code in range(start, stop)
}  # fmt: skip


class Invisible(NamedTuple):
    """A character and its position, starting at 1."""

    char: str
    position: int


def first_undrawn(text: str) -> Invisible | None:
    """Return the first character that is not rendered; spaces do not count."""
    return _first(text, blanks=False)


def first_invisible(text: str) -> Invisible | None:
    """Return the first character that cannot be recognized by sight, ordinary spaces excepted.

    These are the characters that are not rendered, any other kind of space, and what no font has:
    unassigned and private-use code points.
    """
    return _first(text, blanks=True)


def _first(text: str, *, blanks: bool) -> Invisible | None:
    if text.isascii() and text.isprintable():  # almost all texts, at a hundredth of the time
        return None
    for position, char in enumerate(text, 1):
        if _is_undrawn(char) or (blanks and _is_blank_or_unknown(char)):
            return Invisible(char, position)
    return None


def _is_undrawn(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") or char in _UNDRAWN


def _is_blank_or_unknown(char: str) -> bool:
    return char != " " and (char.isspace() or unicodedata.category(char) in ("Cn", "Co", "Zs"))
