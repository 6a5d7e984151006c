"""``make demo``: the real server with an account, an app and sandbox SMTP servers on loopback.

One of the sandbox servers works, the others fail in ways that are worth seeing once. All state
is in ``instance/demo``: nothing of the installation in ``instance`` is read or written, and no
``SMTPWEB_...`` setting of the caller counts.
"""

from __future__ import annotations

import asyncio
import datetime
import email
import email.policy
import logging
import os
import re
import secrets
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from . import __main__ as launcher
from . import config, installation, logs
from .accounts import users
from .app import create_app
from .database.session import db
from .errors import ConfigError, NotFound
from .registry import apps, smtps

STATE = config.INSTANCE / "demo"
USER = "demo"
APP = "Demo shop"
WORKS = "works"
LOGIN, PASSWORD = "shop@example.com", "open sesame"
USUAL_PORT = 2525  # the only usual one that needs no root: what a check proposes when others fail

_ARRIVAL = re.compile(rb"http://127\.0\.0\.1:[0-9]+/received/[A-Za-z0-9_-]+")
Protocol = Callable[[], asyncio.BaseProtocol]


def main() -> None:
    """Serve until Ctrl-C, then end everything."""
    # aiosmtpd says much, none of it news; a client that rejects a certificate is an ERROR to it.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    try:
        port = config.web_port(os.environ)
        launcher.refuse_taken(port)
        servers = open_sandboxes()
        environment = prepare(servers, port)
        status = launcher.run_all(environment)
    except ConfigError as error:
        print(f"smtpweb: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # before anything was served
        status = 0
    print("\nThe demo has ended.")
    sys.exit(status)


# --- sandbox SMTP servers ------------------------------------------------------------------


@dataclass(frozen=True)
class Sandbox:
    """A sandbox server, how it is registered, and what its check shows."""

    shows: str
    protocol: Protocol | None  # None: nobody listens
    starttls: bool = False
    ssltls: bool = False
    auth: bool = False
    password: str = PASSWORD


def sandboxes(authority: trustme.CA) -> list[Sandbox]:
    """The servers of the demo, in the order in which its app uses them."""
    now = datetime.datetime.now(datetime.UTC)
    good = tls_context(authority.issue_cert("127.0.0.1", "localhost"))
    expired = tls_context(
        authority.issue_cert(
            "127.0.0.1",
            not_before=now - datetime.timedelta(days=91),
            not_after=now - datetime.timedelta(days=1),
        )
    )

    def mail_server(handler: Mailbox, **options: Any) -> Protocol:
        return lambda: SMTP(handler, hostname="sandbox.example", enable_SMTPUTF8=True, **options)

    login = {"tls_context": good, "authenticator": authenticate, "auth_required": True}
    return [
        Sandbox(WORKS, mail_server(Mailbox(), **login), starttls=True, auth=True),
        Sandbox(
            "wrong password", mail_server(Mailbox(), **login), starttls=True, auth=True,
            password="open barley",  # noqa: S106
        ),
        Sandbox("wrong port", None, starttls=True, auth=True),
        Sandbox("wrong mode", mail_server(Mailbox(), **login), ssltls=True, auth=True),
        Sandbox(
            "expired certificate", mail_server(Mailbox(), tls_context=expired), starttls=True
        ),
        Sandbox("STARTTLS missing", mail_server(Mailbox()), starttls=True),
        Sandbox("relay denied", mail_server(NoRelay())),
        Sandbox("silence", asyncio.Protocol),
    ]  # fmt: skip


def tls_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """A server's context with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
) -> AuthResult:
    """Let in who knows the login of the sandbox."""
    good = (given.login, given.password) == (LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False)


class Mailbox:
    """Takes every mail, and lists it on the console."""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """List the mail."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        subject = email.message_from_bytes(raw, policy=email.policy.default)["Subject"]
        line = f"Mail for {', '.join(envelope.rcpt_tos)} from {envelope.mail_from}: {subject}"
        print(logs.without_controls(line), flush=True)
        # Nobody has a mailbox here, so the console is where the reader of the mail finds its link
        if (link := _ARRIVAL.search(raw)) is not None:
            print(f"  It came? Say so at {link[0].decode()}", flush=True)
        return f"250 2.0.0 Ok: queued as {secrets.token_hex(5).upper()}"


class NoRelay(Mailbox):
    """Takes mail for nobody here."""

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, _envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Refuse as Postfix does."""
        return f"554 5.7.1 <{address}>: Relay access denied"


def open_sandboxes() -> list[tuple[Sandbox, int]]:
    """Serve them all on free ports of loopback, in a thread that ends with this process."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(STATE / "ca.pem"))
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="sandboxes", daemon=True).start()
    opened = []
    for sandbox in sandboxes(authority):
        listener = _bound(USUAL_PORT if sandbox.shows == WORKS else 0)
        if sandbox.protocol is None:
            _held.append(listener)  # ours, so that nobody else comes to listen there
        else:
            serving = loop.create_server(sandbox.protocol, sock=listener)
            asyncio.run_coroutine_threadsafe(serving, loop).result()
        opened.append((sandbox, int(listener.getsockname()[1])))
    return opened


