"""Find a secret in a text in any common encoding: decode and normalize, then compare.

No list of encodings can be complete: a server that has a password can write it in a way that
nobody expected. These are the ones that programs produce automatically or that are common.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

MIN_LETTERS = 6  # fewer would match across ordinary words
MAX_DEPTH = 3  # nested encodings
MAX_DECODED = 96 * 1024  # characters, of one text and everything it decodes to

_SEPARATORS = re.compile(r"[\W_]+")
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{8,}", re.ASCII)
_BASE32_RUN = re.compile(r"[A-Za-z2-7]{16,}", re.ASCII)
_NUMBER = r"(?:0[xX][0-9A-Fa-f]{1,2}|0[oO][0-7]{1,3}|[0-9]{1,4})"
# Between two: "90, 113", or "chr(90) + chr(113)" of programs
_BETWEEN_NUMBERS = r"(?:[\s,;:.|-]{1,4}|\)\s?[+.&,]?\s?[A-Za-z]{2,6}\()"
_NUMBERS = re.compile(rf"{_NUMBER}(?:{_BETWEEN_NUMBERS}{_NUMBER}){{3,}}", re.ASCII)
_BINARY_RUN = re.compile(r"(?:[01]{8}[\s,;:.|-]{0,3}){4,}", re.ASCII)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,100}>|<!--[^<>]{0,100}-->", re.ASCII)
_OCTAL = re.compile(r"(?:0o)?[0-7]+")
_HEX_RUN = re.compile(
    r"(?:(?:0[xX])?[0-9A-Fa-f]{2}[\s,;:.-]{0,3}){4,}", re.ASCII
)  # "73 65", "73:65", "0x73, 0x65"

_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})|=[ \t]*(?:\r?\n|\xef\xbf\xbd| )")  # RFC 2045 6.7
_XTEXT = re.compile(rb"\+([0-9A-Fa-f]{2})")  # RFC 3461 4
_BACKSLASH = re.compile(
    rb"\\(?:[xX]([0-9A-Fa-f]{2})|(?:o\{)?([0-7]{1,3})\}?|[xXuU]\{([0-9A-Fa-f]{1,6})\}"
    rb"|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([^\w\s]))"
)
_CODE_POINT = re.compile(rb"[uU]\+([0-9A-Fa-f]{4,6})[\s,;]?")


def squeezed(text: str) -> str:
    """Return only the letters and digits, in one case and one width: "Ｓ3-C r" is "s3cr"."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _SEPARATORS.sub("", text.casefold())


def encodings_of(secret: bytes) -> set[str]:
    """Return ``secret`` as hexadecimal, base64, base32 and ROT13, the first three encoded again.

    All are squeezed.

    Base64 and base32 depend on what precedes the secret in the stream: for each alignment, only
    the characters that the secret alone determines are used.
    """
    once = {found for raw in _as_bytes(secret) for found in _encoded(raw)}
    twice = {
        found
        for first in (secret.hex(), *_base64(secret), *_base32(secret))
        for found in _encoded(first.encode())
    }
    turned = codecs.encode(secret.decode("utf-8", "surrogatepass"), "rot13")
    squeezed_forms = map(squeezed, {*once, *twice, turned})
    return {form for form in squeezed_forms if len(form) >= MIN_LETTERS}


def simple_encodings_of(secret: bytes) -> set[str]:
    """Return ``secret`` as hexadecimal, base64 and base32, each encoded once, squeezed."""
    return set(map(squeezed, _encoded(secret)))


def _as_bytes(secret: bytes) -> Iterator[bytes]:
    yield secret
    text = secret.decode("utf-8", "surrogatepass")
    for charset in ("utf-16-le", "utf-16-be"):
        yield text.encode(charset, "surrogatepass")
    if not text.isascii():
        yield text.encode("latin-1", "replace")
        # UTF-8 that was read as Latin-1 and encoded again
        yield secret.decode("latin-1").encode()


def _encoded(raw: bytes) -> Iterator[str]:
    yield raw.hex()
    yield from _base64(raw)
    yield from _base32(raw)


