"""A scripted SMTP server in memory, and a driver that runs a check against it without a socket."""

from __future__ import annotations

import functools
import ipaddress
import ssl
import tempfile
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from smtpweb.mailcheck import EgressPolicy, Encryption, Report, Stage, Target
from smtpweb.mailcheck.core.effects import (
    Connect,
    Connected,
    Exchange,
    Glance,
    HangUp,
    NotConnected,
    Resolve,
    Silent,
    Together,
)  # fmt: skip
from smtpweb.mailcheck.core.types import AddressOutcome
from smtpweb.mailcheck.flow.check import course

SERVER = ipaddress.ip_address("203.0.113.80")
CLIENT = ipaddress.ip_address("198.51.100.7")


@dataclass
class Script:
    """What the server says: everything is fine until ``stage``, where ``reply`` comes."""

    stage: Stage
    reply: list[str] | bytes | None
    host: str = "mail.example.com"
    port: int = 587
    encryption: Encryption = Encryption.STARTTLS
    auth: bool = True
    greeting: str = ""
    ehlo: list[str] | None = None
    username: str = "app@example.com"
    mail_from: str = "app@example.com"
    rcpt_to: str = "test@example.net"
    certificate_by: str = ""  # the name of a CA that nobody trusts
    connects: bool = True
    open_modes: tuple[tuple[int, Encryption], ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def target(self) -> Target:
        """What a check of this server is asked."""
        return Target(
            host=self.host,
            port=self.port,
            mail_from=self.mail_from,
            rcpt_to=self.rcpt_to,
            encryption=self.encryption,
            auth=self.auth,
            username=self.username if self.auth else "",
            password="correct horse" if self.auth else "",
            ehlo_name="web.example.com",
            timeout=25,
            policy=EgressPolicy.parse(f"{SERVER}/32", "*"),
            ca_file=_ca_file(),
        )


def check(script: Script) -> Report:
    """Run a whole check against ``script``."""
    clock = _Clock()
    return _drive(course(script.target(), None, clock.now), script, clock)


@dataclass
class _Clock:
    seconds: float = 0.0

    def now(self) -> float:
        return self.seconds


def _drive(asks: Generator[Any, Any, Any], script: Script, clock: _Clock) -> Any:
    answer: Any = None
    error: Exception | None = None
    while True:
        try:
            need = asks.send(answer) if error is None else asks.throw(error)
        except StopIteration as stop:
            return stop.value
        answer, error = None, None
        try:
            answer = _carry_out(need, script, clock)
        except (Silent, NotConnected) as failed:
            error = failed


def _carry_out(need: Any, script: Script, clock: _Clock) -> Any:
    match need:
        case Resolve():
            return (SERVER,)
        case Connect():
            asked = (need.port, script.port)
            if need.port == script.port and script.connects:
                server = _Server(script, script.encryption)
            elif mode := next((mode for mode in script.open_modes if mode[0] == need.port), None):
                fine = Script(Stage.ACCEPTED, None, script.host, *mode, greeting=script.greeting)
                server = _Server(fine, mode[1])
            else:
                clock.seconds += min(need.each, max(need.until - clock.seconds, 0))
                raise NotConnected((AddressOutcome(str(SERVER), "timed out", None),))
            del asked
            return Connected(
                server, SERVER, CLIENT, (AddressOutcome(str(SERVER), "connected", 1.0),)
            )
        case Exchange():
            said = need.handle.exchange(need.data)
            if said is None:
                clock.seconds = max(clock.seconds, need.until)
                raise Silent
            return said
        case Glance() | HangUp():
            return None
        case Together():
            return tuple(_drive(one, script, clock) for one in need.courses)
    raise AssertionError(need)


class _Server:
    def __init__(self, script: Script, encryption: Encryption):
        self.script = script
        self.encryption = encryption
        self.tls: ssl.SSLObject | None = None
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.buffer = b""
        self.in_data = False
        self.login_steps = 0
        self.greeted = False
        self.shaking = False
        if encryption is Encryption.IMPLICIT:
            self._begin_tls()

    def exchange(self, data: bytes) -> bytes | None:
        """What the server sends after ``data``; None where it stays silent."""
        if self.tls is None and not self.shaking:
            said = self._plain(data)
            return said or None
        self.incoming.write(data)
        return self._encrypted() or None

    def _begin_tls(self) -> None:
        self.shaking = True
        context = _context(self.script.host, self.script.certificate_by)
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def _encrypted(self) -> bytes:
        if self.tls is None:
            try:
                self.session.do_handshake()
            except ssl.SSLError:
                return self.outgoing.read()
            self.tls = self.session
            if self.encryption is Encryption.IMPLICIT:
                self.tls.write(self._greeting())
        plain = b""
        while True:
            try:
                piece = self.tls.read(16384)
            except ssl.SSLError:
                break
            if not piece:
                break
            plain += piece
        if plain:
            said = self._commands(plain)
            if said:
                self.tls.write(said)
        return self.outgoing.read()

    def _plain(self, data: bytes) -> bytes:
        if not self.greeted:
            return self._greeting()
        return self._commands(data)

    def _greeting(self) -> bytes:
        self.greeted = True
        return self._at(Stage.GREETING) or _line(
            220, self.script.greeting or f"{self.script.host} ESMTP"
        )

    def _commands(self, data: bytes) -> bytes:
        self.buffer += data
        said = b""
        while b"\n" in self.buffer:
            if self.in_data:
                body, end, rest = self.buffer.partition(b"\r\n.\r\n")
                if not end:
                    break
                self.buffer, self.in_data = rest, False
                said += self._at(Stage.DATA) or _line(250, "2.0.0 Ok: queued as 4SCRIPT")
                del body
                continue
            line, _, self.buffer = self.buffer.partition(b"\n")
            said += self._command(line.rstrip(b"\r"))
            if self.shaking and self.tls is None:
                break
        return said

    def _command(self, line: bytes) -> bytes:
        if self.login_steps:
            self.login_steps -= 1
            return self._at(Stage.AUTH) or _line(235, "2.7.0 Authentication successful")
        verb = line.split(b" ")[0].upper().decode("latin-1")
        handlers: dict[str, Callable[[], bytes]] = {
            "EHLO": self._ehlo,
            "HELO": lambda: self._at(Stage.EHLO) or _line(250, self.script.host),
            "STARTTLS": self._starttls,
            "AUTH": lambda: self._at(Stage.AUTH) or _line(235, "2.7.0 Authentication successful"),
            "MAIL": lambda: self._at(Stage.MAIL) or _line(250, "2.1.0 Ok"),
            "RCPT": lambda: self._at(Stage.RCPT) or _line(250, "2.1.5 Ok"),
            "DATA": self._data,
            "QUIT": lambda: _line(221, "2.0.0 Bye"),
            "RSET": lambda: _line(250, "2.0.0 Ok"),
        }
        handler = handlers.get(verb)
        return _line(500, "5.5.2 Error: command not recognized") if handler is None else handler()

    def _ehlo(self) -> bytes:
        refused = self._at(Stage.EHLO)
        if refused:
            return refused
        offered = self.script.ehlo
        if offered is None:
            offered = ["PIPELINING", "SIZE 20480000", "8BITMIME"]
            if self.encryption is Encryption.STARTTLS and self.tls is None:
                offered.append("STARTTLS")
            if self.script.auth:
                offered.append("AUTH PLAIN LOGIN")
        lines = [self.script.host, *offered]
        marks = "-" * (len(lines) - 1) + " "
        return b"".join(f"250{m}{text}\r\n".encode() for m, text in zip(marks, lines, strict=True))

    def _starttls(self) -> bytes:
        refused = self._at(Stage.STARTTLS)
        if refused:
            return refused
        self._begin_tls()
        return _line(220, "2.0.0 Ready to start TLS")

    def _data(self) -> bytes:
        if self.script.stage in (Stage.MAIL, Stage.RCPT):
            return _line(554, "5.5.1 Error: no valid recipients")
        self.in_data = True
        return _line(354, "End data with <CR><LF>.<CR><LF>")

    def _at(self, stage: Stage) -> bytes:
        reply = self.script.reply
        if stage is not self.script.stage or reply is None:
            return b""
        if isinstance(reply, bytes):
            return reply
        return "".join(f"{line}\r\n" for line in wired(reply)).encode("utf-8", "surrogateescape")


def wired(lines: list[str]) -> list[str]:
    """Lines as on the wire: each with the code, all but the last with a hyphen behind it."""
    code = lines[0][:3]
    texts = [line[4:] if line[:3] == code else line for line in lines]
    return [f"{code}{'-' if n < len(texts) - 1 else ' '}{text}" for n, text in enumerate(texts)]


def _line(code: int, text: str) -> bytes:
    return f"{code} {text}\r\n".encode()


@functools.lru_cache(1)
def _authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.lru_cache(1)
def _ca_file() -> Path:
    path = Path(tempfile.mkdtemp(prefix="bench-diagnosis-")) / "ca.pem"
    _authority().cert_pem.write_to_path(str(path))
    return path


@functools.lru_cache(256)
def _context(host: str, stranger: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = _authority()
    if stranger:
        authority = trustme.CA(
            key_type=trustme.KeyType.ECDSA, organization_name=stranger,
            organization_unit_name=stranger,
        )  # fmt: skip
    authority.issue_cert(host, key_type=trustme.KeyType.ECDSA).configure_cert(context)
    return context
