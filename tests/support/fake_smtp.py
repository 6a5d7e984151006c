"""An SMTP server controlled by the test; its misbehaviours have names.

One line starts a server that accepts email::

    with fake_smtp() as server:
        report = check(server.target())
    assert server.mails == [("app@example.com", ["test@example.com"], b"From: ...")]

While it runs: ``host``, ``port``, ``heard`` (command lines, decoded, credentials included),
``challenges`` (those of AUTH, without base64),
``mails`` (mail_from, recipients, message without dot-stuffing), ``reads`` (every chunk
received, decrypted: one entry is one segment from the client), ``connections`` (their number),
``ca_file`` (trust it), ``policy`` (lets a check reach it) and ``target(**changes)``.

Knobs of ``fake_smtp``:

- ``tls``: "" (default), "starttls" or "implicit"; ``certificate``: "good", "expired",
  "expires-soon", "not-yet-valid", "wrong-name", "untrusted" (of an unknown CA),
  "self-signed", "no-intermediate", "expired-intermediate", "says TEXT", "untrusted, says TEXT";
  ``client_certificate``: request one; ``tls_version``: the only ``ssl.TLSVersion`` allowed.
- ``login``: ``("user", "password")`` enables AUTH; anything else is refused with 535.
  ``mechanisms``: those offered, default "PLAIN LOGIN"; CRAM-MD5 and SCRAM-SHA-256 work too.
  ``auth_needs_tls``: AUTH is offered only after STARTTLS. ``refuses_mechanisms``: offered, but
  refused with ``refusal``, default 504; ``refuses_after_challenge``: likewise, after a 334.
  ``ignores_initial_response``: requests again what was sent with AUTH. ``prompt``: replaces
  each challenge of PLAIN and LOGIN. ``asks_without_end``: the reply to AUTH and all that follows.
  ``scram_rounds``: the number of iterations requested in SCRAM.
- ``token``: ``("user", "access token")`` enables AUTH with XOAUTH2 and OAUTHBEARER (``mechanisms``
  chooses). A wrong token gets
  ``token_error``, the JSON of the error challenge (bytes: sent as they are; None: refused at once),
  then, whatever the client says, ``token_refusal``. ``limits_lines``: an AUTH line of more than 512
  octets or a response of more than 12288 is refused, which is the default. ``responses`` lists the
  decoded responses to challenges.
- ``capabilities``: lines of the EHLO reply, default PIPELINING, SIZE and 8BITMIME.
- ``replies``: what to send instead, by verb: "connect" (the greeting), "EHLO", "HELO",
  "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot" (the final reply), "RSET", "QUIT". A value is

  - a string: sent unchanged, followed by CRLF;
  - bytes: sent unchanged;
  - ``SILENCE``, ``HANG_UP``, ``RESET``, ``DRIP`` (a space every 20 ms, endlessly),
    ``FLOOD`` (endless reply lines), ``ENDLESS_LINE``;
  - ``EachConnection(first, second, ...)``: one per connection, the last for all further ones;
  - ``Slowly(seconds, reply)``, ``HangUpAfter(bytes)``, ``AfterNoise(bytes)``;
  - a list: one for each occurrence of the verb, the last for all further ones.
- ``loses_pipelined``: of several commands in one segment, only the first is seen.
- ``misbehaviour``: a name from ``MISBEHAVIOURS``, for a combination of knobs.
- ``host``: the address to listen on, default 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smtpweb.mailcheck import EgressPolicy, Encryption, Target
from tests.support.fake_certificates import ca_file, server_context
from tests.support.fake_connection import Connection
from tests.support.misbehaviour import (
    DRIP,
    ENDLESS_LINE,
    FLOOD,
    HANG_UP,
    MISBEHAVIOURS,
    RESET,
    SILENCE,
    TOKEN_ERROR,
    AfterNoise,
    EachConnection,
    HangUpAfter,
    Slowly,
)

__all__ = [
    "DRIP",
    "ENDLESS_LINE",
    "FLOOD",
    "HANG_UP",
    "MISBEHAVIOURS",
    "RESET",
    "SILENCE",
    "AfterNoise",
    "EachConnection",
    "FakeServer",
    "HangUpAfter",
    "Slowly",
    "fake_smtp",
]


@dataclass
class FakeServer:
    """A running server, as seen by the test."""

    host: str
    port: int
    knobs: dict[str, Any]
    ca_file: Path | None
    heard: list[str] = field(default_factory=list)
    mails: list[tuple[str, list[str], bytes]] = field(default_factory=list)
    reads: list[bytes] = field(default_factory=list)
    challenges: list[bytes] = field(default_factory=list)  # those of AUTH, without base64
    responses: list[bytes] = field(default_factory=list)  # to AUTH with a token, without base64
    connections: int = 0

    @property
    def policy(self) -> EgressPolicy:
        """Return a policy that lets a check connect to this server."""
        return EgressPolicy.parse("127.0.0.0/8,::1/128", "*")

    def target(self, **changes: Any) -> Target:
        """Return a target that reaches this server with its own settings."""
        tls, login, token = self.knobs["tls"], self.knobs["login"], self.knobs["token"]
        values: dict[str, Any] = {
            "host": "localhost" if tls else self.host,
            "port": self.port,
            "mail_from": "app@example.com",
            "rcpt_to": "test@example.com",
            "encryption": Encryption(tls or "none"),
            "auth": login is not None or token is not None,
            "username": (login or token or ("",))[0],
            "password": login[1] if login else "",
            "access_token": token[1] if token else "",
            "timeout": 5.0,
            "policy": self.policy,
            "ca_file": self.ca_file,
        }
        return Target(**values | changes)


@contextlib.contextmanager
def fake_smtp(misbehaviour: str | None = None, **knobs: Any) -> Iterator[FakeServer]:
    """Run a server in its own thread; see the module for the knobs."""
    values: dict[str, Any] = {
        "tls": "", "certificate": "good", "client_certificate": False, "tls_version": None,
        "login": None, "mechanisms": "PLAIN LOGIN", "auth_needs_tls": False,
        "capabilities": ["PIPELINING", "SIZE 10240000", "8BITMIME"], "replies": {},
        "loses_pipelined": False, "host": "127.0.0.1", "refuses_mechanisms": [],
        "ignores_initial_response": False, "refuses_after_challenge": [], "prompt": None,
        "refusal": "504 5.7.4 Unrecognized authentication type", "asks_without_end": None,
        "scram_rounds": None, "token": None, "token_error": TOKEN_ERROR, "limits_lines": True,
        "token_refusal": "535 5.7.8 Error: authentication failed",
    }  # fmt: skip
    given = {**MISBEHAVIOURS[misbehaviour], **knobs} if misbehaviour else knobs
    assert given.keys() <= values.keys(), given.keys() - values.keys()
    values |= given
    if values["token"] and "mechanisms" not in given:
        values["mechanisms"] = "XOAUTH2 OAUTHBEARER"
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
    loop.set_exception_handler(lambda loop, context: None)  # clients disconnect early by design
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
            # Not with start_server: a handshake in progress when the test ends would belong to
            # no task, and its socket would stay open.
            if server.knobs["tls"] == "implicit":
                assert context is not None
                await writer.start_tls(context)
            await Connection(server, reader, writer, context).run()
        except (OSError, EOFError, asyncio.CancelledError):
            pass  # the client disconnected, or the test has ended
        finally:
            tasks.discard(task)
            writer.transport.abort()
            plain.abort()

    running = await asyncio.start_server(accepted, sock=listener)
    started.set()
    await stop.wait()
    running.close()
    # Let a last-moment connection become one of our tasks first: asyncio drops its socket
    # unclosed if it is cancelled while it is being accepted.
    for _ in range(10):
        await asyncio.sleep(0)
    if tasks:  # receive what the client sent last, such as QUIT
        await asyncio.wait(tasks, timeout=0.5)
    # Also connections whose TLS handshake is incomplete: no callback has run for them yet
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
