"""One connection without its socket: commands out, replies in, TLS in between.

TLS runs in memory (``ssl.MemoryBIO``), so that we decide what shares a segment: the client's
Finished is sent together with the command after it.
"""

from __future__ import annotations

import contextlib
import math
import ssl
from collections.abc import Callable
from typing import Any

from ..core.effects import Asks, Exchange, Glance, HangUp, Lost, Silent
from ..core.failure import Failure, Symptom
from ..core.raw_reply import RawReply, decoded
from ..core.recorder import Recorder
from ..core.redaction import HIDDEN, cut
from ..core.types import Stage, TlsFacts
from . import tls
from .other_protocols import protocol_of
from .replies import BadReply, ReplyReader

# A plain client sees only silence on an implicit TLS port, and so does a TLS client on some plain
# ports; after this many seconds a second connection finds out which it is
SUSPICIOUS_SILENCE = 2.5

# Consecutive TLS octets without plain text: handshakes and session tickets are far smaller
MAX_TLS_OVERHEAD = 256 * 1024
SHOWN_LINE = 200  # characters of a line that violates the protocol

_CHUNK = 16 * 1024


class Connection:
    """A connection to the server being checked. Every wait ends by ``deadline``."""

    def __init__(self, handle: Any, record: Recorder, deadline: float):
        self._handle = handle
        self._record = record
        self._deadline = deadline
        self._replies = ReplyReader()
        self._out = bytearray()  # plain text not yet passed to TLS or to the driver
        self._tls: ssl.SSLObject | None = None
        self._from_peer = ssl.MemoryBIO()
        self._to_peer = ssl.MemoryBIO()
        self._handshake_stage: Stage | None = None
        self._proved = False  # the server has sent something inside TLS
        self.open = True
        self._greeted = False
        self._gone = False  # closed by us

    @property
    def encrypted(self) -> bool:
        """Whether TLS is active."""
        return self._tls is not None

    def limit(self, patience: float = math.inf, share: float = 1.0) -> float:
        """Return the time by which a reply must arrive, within a ``share`` of the time left."""
        now = self._record.clock()
        return min(now + (self._deadline - now) * share, now + patience)

    def extend(self, deadline: float) -> None:
        """Extend later waits to ``deadline``."""
        self._deadline = deadline

    # -- talking

    def say(self, data: bytes, shown: str | None = None) -> None:
        """Queue a command line or data; it is sent by the next :meth:`hear`."""
        self._record.client(data.decode() if shown is None else shown)
        self._out += data if data.endswith(b"\n") else data + b"\r\n"

    def hear(
        self,
        until: float | None = None,
        on_silence: Callable[[], Asks[None]] | None = None,
        *,
        hide: bool = False,
    ) -> Asks[RawReply]:
        """Send what is queued and return the next reply.

        ``on_silence`` is called once if nothing at all has arrived for a while; it may raise the
        cause, otherwise the wait continues.
        """
        until = self.limit() if until is None else until
        while True:
            try:
                answer = self._replies.next()
            except BadReply as bad:
                self.open = False
                raise self._misfit(bad, hide=hide) from None
            if answer is not None:
                self._record.server(answer, hide=hide)
                self._greeted = True
                return answer
            self._replies.feed((yield from self._receive(until, on_silence)))
            on_silence = None

    def ask(self, data: bytes, shown: str | None = None, *, hide: bool = False) -> Asks[RawReply]:
        """Send one command once nothing unsolicited is pending, and return its reply."""
        yield from self.expect_quiet()
        self.say(data, shown)
        return (yield from self.hear(hide=hide))

    def expect_quiet(self) -> Asks[None]:
        """Check that there are no unsolicited replies.

        A reply before its command belongs to no command: a server that sends "250" to everything
        in advance delivers nothing. Only 421 may come at any time (RFC 5321 3.8).
        """
        yield from self._take_what_is_here()
        if self._replies.is_empty:
            return
        try:
            answer = self._replies.next()
        except BadReply as bad:
            self.open = False
            raise self._misfit(bad) from None
        if answer is not None:
            self._record.server(answer)
            if answer.code == 421:
                raise Failure(Symptom.REFUSED, reply=answer)
        elif not self._replies.begun and not self._replies.in_reply:
            return  # only empty lines
        self.open = False
        raise Failure(Symptom.OUT_OF_STEP, reply=answer)

    def expect_nothing(self) -> Asks[None]:
        """Check that nothing at all is pending, not even an empty line: what follows is TLS.

        RFC 3207 4.2 and CVE-2011-0411: plain text after the reply must not be trusted.
        """
        yield from self._take_what_is_here()
        if self._replies.is_empty:
            return
        self.open = False
        answer = None
        with contextlib.suppress(BadReply):
            answer = self._replies.next()
        if answer is not None:
            self._record.server(answer)
        raise Failure(Symptom.INJECTED, reply=answer)

    def farewell(self, command: bytes = b"QUIT\r\n") -> Asks[None]:
        """Send QUIT without waiting for the reply, and close.

        Nothing is sent to a server that has not greeted us (RFC 5321 4.3.1).
        """
        if self.open and self._greeted:
            self.say(command, command.decode().strip())
        yield from self.close()

    def close(self) -> Asks[None]:
        """Close, sending close_notify (RFC 8446 6.1) without waiting for the peer's."""
        if self._gone:
            return
        data = b""
        if self.open:
            data = self._outgoing()
            if self._tls is not None:
                # Raised because the peer's close_notify is missing; we do not wait for it
                with contextlib.suppress(ssl.SSLError, ValueError):
                    self._tls.unwrap()
                data += self._to_peer.read()
        self.open, self._gone = False, True
        yield HangUp(self._handle, data)

    def drop(self) -> Asks[None]:
        """Close at once, without sending anything, not even what is queued."""
        self.open, self._gone = False, True
        self._out.clear()
        yield HangUp(self._handle, b"")

    # -- TLS

    def start_tls(
        self,
        context: ssl.SSLContext,
        name: str,
        stage: Stage,
        on_silence: Callable[[], Asks[None]] | None = None,
        share: float = 1.0,
    ) -> Asks[None]:
        """Perform the handshake, within a ``share`` of the time left.

        The last flight stays queued, to be sent with the next command.
        """
        if not self._replies.is_empty:
            raise Failure(Symptom.INJECTED)
        self._handshake_stage = stage
        session = context.wrap_bio(self._from_peer, self._to_peer, server_hostname=name)
        until = self.limit(share=share)
        first, overhead = True, 0
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                raise (yield from self._tls_failure(error)) from None
            raw = yield from self._patiently(self._to_peer.read(), until, on_silence)
            on_silence = None
            if first and raw and not 0x14 <= raw[0] <= 0x18:
                self.open = False
                raise self._not_tls(raw)
            first = False
            overhead += len(raw)
            if overhead > MAX_TLS_OVERHEAD:
                raise self._endless()
            self._from_peer.write(raw)
        self._tls = session
        self._record.remark(f"TLS: {session.version()}, {(session.cipher() or ('?',))[0]}")

    def tls_facts(self) -> TlsFacts | None:
        """Return the session and its certificate, once TLS is active."""
        return None if self._tls is None else tls.facts_of(self._tls, self._record.said)

    @property
    def session(self) -> ssl.SSLObject | None:
        """The TLS session, for inspecting its certificate."""
        return self._tls

    def _not_tls(self, raw: bytes) -> Failure:
        protocol = protocol_of(raw)
        if protocol != "SMTP":
            self._record.remark("what came is neither TLS nor SMTP, and is not shown")
            return Failure(
                Symptom.WRONG_PROTOCOL if protocol else Symptom.NOT_TLS,
                protocol=protocol or "unknown",
            )
        self._record.remark("plain SMTP came where a TLS handshake was due")
        self._replies.feed(raw)
        try:
            answer = self._replies.next()
        except BadReply:
            answer = None
        if answer is not None:
            self._record.server(answer)
        return Failure(Symptom.NOT_TLS, reply=answer, protocol="SMTP")

    def _tls_failure(self, error: ssl.SSLError) -> Asks[Failure]:
        alert = self._to_peer.read()
        words = self._record.said(tls.words_of(error))
        self._record.remark(f"TLS failed: {words}")
        self.open = False
        self._gone = True
        yield HangUp(self._handle, alert)
        return Failure(
            tls.symptom_of(error),
            stage=self._handshake_stage,
            words=words,
            verify_code=getattr(error, "verify_code", 0),
            about_certificate=tls.is_about_our_certificate(error),
        )

    # -- bytes

    def _receive(self, until: float, on_silence: Callable[[], Asks[None]] | None) -> Asks[bytes]:
        # What arrived after the last flight of the handshake is inside the TLS object, where no
        # socket event will announce it
        if self._tls is not None and (data := (yield from self._decrypted(b""))):
            return data
        overhead = 0
        while True:
            raw = yield from self._patiently(self._outgoing(), until, on_silence)
            on_silence = None
            if self._tls is None:
                return raw
            if data := (yield from self._decrypted(raw)):
                return data
            overhead += len(raw)
            if overhead > MAX_TLS_OVERHEAD:
                raise self._endless()

    def _take_what_is_here(self) -> Asks[None]:
        # The next read detects and reports the end of the connection
        raw = (yield Glance(self._handle)) or b""
        self._replies.feed(raw if self._tls is None else (yield from self._decrypted(raw)))

    def _decrypted(self, raw: bytes) -> Asks[bytes]:
        """Return all plain text that ``raw`` completes, or b"" if none yet."""
        assert self._tls is not None  # noqa: S101 - only called with TLS
        self._from_peer.write(raw)
        plain = bytearray()
        while True:
            try:
                piece = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                piece = b""
            except ssl.SSLError as error:
                if plain:
                    break
                # TLS 1.3: the server checks our certificate after our handshake is complete
                if self._proved:
                    self._handshake_stage = None
                raise (yield from self._tls_failure(error)) from None
            if not piece:
                if plain:
                    break
                raise self._ended("close_notify")
            plain += piece
        self._proved = self._proved or bool(plain)
        return bytes(plain)

    def _patiently(
        self, data: bytes, until: float, on_silence: Callable[[], Asks[None]] | None
    ) -> Asks[bytes]:
        if on_silence is not None:
            now = self._record.clock()
            soon = now + min(SUSPICIOUS_SILENCE, (self._deadline - now) / 3)
            if soon < until:
                try:
                    return (yield from self._exchange(data, soon))
                except Failure as failure:
                    if failure.symptom is not Symptom.SILENT:
                        raise
                yield from on_silence()
                data = b""
        return (yield from self._exchange(data, until))

    def _exchange(self, data: bytes, until: float) -> Asks[bytes]:
        try:
            # During a flood the driver never waits, so its deadline would not apply
            if self._record.clock() > until:
                raise Silent
            raw: bytes = yield Exchange(self._handle, data, until)
        except Silent:
            raise Failure(
                Symptom.SILENT, begun=bool(self._replies.begun), encrypted=self.encrypted
            ) from None
        except Lost as lost:
            raise self._ended(str(lost)) from None
        if not raw:
            raise self._ended("closed")
        return raw

    def _ended(self, how: str) -> Failure:
        self.open = False
        self._record.remark(
            "the server closed the connection" if how != "reset" else "the connection was reset"
        )
        # A single line without a line end still counts; it may name the cause
        begun = self._replies.begun
        answer = self._replies.cut_off()
        if answer is None and (protocol := protocol_of(begun)) not in ("", "SMTP"):
            return Failure(Symptom.WRONG_PROTOCOL, protocol=protocol)
        if answer is not None and answer.code >= 400:
            self._record.server(answer)
            return Failure(Symptom.REFUSED, reply=answer)
        return Failure(Symptom.CLOSED, how=how, encrypted=self.encrypted)

    def _endless(self) -> Failure:
        self.open = False
        self._record.remark("TLS came without end, and nothing in it")
        return Failure(Symptom.TOO_LONG)

    def _misfit(self, bad: BadReply, *, hide: bool = False) -> Failure:
        if self._greeted and not bad.too_long:
            # After a greeting it is an SMTP server, so its line may be shown
            line = HIDDEN if hide else cut(decoded(bad.start), SHOWN_LINE)
            line = self._record.said(line)
            self._record.remark(f"no SMTP reply: {line}")
            return Failure(Symptom.MALFORMED, greeted=True, breach=str(bad), line=line)
        protocol = protocol_of(bad.start)
        if protocol == "TLS":
            return Failure(Symptom.TLS_EXPECTED, protocol="TLS", sure=True)
        if protocol not in ("", "SMTP"):
            self._record.remark(f"the server speaks {protocol}; its words are not shown")
            return Failure(Symptom.WRONG_PROTOCOL, protocol=protocol)
        self._record.remark(
            "a reply without end came"
            if bad.too_long
            else "what came is no SMTP reply, and is not shown"
        )
        return Failure(Symptom.TOO_LONG if bad.too_long else Symptom.MALFORMED)

    def _outgoing(self) -> bytes:
        data = bytes(self._out)
        self._out.clear()
        if self._tls is None:
            return data
        if data:
            self._tls.write(data)
        return self._to_peer.read()
