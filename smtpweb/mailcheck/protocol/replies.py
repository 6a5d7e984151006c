"""Read SMTP replies out of a stream of bytes, however it is cut and whatever it holds.

RFC 5321 4.2.1: a three-digit code, then a hyphen on every line but the last, where a blank or
nothing follows. Bounded, because a server may send anything without end.
"""

from __future__ import annotations

import re

from ..core.raw_reply import RawReply

MAX_LINE = 2048  # octets without the line end; RFC 5321 4.5.3.1.5 asks for 512
MAX_REPLY = 16 * 1024
MAX_LINES = 128

_LINE = re.compile(rb"([2-5][0-9][0-9])([ -]|$)")


class BadReply(Exception):
    """Bytes that are no SMTP reply. ``too_long`` if a bound was hit; ``start`` shows the line."""

    def __init__(self, why: str, start: bytes, *, too_long: bool = False):
        super().__init__(why)
        self.start = start
        self.too_long = too_long


class ReplyReader:
    """Collects bytes, hands out whole replies in order, holds at most one over-long line."""

    __slots__ = ("_buffer", "_code", "_lines", "_size")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = b""
        self._lines: list[bytes] = []
        self._size = 0

    @property
    def is_empty(self) -> bool:
        """True when nothing is left over, not even the beginning of a reply."""
        return not self._buffer and not self._lines

    @property
    def begun(self) -> bytes:
        """The bytes that have come of a line that is not finished."""
        return bytes(self._buffer[:MAX_LINE])

    def feed(self, data: bytes) -> None:
        """Add what was read."""
        self._buffer += data

    def next(self) -> RawReply | None:
        """The next whole reply, or None until more was fed. Raises :class:`BadReply`."""
        while (end := self._buffer.find(b"\n", 0, MAX_LINE + 2)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if line.endswith(b"\r"):  # a bare LF is let pass: RFC 5321 2.3.8 binds the sender
                line = line[:-1]
            if (answer := self._take(line)) is not None:
                return answer
        if len(self._buffer) > MAX_LINE + 1:
            raise BadReply("a line without end", self.begun, too_long=True)
        return None

    def _take(self, line: bytes) -> RawReply | None:
        found = _LINE.match(line)
        if found is None or len(line) > MAX_LINE:
            raise BadReply("not a reply", line, too_long=len(line) > MAX_LINE)
        if self._lines and found[1] != self._code:
            raise BadReply("the code changes within a reply", line)
        self._code = found[1]
        self._lines.append(line[4:])
        self._size += len(line) + 2
        if self._size > MAX_REPLY or len(self._lines) > MAX_LINES:
            raise BadReply("a reply without end", line, too_long=True)
        if found[2] == b"-":
            return None
        answer = RawReply(int(self._code), tuple(self._lines))
        self._lines, self._size = [], 0
        return answer
