"""``make demo``: smtpweb with an account, an app and sandbox SMTP servers on loopback.

One of the sandbox servers works; each of the others shows a common failure. A further one works at
first, fails after a minute and recovers, so that alarms arrive in the mailbox. All state is in
``instance/demo``: the installation in ``instance`` is neither read nor written, and the caller's
``SMTPWEB_...`` settings are ignored.
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
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from sqlalchemy.exc import SQLAlchemyError

from . import __main__ as launcher
from . import config, installation, logs
from .accounts import users
from .app import create_app
from .database.session import db
from .errors import ConfigError, NotFound
from .monitoring import schedule
from .registry import apps, smtps

STATE = config.INSTANCE / "demo"
USER = "demo"
APP = "Demo shop"
STORY_APP = "Demo newsletter"
WORKS, BREAKS = "Delivers", "Breaks and recovers"
MAILBOX = STATE / "mailbox"
KEPT_MAILS = 200
# Seconds after the start when the newsletter's server begins to refuse its password, and accepts
# it again; STORY_PACE: seconds between two checks of the newsletter's servers.
BREAKS_AFTER, RECOVERS_AFTER, STORY_ENDS = 60.0, 120.0, 180.0
STORY_PACE = 5.0
LOGIN, PASSWORD = "shop@example.com", "open sesame"
# The only usual port that needs no root: a check proposes it where the others fail.
USUAL_PORT = 2525

_ARRIVAL = re.compile(rb"http://127\.0\.0\.1:[0-9]+/received/[A-Za-z0-9_-]+")
Protocol = Callable[[], asyncio.BaseProtocol]


def main() -> None:
    """Serve until Ctrl-C, then stop everything."""
    # aiosmtpd is verbose: to it, even a client that rejects a certificate is an ERROR.
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    try:
        port = config.web_port(os.environ)
        launcher.refuse_taken(port)
        servers = open_sandboxes()
        environment = prepare(servers, port)
        threading.Thread(target=tell_story, args=(environment,), name="story", daemon=True).start()
        status = launcher.run_all(environment)
    except ConfigError as error:
        print(f"smtpweb: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:  # before anything was served
        status = 0
    print("\nThe demo has stopped.")
    sys.exit(status)


# --- sandbox SMTP servers ------------------------------------------------------------------


@dataclass(frozen=True)
class Sandbox:
    """A sandbox server, and the settings it is registered with.

    ``shows``: what its check shows, which is its name.
    """

    shows: str
    protocol: Protocol | None  # None: nothing listens on its port
    starttls: bool = False
    ssltls: bool = False
    auth: bool = False
    password: str = PASSWORD
    app: str = APP


def sandboxes(authority: trustme.CA) -> list[Sandbox]:
    """The servers of the demo, in the order in which its app uses them."""
    now = datetime.datetime.now(datetime.UTC)
    good = tls_context(
        authority.issue_cert("127.0.0.1", "localhost", not_after=now + datetime.timedelta(days=90))
    )
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
            "Wrong password", mail_server(Mailbox(), **login), starttls=True, auth=True,
            password="open barley",  # noqa: S106
        ),
        Sandbox("Wrong port", None, starttls=True, auth=True),
        Sandbox("Wrong encryption", mail_server(Mailbox(), **login), ssltls=True, auth=True),
        Sandbox(
            "Certificate expired", mail_server(Mailbox(), tls_context=expired), starttls=True
        ),
        Sandbox("No STARTTLS", mail_server(Mailbox()), starttls=True),
        Sandbox("Refuses to relay", mail_server(NoRelay())),
        Sandbox("Never answers", asyncio.Protocol),
        Sandbox(
            BREAKS,
            mail_server(
                Mailbox(), tls_context=good, authenticator=authenticate_for_a_minute,
                auth_required=True,
            ),
            starttls=True, auth=True, app=STORY_APP,
        ),
    ]  # fmt: skip


def tls_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """The TLS context of a server with this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, credentials: Any
) -> AuthResult:
    """Accept the user name and password of the sandbox."""
    accepted = (credentials.login, credentials.password) == (LOGIN.encode(), PASSWORD.encode())
    return AuthResult(success=accepted, handled=False)


_began = time.monotonic()


def authenticate_for_a_minute(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
) -> AuthResult:
    """Authenticate as :func:`authenticate` does, but refuse while the server is to fail."""
    if BREAKS_AFTER <= time.monotonic() - _began < RECOVERS_AFTER:
        return AuthResult(success=False, handled=False)
    return authenticate(server, session, envelope, mechanism, given)


class Mailbox:
    """Accepts every email, lists it on the console, and stores it for the mailbox page."""

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        """List the email."""
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        subject = email.message_from_bytes(raw, policy=email.policy.default)["Subject"]
        keep(raw)
        line = f"Email for {', '.join(envelope.rcpt_tos)} from {envelope.mail_from}: {subject}"
        print(logs.without_controls(line), flush=True)
        # There is no mailbox here, so the console shows the link that confirms the arrival.
        if (link := _ARRIVAL.search(raw)) is not None:
            print(f"  Confirm delivery at {link[0].decode()}", flush=True)
        return f"250 2.0.0 Ok: queued as {secrets.token_hex(5).upper()}"


