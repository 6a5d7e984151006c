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
            await Connection(server, reader, writer, context).run()
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
