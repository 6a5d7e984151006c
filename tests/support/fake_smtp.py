"""An SMTP server that does what the test tells it to; its misbehaviours have names.

One line is a server that takes mail::

    with fake_smtp() as server:
        report = check(server.target())
    assert server.mails == [("app@example.com", ["test@example.com"], b"From: ...")]

While it runs: ``host``, ``port``, ``heard`` (command lines, decoded, credentials included),
``challenges`` (those of AUTH, without base64),
``mails`` (mail_from, recipients, message without dot-stuffing), ``reads`` (every chunk that
came, decrypted: one entry is one segment of the client), ``connections`` (how many came),
``ca_file`` (trust it), ``policy`` (lets a check reach it) and ``target(**changes)``.

Knobs of ``fake_smtp``:

- ``tls``: "" (default), "starttls" or "implicit"; ``certificate``: "good", "expired",
  "expires-soon", "not-yet-valid", "wrong-name", "untrusted" (of a CA that nobody knows),
  "self-signed", "no-intermediate", "expired-intermediate", "says TEXT", "untrusted, says TEXT";
  ``client_certificate``:
  ask for one; ``tls_version``: an ``ssl.TLSVersion`` to allow alone.
- ``login``: ``("user", "password")`` switches AUTH on; anything else is refused with 535.
  ``mechanisms``: what is offered, default "PLAIN LOGIN"; CRAM-MD5 and SCRAM-SHA-256 work too.
  ``auth_needs_tls``: AUTH is offered only after STARTTLS. ``refuses_mechanisms``: offered, but
  refused with ``refusal``, default 504; ``refuses_after_challenge``: likewise, after a 334.
  ``ignores_initial_response``: asks again for what came with AUTH. ``prompt``: sent in place of
  each challenge of PLAIN and LOGIN. ``asks_without_end``: the answer to AUTH and all that follows.
  ``scram_rounds``: the number of iterations that SCRAM is asked for.
- ``capabilities``: lines of the EHLO reply, default PIPELINING, SIZE and 8BITMIME.
- ``replies``: what to answer instead, by verb: "connect" (the greeting), "EHLO", "HELO",
  "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot" (the verdict), "RSET", "QUIT". A value is

  - a string: sent as it is, with CRLF behind it;
  - bytes: sent as they are;
  - ``SILENCE``, ``HANG_UP``, ``RESET``, ``DRIP`` (a blank every 20 ms without end),
    ``FLOOD`` (reply lines without end), ``ENDLESS_LINE``;
  - ``EachConnection(first, second, ...)``: one for each connection, the last for all further ones;
  - ``Slowly(seconds, reply)``, ``HangUpAfter(bytes)``, ``AfterNoise(bytes)``;
  - a list: one for each time that the verb comes, the last one for all further times.
- ``loses_pipelined``: of commands that come in one segment only the first is seen.
- ``misbehaviour``: a name out of ``MISBEHAVIOURS``, for knobs that belong together.
- ``host``: the address to listen on, default 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import scramp

from smtpweb.mailcheck import EgressPolicy, Encryption, Target
from tests.support.fake_certificates import ca_file, server_context


class _Deed:
    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name


SILENCE = _Deed("SILENCE")
HANG_UP = _Deed("HANG_UP")
RESET = _Deed("RESET")
DRIP = _Deed("DRIP")
FLOOD = _Deed("FLOOD")
ENDLESS_LINE = _Deed("ENDLESS_LINE")


@dataclass(frozen=True)
class Slowly:
    """Answer after some seconds."""

    seconds: float
    reply: Any


class EachConnection(tuple[Any, ...]):
    """One reply for each connection, the last one for all further connections."""

    def __new__(cls, *replies: Any) -> EachConnection:
        return super().__new__(cls, replies)


@dataclass(frozen=True)
class HangUpAfter:
    """Send these bytes and hang up."""

    data: bytes


@dataclass(frozen=True)
class AfterNoise:
    """Wait for any bytes first, as a server does whose clients speak first; then hang up."""

    data: bytes


MISBEHAVIOURS: dict[str, dict[str, Any]] = {
    "silent from the start": {"replies": {"connect": SILENCE}},
    "hangs up without a greeting": {"replies": {"connect": HANG_UP}},
    "resets without a greeting": {"replies": {"connect": RESET}},
    "drips its greeting": {"replies": {"connect": DRIP}},
    "drips the reply to EHLO": {"replies": {"EHLO": DRIP}},
    "floods the greeting": {"replies": {"connect": FLOOD}},
    "floods the reply to EHLO": {"replies": {"EHLO": FLOOD}},
    "never ends a line": {"replies": {"EHLO": ENDLESS_LINE}},
    "goes silent after EHLO": {"replies": {"EHLO": SILENCE}},
    "goes silent at MAIL": {"replies": {"MAIL": SILENCE}},
    "goes silent after the dot": {"replies": {"dot": SILENCE}},
    "hangs up after EHLO": {"replies": {"EHLO": HANG_UP}},
    "hangs up after the dot": {"replies": {"dot": HANG_UP}},
    "resets after the dot": {"replies": {"dot": RESET}},
    "floods after the verdict": {"replies": {"QUIT": FLOOD}},
    "drips after the verdict": {"replies": {"QUIT": DRIP}},
    "resets at QUIT": {"replies": {"QUIT": RESET}},
    "hangs up at QUIT": {"replies": {"QUIT": HANG_UP}},
    "ignores QUIT": {"replies": {"QUIT": SILENCE}},
    "says everything at once": {
        "replies": {
            "connect": b"220 hi\r\n" + b"250 ok\r\n" * 3 + b"354 go\r\n250 queued\r\n221 bye\r\n",
            "EHLO": SILENCE,
        }
    },
    "injects behind STARTTLS": {
        "tls": "starttls",
        "replies": {"STARTTLS": b"220 go ahead\r\n250 injected\r\n"},
    },
    "goes on in clear after STARTTLS": {
        "tls": "starttls",
        "replies": {"STARTTLS": b"220 go ahead\r\n", "EHLO": ["250-fake\r\n250 STARTTLS"]},
    },
    "loses pipelined commands": {"loses_pipelined": True},
    "speaks HTTP": {"replies": {"connect": b"HTTP/1.1 400 Bad Request\r\n\r\n"}},
    "speaks SSH": {"replies": {"connect": b"SSH-2.0-OpenSSH_9.2\r\n"}},
    "speaks IMAP": {"replies": {"connect": b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n"}},
    "speaks POP3": {"replies": {"connect": b"+OK POP3 ready <1@example.com>\r\n"}},
    "speaks FTP": {
        "replies": {"connect": "220 (vsFTPd 3.0.3)", "EHLO": "530 Please login with USER and PASS.",
                    "HELO": "530 Please login with USER and PASS."}
    },
    "sends binary": {"replies": {"connect": bytes(range(256)) + b"\r\n"}},
}  # fmt: skip


@dataclass
class FakeServer:
    """A running server, as the test sees it."""

    host: str
    port: int
    knobs: dict[str, Any]
    ca_file: Path | None
    heard: list[str] = field(default_factory=list)
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    reads: list[bytes] = field(default_factory=list)
    challenges: list[bytes] = field(default_factory=list)  # of AUTH, without base64
    connections: int = 0

    @property
    def policy(self) -> EgressPolicy:
        """A policy that lets a check come here."""
        return EgressPolicy.parse("127.0.0.0/8,::1/128", "*")

    def target(self, **changes: Any) -> Target:
        """What to check to reach this server with its own settings."""
        tls, login = self.knobs["tls"], self.knobs["login"]
        values: dict[str, Any] = {
            "host": "localhost" if tls else self.host,
            "port": self.port,
            "mail_from": "app@example.com",
            "rcpt_to": "test@example.com",
            "encryption": Encryption(tls or "none"),
            "auth": login is not None,
            "username": login[0] if login else "",
            "password": login[1] if login else "",
            "timeout": 5.0,
            "policy": self.policy,
            "ca_file": self.ca_file,
        }
        return Target(**values | changes)


@contextlib.contextmanager
def fake_smtp(misbehaviour: str | None = None, **knobs: Any) -> Iterator[FakeServer]:
    """Run a server in a thread of its own; see the module for the knobs."""
    values: dict[str, Any] = {
        "tls": "", "certificate": "good", "client_certificate": False, "tls_version": None,
        "login": None, "mechanisms": "PLAIN LOGIN", "auth_needs_tls": False,
        "capabilities": ["PIPELINING", "SIZE 10240000", "8BITMIME"], "replies": {},
        "loses_pipelined": False, "host": "127.0.0.1", "refuses_mechanisms": [],
        "ignores_initial_response": False, "refuses_after_challenge": [], "prompt": None,
        "refusal": "504 5.7.4 Unrecognized authentication type", "asks_without_end": None,
        "scram_rounds": None,
    }  # fmt: skip
    given = {**MISBEHAVIOURS[misbehaviour], **knobs} if misbehaviour else knobs
    assert given.keys() <= values.keys(), given.keys() - values.keys()
    values |= given
    context = None
    if values["tls"]:
        context = server_context(
            values["certificate"], values["client_certificate"], values["tls_version"]
        )
    listener = socket.create_server(
        (values["host"], 0), family=socket.AF_INET6 if ":" in values["host"] else socket.AF_INET
    )
    server = FakeServer(values["host"], listener.getsockname()[1], values, ca_file())
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # clients break off; that is the point
    stop = asyncio.Event()
    started = threading.Event()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(_serve(server, listener, context, started, stop))
        loop.close()

    thread = threading.Thread(target=serve, name="fake smtp", daemon=True)
    thread.start()
    started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _serve(
    server: FakeServer,
    listener: socket.socket,
    context: ssl.SSLContext | None,
    started: threading.Event,
    stop: asyncio.Event,
) -> None:
    tasks: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        plain = writer.transport
        try:
            # Not by start_server: a handshake that is under way when the test is over would be
            # nobody's, and its socket left open.
            if server.knobs["tls"] == "implicit":
                assert context is not None
                await writer.start_tls(context)
            await _Connection(server, reader, writer, context).run()
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            tasks.discard(task)
            writer.transport.abort()
            plain.abort()

    running = await asyncio.start_server(accepted, sock=listener)
    started.set()
    await stop.wait()
    running.close()
    # A connection of the last moment becomes a task of ours first: asyncio drops its socket
    # unclosed if it is cancelled while it is being accepted.
    for _ in range(10):
        await asyncio.sleep(0)
    if tasks:  # let what the client sent last, such as QUIT, still be heard
        await asyncio.wait(tasks, timeout=0.5)
    # Also connections whose TLS handshake is not over: nobody has been told of them yet
    loop = asyncio.get_running_loop()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for transport in list(getattr(loop, "_transports", {}).values()):
        transport.abort()
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for transport in list(getattr(loop, "_transports", {}).values()):
        transport.abort()
    await asyncio.sleep(0.005)  # let aborted transports close their sockets


class _Connection:
    def __init__(
        self,
        server: FakeServer,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        context: ssl.SSLContext | None,
    ):
        self.server = server
        self.reader = reader
        self.writer = writer
        self.context = context
        self.encrypted = server.knobs["tls"] == "implicit"
        self.buffer = b""
        self.number = server.connections
        self.times: dict[str, int] = {}
        self.mail_from: str | None = None
        self.recipients: list[str] = []

    async def run(self) -> None:
        await self.answer("connect", "220 fake.example.com ESMTP")
        while True:
            line = await self.line()
            self.server.heard.append(line.decode("utf-8", "replace"))
            verb, _, rest = line.decode("utf-8", "replace").partition(" ")
            if await self.command(verb.upper(), rest):
                return

    async def command(self, verb: str, rest: str) -> bool:
        match verb:
            case "EHLO":
                lines = ["fake.example.com", *self.capabilities()]
                marks = ["-"] * (len(lines) - 1) + [" "]
                text = "\r\n".join(
                    f"250{mark}{line}" for mark, line in zip(marks, lines, strict=True)
                )
                await self.answer("EHLO", text)
            case "HELO":
                await self.answer("HELO", "250 fake.example.com")
            case "STARTTLS":
                await self.answer("STARTTLS", "220 go ahead")
                if "STARTTLS" not in self.server.knobs["replies"]:
                    assert self.context is not None
                    await self.writer.start_tls(self.context)
                    self.encrypted = True
            case "AUTH":
                await self.auth(rest)
            case "MAIL":
                reply = self.planned("MAIL", "250 2.1.0 Ok")
                self.mail_from = _path(rest) if _code(reply).startswith("2") else None
                self.recipients = []
                await self.do(reply)
            case "RCPT":
                good = self.mail_from is not None
                reply = self.planned("RCPT", "250 2.1.5 Ok" if good else "503 5.5.1 need MAIL")
                if _code(reply).startswith("2"):
                    self.recipients.append(_path(rest))
                await self.do(reply)
            case "DATA":
                good = bool(self.recipients)
                reply = self.planned(
                    "DATA", "354 End data" if good else "554 5.5.1 Error: no valid recipients"
                )
                await self.do(reply)
                if _code(reply).startswith("354"):
                    await self.content()
            case "RSET":
                self.recipients = []
                await self.answer("RSET", "250 2.0.0 Ok")
            case "QUIT":
                await self.answer("QUIT", "221 2.0.0 Bye")
                return True
            case _:
                await self.answer(verb, "500 5.5.2 Error: command not recognized")
        return False

    def capabilities(self) -> list[str]:
        knobs = self.server.knobs
        lines = list(knobs["capabilities"])
        if knobs["tls"] == "starttls" and not self.encrypted:
            lines.append("STARTTLS")
        if knobs["login"] and (self.encrypted or not knobs["auth_needs_tls"]):
            lines.append(f"AUTH {knobs['mechanisms']}")
        return lines

    async def content(self) -> None:
        body = b""
        while not (b"\r\n" + body).endswith(b"\r\n.\r\n"):
            body += await self.line() + b"\r\n"
        message = body.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        reply = self.planned("dot", "250 2.0.0 Ok: queued as 4FAKE1D")
        if self.recipients and self.mail_from is not None and _code(reply).startswith("2"):
            self.server.mails.append((self.mail_from, self.recipients, message))
        self.recipients = []
        await self.do(reply)

    async def auth(self, rest: str) -> None:
        if "AUTH" in self.server.knobs["replies"] or not self.server.knobs["login"]:
            await self.answer("AUTH", "503 5.5.1 Error: authentication not enabled")
            return
        mechanism, _, first = rest.partition(" ")
        if mechanism.upper() in self.server.knobs["refuses_mechanisms"]:
            await self.do(self.server.knobs["refusal"])
            return
        if mechanism.upper() in self.server.knobs["refuses_after_challenge"]:
            await self.challenge(b"")
            await self.do(self.server.knobs["refusal"])
            return
        if (endless := self.server.knobs["asks_without_end"]) is not None:
            while self.server.heard[-1] != "*":
                await self.send(endless)
                self.server.heard.append((await self.line()).decode())
            return
        if self.server.knobs["ignores_initial_response"]:
            first = ""
        try:
            good = await getattr(self, "auth_" + mechanism.lower().replace("-", "_"))(first)
        except (ValueError, AttributeError, scramp.ScramException):
            good = False
        await self.do(
            "235 2.7.0 Authentication successful"
            if good
            else "535 5.7.8 Error: authentication failed: wrong login or password"
        )

    async def auth_plain(self, first: str) -> bool:
        raw = base64.b64decode(first) if first else await self.challenge(b"")
        user, password = self.server.knobs["login"]
        return raw == f"\0{user}\0{password}".encode()

    async def auth_login(self, first: str) -> bool:
        given = base64.b64decode(first) if first else await self.challenge(b"Username:")
        secret = await self.challenge(b"Password:")
        user, password = self.server.knobs["login"]
        return (given, secret) == (user.encode(), password.encode())

    async def auth_cram_md5(self, first: str) -> bool:
        challenge = b"<1896.697170952@fake.example.com>"
        given = await self.challenge(challenge)
        user, password = self.server.knobs["login"]
        digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
        return given == f"{user} {digest}".encode()

    async def auth_scram_sha_256(self, first: str) -> bool:
        user, password = self.server.knobs["login"]
        mechanism = scramp.ScramMechanism("SCRAM-SHA-256")
        salt, stored, server_key, rounds = mechanism.make_auth_info(password)
        server = mechanism.make_server(
            lambda name: (salt, stored, server_key, rounds) if name == user else None
        )
        if not first:  # too long for the line of AUTH
            first = base64.b64encode(await self.challenge(b"")).decode()
        server.set_client_first(base64.b64decode(first).decode())
        begin = server.get_server_first()
        if (asked := self.server.knobs["scram_rounds"]) is not None:
            begin = begin.replace(f"i={rounds}", f"i={asked}")
        server.set_client_final((await self.challenge(begin.encode())).decode())
        await self.challenge(server.get_server_final().encode())
        return True

    async def challenge(self, text: bytes) -> bytes:
        prompt = self.server.knobs["prompt"]
        self.server.challenges.append(text)
        await self.send(prompt or b"334 " + base64.b64encode(text) + b"\r\n")
        line = await self.line()
        self.server.heard.append(line.decode())
        return base64.b64decode(line, validate=True)

    async def line(self) -> bytes:
        while b"\n" not in self.buffer:
            chunk = await self.reader.read(65536)
            if not chunk:
                raise EOFError
            self.server.reads.append(chunk)
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        if self.server.knobs["loses_pipelined"] and line.upper().startswith(b"MAIL "):
            self.buffer = b""
        return line.rstrip(b"\r")

    def planned(self, verb: str, reply: Any) -> Any:
        number = self.times[verb] = self.times.get(verb, 0) + 1
        planned = self.server.knobs["replies"].get(verb, reply)
        if isinstance(planned, EachConnection):
            planned = planned[min(self.number, len(planned)) - 1]
        if isinstance(planned, list):
            return planned[min(number, len(planned)) - 1]
        return planned

    async def answer(self, verb: str, reply: str) -> None:
        await self.do(self.planned(verb, reply))

    async def do(self, reply: Any) -> None:
        if isinstance(reply, Slowly):
            await asyncio.sleep(reply.seconds)
            reply = reply.reply
        if isinstance(reply, str):
            reply = reply.encode() + b"\r\n"
        if isinstance(reply, bytes):
            await self.send(reply)
        elif isinstance(reply, HangUpAfter):
            await self.send(reply.data)
            self.writer.close()
            await self.writer.wait_closed()
            raise EOFError
        elif isinstance(reply, AfterNoise):
            await self.reader.read(65536)
            await self.do(HangUpAfter(reply.data))
        elif reply is SILENCE:
            while await self.reader.read(65536):
                pass
            raise EOFError
        elif reply is HANG_UP:
            raise EOFError
        elif reply is RESET:
            raw = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise EOFError
        elif reply is DRIP:
            await self.send(b"250")
            while True:
                await self.send(b" ")
                await asyncio.sleep(0.02)
        else:
            piece = b"250-and on\r\n" * 1000 if reply is FLOOD else b"2" * 16384
            while True:
                await self.send(piece)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


def _code(reply: Any) -> str:
    """The code of a planned reply, "" for a deed that is none."""
    if isinstance(reply, Slowly):
        return _code(reply.reply)
    last = reply.splitlines()[-1] if isinstance(reply, bytes | str) and reply.strip() else ""
    return last[:3].decode("latin-1") if isinstance(last, bytes) else last[:3]


def _path(rest: str) -> str:
    return rest[rest.index("<") + 1 : rest.index(">")]
