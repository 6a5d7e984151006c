"""Parse SMTP replies from a byte stream, however it is split and whatever it contains.

RFC 5321 4.2.1: a three-digit code, then a hyphen on every line but the last, where a space or
nothing follows. Bounded, because a server may send without end. Lenient if the meaning is clear:
empty lines are skipped, a tab counts as the space, a line of a multi-line reply may lack its code
(RFC 959 4.2 allows this for FTP), and a refusal that ends a reply with another code is the reply.
"""

from __future__ import annotations

import re

from ..core.raw_reply import RawReply

MAX_LINE = 2048  # octets without the line end; RFC 5321 4.5.3.1.5 requires 512
MAX_REPLY = 16 * 1024
MAX_LINES = 128

NO_CODE = "the line does not begin with a reply code"
CODE_CHANGES = "the code changes within a reply"
BREACHES = (NO_CODE, CODE_CHANGES)

_LINE = re.compile(rb"([2-5][0-9][0-9])([ \t-]|$)")
_WITHOUT_CODE = re.compile(rb"[A-Za-z][^\x00-\x08\x0a-\x1f\x7f]*")
_REFUSAL = b"400"  # and above


class BadReply(Exception):
    """Not an SMTP reply. ``too_long`` if a limit was exceeded; ``start`` shows the line."""

    def __init__(self, why: str, start: bytes, *, too_long: bool = False):
        super().__init__(why)
        self.start = start
        self.too_long = too_long


class ReplyReader:
    """Collect bytes and return complete replies in order; buffer at most one overlong line."""

    __slots__ = ("_before", "_buffer", "_code", "_count", "_lines", "_size")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = b""
        self._lines: list[bytes] = []
        self._before: list[bytes] = []
        self._size = 0
        self._count = 0  # lines in this reply, including skipped ones

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left over, not even the start of a reply."""
        return not self._buffer and not self.in_reply

    @property
    def in_reply(self) -> bool:
        """Whether the last line of a reply is still missing."""
        return bool(self._lines or self._before)

    @property
    def begun(self) -> bytes:
        """The bytes received so far of an unfinished line."""
        return bytes(self._buffer[:MAX_LINE])

    def feed(self, data: bytes) -> None:
        """Add bytes that were read."""
        self._buffer += data

    def next(self) -> RawReply | None:
        """Return the next complete reply, or None if incomplete. Raises :class:`BadReply`."""
        while (end := self._buffer.find(b"\n", 0, MAX_LINE + 2)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if line.endswith(b"\r"):  # a bare LF is accepted: RFC 5321 2.3.8 binds the sender
                line = line[:-1]
            if (answer := self._take(line)) is not None:
                return answer
        if len(self._buffer) > MAX_LINE + 1:
            raise BadReply("a line without end", self.begun, too_long=True)
        return None

    def cut_off(self) -> RawReply | None:
        """Return the last reply before a disconnect, even if its line or reply is incomplete."""
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
        """Let a refusal replace what the reply said before; reject other changes."""
        if code < _REFUSAL:
            raise BadReply(CODE_CHANGES, line)
        if self._code < _REFUSAL:
            self._before += [self._code + b"-" + earlier for earlier in self._lines]
            self._lines = []

    def _complete(self) -> RawReply:
        answer = RawReply(int(self._code), tuple(self._lines), tuple(self._before))
        self._lines, self._before, self._size, self._count = [], [], 0, 0
        return answer
