"""Undo what loggers, shells and languages did to a text: escapes, HTML, colours, log prefixes."""

from __future__ import annotations

import html
import re
import unicodedata

MAX_TEXT = 64 * 1024  # octets of UTF-8

_COLOURS = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")
_BREAKS = re.compile(r"<(?:br[ \t]{0,4}/?|/?p|/?pre|/?div)>", re.IGNORECASE)
_ESCAPES = re.compile(r"\\{1,4}(?:r\\{1,4}n|([rnt\"'/]))")
_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2}){1,400}")
_UNICODE = re.compile(r"\\{1,2}u([0-9a-fA-F]{4})")
_ESCAPED = {"r": "\n", "n": "\n", "t": "\t", '"': '"', "'": "'", "/": "/"}

# What may stand before what was said, each cut off at most once a round
_PREFIXES = (
    re.compile(r"\[?[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.,]{5,18}(?:Z|[+-][0-9:]{4,6})?\]?:?"),
    re.compile(r"[A-Z][a-z]{2} {1,2}[0-9]{1,2} [0-9:]{8} \S{1,80} \S{1,80}\[[0-9]{1,8}\]:"),
    re.compile(r"\[?[0-9]{2}:[0-9]{2}:[0-9]{2}[0-9.,]{0,8}\]?"),
    re.compile(r"(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR)\b:?", re.IGNORECASE),
    re.compile(r"\[[A-Za-z0-9_#-]{1,40}\]"),
    re.compile(
        r"(?:SERVER -> CLIENT:|CLIENT -> SERVER:|SMTP -> FROM SERVER:|SMTP <- |Got:|Sent:"
        r"|reply:|send:|C:|S:|>>>|<<<|<~\*|<\*\*|<~|~>|<-|->|<=|=>|<|>)"
    ),
    re.compile(r"b?[\"']"),
)


class TooLong(ValueError):
    """The text has more octets than are looked at."""


def unwrapped(text: str) -> str:
    """The text as it was before it was logged; lines end with a line feed."""
    text = _COLOURS.sub("", text)
    if "<" in text:
        text = _BREAKS.sub("\n", text)
    if "&" in text:
        text = html.unescape(text)
    if "\\" in text:
        text = _BYTES.sub(_from_octets, text)
        text = _UNICODE.sub(_from_unicode, text)
        text = _ESCAPES.sub(lambda found: _ESCAPED[found[1]] if found[1] else "\n", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\N{NO-BREAK SPACE}", " ")
    return "".join(
        char if char in "\n\t" or unicodedata.category(char)[0] != "C" else " " for char in text
    )


def content(line: str) -> str:
    """What a line of a log says, without its time, level and direction."""
    said = line.strip()
    for _ in range(5):
        before = said
        for prefix in _PREFIXES:
            if found := prefix.match(said):
                said = said[found.end() :].lstrip()
        if said == before:
            break
    return said


def _from_octets(found: re.Match[str]) -> str:
    raw = bytes.fromhex(found[0].replace("\\x", ""))
    for charset in ("utf-8", "gb18030"):
        try:
            return raw.decode(charset)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _from_unicode(found: re.Match[str]) -> str:
    char = chr(int(found[1], 16))
    return " " if "\ud800" <= char <= "\udfff" else char