def keep(raw: bytes) -> None:
    """Store an email in the mailbox atomically, and remove the oldest."""
    MAILBOX.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = MAILBOX / f"{secrets.token_hex(8)}.part"
    draft.write_bytes(raw)
    draft.rename(MAILBOX / f"{time.time_ns():020}.eml")
    for path in sorted(MAILBOX.glob("*.eml"))[:-KEPT_MAILS]:
        path.unlink(missing_ok=True)


class NoRelay(Mailbox):
    """Refuse every recipient."""

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, _envelope: Envelope, address: str, _options: Any
    ) -> str:
        """Refuse to relay, with Postfix's reply."""
        return f"554 5.7.1 <{address}>: Relay access denied"


def open_sandboxes() -> list[tuple[Sandbox, int]]:
    """Start all sandbox servers on free ports of loopback, in a daemon thread."""
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(STATE / "ca.pem"))
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="sandboxes", daemon=True).start()
    opened = []
    for sandbox in sandboxes(authority):
        listener = _bound(USUAL_PORT if sandbox.shows == WORKS else 0)
        if sandbox.protocol is None:
            _reserved.append(listener)  # bound but not listening: no other program can take it
        else:
            serving = loop.create_server(sandbox.protocol, sock=listener)
            asyncio.run_coroutine_threadsafe(serving, loop).result()
        opened.append((sandbox, int(listener.getsockname()[1])))
    return opened


_reserved: list[socket.socket] = []


def _bound(port: int) -> socket.socket:
    """A socket bound to this port of loopback, or to any free one if it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    return listener


# --- the demo's own installation -------------------------------------------------------------


def prepare(servers: list[tuple[Sandbox, int]], port: int) -> dict[str, str]:
    """Migrate and fill the demo's database; returns the environment to serve it in."""
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
        # Only these servers: an entry with a port allows no other port of this machine.
        "SMTPWEB_EGRESS_ALLOW": ",".join(f"127.0.0.1/32:{number}" for _, number in servers),
        "SMTPWEB_BASE_URL": f"http://127.0.0.1:{port}",  # for the links in alarms
        "SMTPWEB_DEMO_MAILBOX": str(MAILBOX),
        "SMTPWEB_CHECK_TIMEOUT": "6",  # one server never answers: don't wait 25 seconds for it
    }
    settings = config.load(environment)
    launcher.bring_up_to_date(settings)
    app = create_app(settings)
    with app.app_context():
        installation.make_ready()
        password = register(servers)
        db.session.remove()
        db.engine.dispose()
    print(f"Sign in at http://127.0.0.1:{port} as {USER} with the password {password}")
    print(f"The app {APP!r} has these SMTP servers, all on this machine. Check each of them:")
    for sandbox, number in servers:
        if sandbox.app == APP:
            print(f"  127.0.0.1:{number:<6} {sandbox.shows}")
    print(f"Their user name is {LOGIN}, their password {PASSWORD!r}.")
    print(
        f"A server of the app {STORY_APP!r} fails in a minute and recovers a minute later: alarms"
    )
    print(f"arrive at http://127.0.0.1:{port}/demo/mailbox, as do all emails.")
    print("Emails that arrive are listed here too. Press Ctrl-C to stop the demo.", flush=True)
    return environment


def register(servers: list[tuple[Sandbox, int]]) -> str:
    """Create the account, and its app with these servers; returns the account's new password."""
    password = secrets.token_urlsafe(12)
    try:
        user = users.find_user(USER)
        users.set_password(user.id, password)
    except NotFound:
        user = users.create_user(USER, "demo@example.com", password, is_admin=True)
    for app in apps.find_all(user.id, 0, 1000)[0]:
        if app.name in (APP, STORY_APP):
            apps.remove(user.id, app.id)
    # The shop's servers are for checks by hand, so their failures cause no alarms.
    shop = [server for server in servers if server[0].app == APP]
    _add_app(user.id, APP, "shop@example.com", shop, 0)
    backup = [server for server in servers if server[0].shows == WORKS]
    story = [server for server in servers if server[0].app == STORY_APP]
    _add_app(user.id, STORY_APP, "newsletter@example.com", story + backup, 15)
    return password


def _add_app(
    user_id: str, name: str, sender: str, servers: list[tuple[Sandbox, int]], checkevery: int
) -> None:
    app = apps.save(
        user_id,
        {
            "name": name,
            "testemail": "test@example.com",
            "defaultfromemail": sender,
            "strategy": "PRIORITY",
            "checkevery": checkevery,
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
            "name": sandbox.shows,
            "defaultfromname": app.name,
        }
        if sandbox.auth:
            changes["username"], changes["password"] = LOGIN, sandbox.password
        smtps.save(user_id, app.id, changes)


def tell_story(environment: dict[str, str]) -> None:
    """Make the newsletter's servers due every few seconds until the story ends."""
    app = create_app(config.load(environment))
    with app.app_context():
        while time.monotonic() - _began < STORY_ENDS:
            time.sleep(STORY_PACE)
            try:
                user = users.find_user(USER)
                for demo_app in apps.find_all(user.id, 0, 1000)[0]:
                    if demo_app.name == STORY_APP:
                        schedule.make_due(demo_app.id)
            except (SQLAlchemyError, NotFound):
                continue  # the database is busy, or the visitor removed the app
            finally:
                db.session.remove()
        db.engine.dispose()


if __name__ == "__main__":
    main()
