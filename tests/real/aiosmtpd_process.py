"""A real aiosmtpd, in a process of its own because it warns about unsafe settings by design.

``python -m tests.real.aiosmtpd_process FOLDER DOOR=PORT...`` serves until it is ended.
"""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiosmtpd
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.real import certificates
from tests.real.servers import (
    GREYLISTED,
    LOGIN,
    MAILBOX,
    NOT_OWNED,
    PASSWORD,
    TINY,
    Door,
    RealServer,
    all_answer,
    maildir,
)  # fmt: skip
from tests.support.serving import clean_environment, free_port, program


class _Handler(Mailbox):
    """What aiosmtpd leaves to its users to say: all about senders and recipients."""

    async def handle_MAIL(self, server, session, envelope, address, options):  # type: ignore[no-untyped-def]
        if address == NOT_OWNED:
            return f"553 5.7.1 <{address}>: Sender address not allowed for this login"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):  # type: ignore[no-untyped-def]
        if address == GREYLISTED:
            return "451 4.7.1 Greylisted, please try again later"
        if not address.endswith("@example.com"):
            return f"550 5.7.1 Relaying denied: {address}"
        if address != MAILBOX:
            return f"550 5.1.1 No such user: {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (
        LOGIN.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=good, handled=False)


def _controller(folder: Path, door: Door, port: int) -> Controller:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / ("old.pem" if door is Door.EXPIRED else "good.pem"))
    if door is Door.CLIENT_CERTIFICATE:
        context.load_verify_locations(folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    settings: dict[str, Any] = {"hostname": "127.0.0.1", "port": port}
    settings["handler"] = _Handler(folder / "mail")
    if door is Door.TLS:
        settings |= {"ssl_context": context, "auth_require_tls": False}
    else:
        settings |= {"tls_context": context, "require_starttls": door is not Door.INCOMING}
    if door is not Door.INCOMING:
        settings |= {"auth_required": True, "authenticator": _authenticate}
    if door is Door.SMALL:
        settings["data_size_limit"] = TINY
    return Controller(**settings)


@contextmanager
def aiosmtpd_process(folder: Path) -> Iterator[RealServer]:
    """Run one."""
    ports = {door: free_port() for door in Door}
    (folder / "ca.pem").write_bytes(certificates.authority())
    for name, expired in (("good", False), ("old", True)):
        (folder / f"{name}.pem").write_bytes(b"".join(certificates.certificate(expired)))
    words = [f"{door}={port}" for door, port in ports.items()]
    command = [sys.executable, "-m", "tests.real.aiosmtpd_process", str(folder), *words]
    with program(command, env=clean_environment(folder), log=folder / "log") as running:
        running.wait_for(lambda: all_answer(ports))
        yield RealServer(
            f"aiosmtpd {aiosmtpd.__version__}", ports, lambda: maildir(folder / "mail")
        )


if __name__ == "__main__":
    for word in sys.argv[2:]:
        door, _, port = word.partition("=")
        _controller(Path(sys.argv[1]), Door(door), int(port)).start()
    threading.Event().wait()
