"""One connection of the fake SMTP server: reads commands, replies according to the knobs."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any

import scramp

from tests.support.misbehaviour import (
    DRIP,
    FLOOD,
    HANG_UP,
    RESET,
    SILENCE,
    AfterNoise,
    EachConnection,
    HangUpAfter,
    Slowly,
)

if TYPE_CHECKING:
    from tests.support.fake_smtp import FakeServer


class Connection:
    """A connected client."""

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
        if (knobs["login"] or knobs["token"]) and (self.encrypted or not knobs["auth_needs_tls"]):
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
        knobs = self.server.knobs
        if knobs["limits_lines"] and len(f"AUTH {rest}\r\n") > 512:  # RFC 4954 4
            await self.do("500 5.5.6 Authentication exchange line is too long")
            return
        if "AUTH" in knobs["replies"] or not (knobs["login"] or knobs["token"]):
            await self.answer("AUTH", "503 5.5.1 Error: authentication not enabled")
            return
        mechanism, _, first = rest.partition(" ")
        if mechanism.upper() in knobs["refuses_mechanisms"]:
            await self.do(knobs["refusal"])
            return
        if mechanism.upper() in knobs["refuses_after_challenge"]:
            await self.challenge(b"")
            await self.do(knobs["refusal"])
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
        refusal = "535 5.7.8 Error: authentication failed: wrong login or password"
        if knobs["token"]:
            refusal = knobs["token_refusal"]
        await self.do("235 2.7.0 Authentication successful" if good else refusal)

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
        if not first:  # too long for the AUTH line
            first = base64.b64encode(await self.challenge(b"")).decode()
        server.set_client_first(base64.b64decode(first).decode())
        begin = server.get_server_first()
        if (asked := self.server.knobs["scram_rounds"]) is not None:
            begin = begin.replace(f"i={rounds}", f"i={asked}")
        server.set_client_final((await self.challenge(begin.encode())).decode())
        await self.challenge(server.get_server_final().encode())
        return True

    async def auth_xoauth2(self, first: str) -> bool:
        user, token = self.server.knobs["token"]
        expected = f"user={user}\1auth=Bearer {token}\1\1".encode()
        return await self.auth_with_token(first, expected)

    async def auth_oauthbearer(self, first: str) -> bool:
        user, token = self.server.knobs["token"]
        authzid = user.replace("=", "=3D").replace(",", "=2C")
        host = "localhost" if self.server.knobs["tls"] else self.server.host
        expected = (
            f"n,a={authzid},\1host={host}\1port={self.server.port}\1auth=Bearer {token}\1\1"
        ).encode()
        return await self.auth_with_token(first, expected)

    async def auth_with_token(self, first: str, expected: bytes) -> bool:
        knobs = self.server.knobs
        response = base64.b64decode(first) if first else await self.challenge(b"")
        self.server.responses.append(response)
        if response == expected:
            return True
        error = knobs["token_error"]
        if error is not None:
            if isinstance(error, bytes):
                await self.send(b"334 " + error + b"\r\n")
                line = await self.line()
                self.server.heard.append(line.decode())
                self.server.responses.append(base64.b64decode(line))
            else:
                challenge = json.dumps(error).encode()
                self.server.responses.append(await self.challenge(challenge))
        return False

    async def challenge(self, text: bytes) -> bytes:
        prompt = self.server.knobs["prompt"]
        self.server.challenges.append(text)
        await self.send(prompt or b"334 " + base64.b64encode(text) + b"\r\n")
        line = await self.line()
        self.server.heard.append(line.decode())
        if self.server.knobs["limits_lines"] and len(line) + 2 > 12288:
            raise ValueError("RFC 4954 4")
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
    """Return the code of a planned reply, "" for a deed without one."""
    if isinstance(reply, Slowly):
        return _code(reply.reply)
    last = reply.splitlines()[-1] if isinstance(reply, bytes | str) and reply.strip() else ""
    return last[:3].decode("latin-1") if isinstance(last, bytes) else last[:3]


def _path(rest: str) -> str:
    return rest[rest.index("<") + 1 : rest.index(">")]