def _base64(raw: bytes) -> Iterator[str]:
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + raw).decode().rstrip("=")
        end = (before + len(raw)) * 8 // 6
        yield encoded[-(-before * 8 // 6) : end]


def _base32(raw: bytes) -> Iterator[str]:
    for before in range(5):
        encoded = base64.b32encode(bytes(before) + raw).decode().rstrip("=")
        end = (before + len(raw)) * 8 // 5
        yield encoded[-(-before * 8 // 5) : end]


def views(text: str) -> Iterator[str]:
    """Yield ``text`` and everything it may decode to, each once.

    Raises :class:`TooMuch` if that is more than :data:`MAX_DECODED` characters.
    """
    seen = {text}
    queue = [(text, 0)]
    size = len(text)
    while queue:
        view, depth = queue.pop()
        yield view
        if depth == MAX_DEPTH:
            continue
        for decode in _DECODERS:
            for decoded in decode(view):
                if len(decoded) < 4 or decoded in seen:
                    continue
                size += len(decoded)
                if size > MAX_DECODED:
                    raise TooMuch
                seen.add(decoded)
                queue.append((decoded, depth + 1))


class TooMuch(Exception):
    """The text decodes to too much: it was made to keep us busy."""


def _substituted(
    pattern: re.Pattern[bytes], replacement: Callable[[re.Match[bytes]], bytes], mark: str
) -> Callable[[str], Iterator[str]]:
    def decode(text: str) -> Iterator[str]:
        if mark in text:
            encoded = text.encode("utf-8", "surrogatepass")
            yield _text(pattern.sub(replacement, encoded))

    return decode


def _octet(found: re.Match[bytes]) -> bytes:
    return bytes.fromhex(found[1].decode()) if found[1] else b""


def _escape(found: re.Match[bytes]) -> bytes:
    octet, octal, braced, short, long, itself = found.groups()
    if octet:
        return bytes.fromhex(octet.decode())
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    return itself or _character(braced or short or long)


def _character(digits: bytes) -> bytes:
    point = int(digits, 16)
    return chr(point).encode("utf-8", "surrogatepass") if point < 0x110000 else b""


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _unescaped(text: str) -> Iterator[str]:
    if "&" in text:
        yield html.unescape(text)


def _numbers(text: str) -> Iterator[str]:
    for found in _NUMBERS.findall(text):
        numbers = [number.lower() for number in re.findall(_NUMBER, found)]
        yield _octets(int(number, 16 if "x" in number else 10)
                      for number in numbers if "o" not in number)  # fmt: skip
        for is_octal, group in itertools.groupby(
            numbers, lambda number: bool(_OCTAL.fullmatch(number))
        ):
            if is_octal:
                yield _octets(int(number.removeprefix("0o"), 8) for number in group)


def _octets(numbers: Iterable[int]) -> str:
    return _text(bytes(number for number in numbers if number < 256))


def _binary(text: str) -> Iterator[str]:
    for found in _BINARY_RUN.findall(text):
        digits = re.sub("[^01]", "", found)
        yield _octets(int(digits[start : start + 8], 2) for start in range(0, len(digits), 8))


def _without_tags(text: str) -> Iterator[str]:
    if "<" in text:
        yield _TAG.sub("", text)


def _hexadecimal(text: str) -> Iterator[str]:
    for found in _HEX_RUN.findall(text):
        digits = re.sub(r"0[xX]|[^0-9A-Fa-f]", "", found)
        yield from _wide(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _base64_runs(text: str) -> Iterator[str]:
    for found in _BASE64_RUN.findall(text):
        standard = found.replace("-", "+").replace("_", "/")
        yield from _wide(_from_base64(standard))


def _base32_runs(text: str) -> Iterator[str]:
    for found in _BASE32_RUN.findall(text):
        whole = found.upper()[: len(found) // 8 * 8]
        yield from _wide(base64.b32decode(whole))


def _from_base64(standard: str) -> bytes:
    if len(standard) % 4 == 1:  # a single sextet cannot hold an octet
        standard = standard[:-1]
    try:
        return binascii.a2b_base64(standard + "=" * (-len(standard) % 4))
    except binascii.Error:
        return b""


def _wide(raw: bytes) -> Iterator[str]:
    """Yield octets decoded to text; octets that are not text are not an encoding of one."""
    if b"\0" in raw:
        raw = raw.replace(b"\0", b"")  # UTF-16, or the NULs of PLAIN
    with_high = raw.translate(None, _PRINTABLE)
    if len(with_high) * 2 <= len(raw):
        yield _text(raw)


_PRINTABLE = bytes(range(32, 127))
_DECODERS: tuple[Callable[[str], Iterator[str]], ...] = (
    _substituted(_PERCENT, _octet, "%"),
    _substituted(_QUOTED, _octet, "="),
    _substituted(_XTEXT, _octet, "+"),
    _substituted(_BACKSLASH, _escape, "\\"),
    _substituted(_CODE_POINT, lambda found: _character(found[1]), "+"),
    _unescaped,
    _without_tags,
    _numbers,
    _binary,
    _hexadecimal,
    _base64_runs,
    _base32_runs,
)
