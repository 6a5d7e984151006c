"""Guess the charset of a reply that is not UTF-8, so that people can read it.

Replies should be ASCII (RFC 5321 4.2.1) or UTF-8 (RFC 6531 3.7.4.2). Servers in China, Russia and
Japan also answer in the charset of their country, and old ones in Latin-1.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_RUN = re.compile(rb"[\x80-\xff]+")
_RUSSIAN_WORD = re.compile(r"\b[А-ЯЁ]?[а-яё]+\b")
_JAPANESE = re.compile("[\u3000-\u30ff\u4e00-\u9fff]")
_MIN_SHARE = 0.8  # of the letters outside ASCII, for a charset to be believed


def decoded(line: bytes) -> str:
    """The text of a line: UTF-8, else the likely legacy charset, else Latin-1."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode(_likely(line), "replace")


def _likely(line: bytes) -> str:
    if max(map(len, _RUN.findall(line))) < 2:
        return "latin-1"  # lone accents between ASCII letters
    scores = [(_share(line, charset, fitting), charset) for charset, fitting in _CANDIDATES]
    best, charset = max(scores, key=lambda score: score[0])
    return charset if best >= _MIN_SHARE else "latin-1"


def _share(line: bytes, charset: str, fitting: Callable[[str], int]) -> float:
    """The share of the letters outside ASCII that a text in this charset is made of."""
    try:
        text = line.decode(charset)
    except UnicodeDecodeError:
        return 0.0
    return fitting(text) / sum(not char.isascii() for char in text)


def _russian(text: str) -> int:
    # Words begin with a capital or have none: the other Cyrillic charset turns the case around
    return sum(map(len, _RUSSIAN_WORD.findall(text)))


def _chinese(text: str) -> int:
    return sum(map(_is_common_ideograph, text))


def _is_common_ideograph(char: str) -> bool:
    try:
        lead, trail = char.encode("gb2312")
    except (UnicodeEncodeError, ValueError):
        return False
    # The first level of GB 2312, and its punctuation
    return (0xB0 <= lead <= 0xD7 or lead in (0xA1, 0xA3)) and trail >= 0xA1


def _japanese(text: str) -> int:
    return len(_JAPANESE.findall(text))


_CANDIDATES: tuple[tuple[str, Callable[[str], int]], ...] = (
    ("koi8-r", _russian),
    ("cp1251", _russian),
    ("gb18030", _chinese),
    ("shift_jis", _japanese),
    ("euc_jp", _japanese),
)
