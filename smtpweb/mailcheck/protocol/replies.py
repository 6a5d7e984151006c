"""Read SMTP replies out of a stream of bytes, however it is cut and whatever it holds.

RFC 5321 4.2.1: a three-digit code, then a hyphen on every line but the last, where a blank or
nothing follows. Bounded, because a server may send anything without end. Lenient where the
meaning is clear: empty lines are skipped, a tab counts as the blank, a line of a multi-line
reply may lack its code (RFC 959 4.2 allows that to FTP), and a refusal that ends a reply which
began otherwise is the reply.
"""

from __future__ import annotations

import re

from ..core.raw_reply import RawReply

MAX_LINE = 2048  # octets without the line end; RFC 5321 4.5.3.1.5 asks for 512
MAX_REPLY = 16 * 1024
MAX_LINES = 128

NO_CODE = "the line does not begin with a reply code"
CODE_CHANGES = "the code changes within a reply"
BREACHES = (NO_CODE, CODE_CHANGES)

_LINE = re.compile(rb"([2-5][0-9][0-9])([ \t-]|$)")
_WITHOUT_CODE = re.compile(rb"[A-Za-z][^\x00-\x08\x0a-\x1f\x7f]*")
_REFUSAL = b"400"  # and above


class BadReply(Exception):
    """Bytes that are no SMTP reply. ``too_long`` if a bound was hit; ``start`` shows the line."""

    def __init__(self, why: str, start: bytes, *, too_long: bool = False):
        super().__init__(why)
        self.start = start
        self.too_long = too_long


class ReplyReader:
    """Collects bytes, hands out whole replies in order, holds at most one over-long line."""

    __slots__ = ("_before", "_buffer", "_code", "_count", "_lines", "_size")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = b""
        self._lines: list[bytes] = []
        self._before: list[bytes] = []
        self._size = 0
        self._count = 0  # of the lines of this reply, with those that were skipped

    @property
    def is_empty(self) -> bool:
        """True when nothing is left over, not even the beginning of a reply."""
        return not self._buffer and not self.in_reply

    @property
    def in_reply(self) -> bool:
        """True when the last line of a reply is still to come."""
        return bool(self._lines or self._before)

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

    def cut_off(self) -> RawReply | None:
        """What a server that has gone said last, although the end of its line or reply lacks."""
        if self._buffer:
            self.feed(b"\n")
            try:
                answer = self.next()
            except BadReply:
                return None
            if answer is not None:
                return answer
        return self._complete() if self._lines else None

    def _take(self, line: bytes) -> RawReply | None:
        self._size += len(line) + 2
        self._count += 1
        if len(line) > MAX_LINE:
            raise BadReply("a line without end", line, too_long=True)
        if self._size > MAX_REPLY or self._count > MAX_LINES:
            raise BadReply("a reply without end", line, too_long=True)
        if not line.strip():
            return None
        found = _LINE.match(line)
        if found is None:
            if not self._lines or not _WITHOUT_CODE.fullmatch(line):
                raise BadReply(NO_CODE, line)
            self._lines.append(line)
            return None
        if self._lines and found[1] != self._code:
            self._change_code(found[1], line)
        self._code = found[1]
        self._lines.append(line[4:])
        return None if found[2] == b"-" else self._complete()

    def _change_code(self, code: bytes, line: bytes) -> None:
        """Let a refusal stand in place of what the reply said before; refuse other changes."""
        if code < _REFUSAL:
            raise BadReply(CODE_CHANGES, line)
        if self._code < _REFUSAL:
            self._before += [self._code + b"-" + earlier for earlier in self._lines]
            self._lines = []

    def _complete(self) -> RawReply:
        answer = RawReply(int(self._code), tuple(self._lines), tuple(self._before))
        self._lines, self._before, self._size, self._count = [], [], 0, 0
        return answer