_held: list[socket.socket] = []


def _bound(port: int) -> socket.socket:
    """A socket on this port of loopback, or on any free one if it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    return listener


# --- the installation that shows them --------------------------------------------------------


def prepare(servers: list[tuple[Sandbox, int]], port: int) -> dict[str, str]:
    """Bring the demo's own installation up to date; returns the environment to serve it in."""
    config.make_first_keys(STATE)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SMTPWEB_")
    } | {
        "PORT": str(port),
        "SMTPWEB_DATABASE_URL": f"sqlite:///{STATE / 'smtpweb.db'}",
        "SMTPWEB_SECRET_KEY_FILE": str(STATE / "secret_key"),
        "SMTPWEB_ENCRYPTION_KEYS_FILE": str(STATE / "encryption_keys"),
        "SMTPWEB_CA_FILE": str(STATE / "ca.pem"),
        "SMTPWEB_EHLO_NAME": "[127.0.0.1]",
        # These servers and no other place on this machine; an entry with a port opens just that.
        "SMTPWEB_EGRESS_ALLOW": ",".join(f"127.0.0.1/32:{number}" for _, number in servers),
        "SMTPWEB_CHECK_TIMEOUT": "6",  # the silent server need not be waited for any longer
    }
    settings = config.load(environment)
    launcher.bring_up_to_date(settings)
    app = create_app(settings)
    with app.app_context():
        installation.make_ready()
        password = furnish(servers)
        db.session.remove()
        db.engine.dispose()
    print(f"Sign in at http://127.0.0.1:{port} as {USER} with the password {password}")
    print(f"The app {APP!r} has these SMTP servers, all on this machine. Check each of them:")
    for sandbox, number in servers:
        print(f"  127.0.0.1:{number:<6} {sandbox.shows}")
    print(f"They know the login {LOGIN} with the password {PASSWORD!r}.")
    print("Mails that arrive are listed here. Ctrl-C ends everything.", flush=True)
    return environment


def furnish(servers: list[tuple[Sandbox, int]]) -> str:
    """Make the account and, on the ports of this time, its app; returns the new password."""
    password = secrets.token_urlsafe(12)
    try:
        user = users.find_user(USER)
        users.set_password(user.id, password)
    except NotFound:
        user = users.create_user(USER, "demo@example.com", password, is_admin=True)
    for app in apps.find_all(user.id, 0, 1000)[0]:
        if app.name == APP:
            apps.remove(user.id, app.id)
    shop = apps.save(
        user.id,
        {
            "name": APP,
            "testemail": "test@example.com",
            "defaultfromemail": "shop@example.com",
            "strategy": "PRIORITY",
        },
    )
    for priority, (sandbox, port) in enumerate(servers, 1):
        changes: smtps.SmtpChanges = {
            "priority": priority,
            "host": "127.0.0.1",
            "port": port,
            "starttls": sandbox.starttls,
            "ssltls": sandbox.ssltls,
            "auth": sandbox.auth,
            "defaultfromname": f"Sandbox: {sandbox.shows}",
        }
        if sandbox.auth:
            changes["username"], changes["password"] = LOGIN, sandbox.password
        smtps.save(user.id, shop.id, changes)
    return password


if __name__ == "__main__":
    main()
