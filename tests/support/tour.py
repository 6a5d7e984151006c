"""An installation with an example of everything, and the addresses of all its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from smtpweb import config
from smtpweb.accounts import users
from smtpweb.accounts.tokens import ALL_SCOPES, Caller
from smtpweb.app import create_app
from smtpweb.checking import service
from smtpweb.database.models import Check, Incident, StatusChange, Worker, new_id
from smtpweb.database.session import db, now
from smtpweb.monitoring.alarms import channels
from smtpweb.registry import apps, smtps
from smtpweb.registry.smtps import SmtpChanges
from tests.support.fake_certificates import ca_file
from tests.support.fake_smtp import fake_smtp
from tests.support.people import PASSWORD
from tests.support.serving import clean_environment, installation_settings, smtpweb_server

NAME = "ana"
LOGIN = ("shop@example.com", "s3cret")
EHLO = ["PIPELINING", "SIZE 10240000", "8BITMIME", "ENHANCEDSTATUSCODES"]

# The registered servers, in order of use: the knobs of each, and its differing settings.
SERVERS: dict[str, tuple[dict[str, Any], SmtpChanges]] = {
    "refused": (
        {"replies": {"AUTH": "535 5.7.8 Username and Password not accepted"}},
        {"password": "yesterday's"},
    ),
    "accepted": ({"replies": {"dot": "250 2.0.0 Ok: queued as 4F2A1C09D7"}}, {}),
    "expired": ({"certificate": "expired"}, {}),
    "expires": ({"certificate": "expires-soon"}, {}),
}


@dataclass(frozen=True)
class Tour:
    """A running installation; ``pages`` maps what a page shows to its address."""

    url: str
    pages: dict[str, str]

    def sign_in(self, page: Page) -> None:
        """Sign in as the owner of these apps."""
        page.goto(f"{self.url}/login")
        page.locator("input[name=name]").fill(NAME)
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("main button[type=submit], main input[type=submit]").click()
        page.wait_for_url(lambda url: not url.endswith("/login"))


@contextmanager
def tour(folder: Path) -> Iterator[Tour]:
    """Serve it; all checks in it were really run, the older ones are backdated copies."""
    settings = installation_settings(folder) | {
        "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
        "SMTPWEB_EGRESS_PORTS": "*",
        "SMTPWEB_CA_FILE": str(ca_file()),
    }
    with smtpweb_server(folder, **settings) as (url, _):
        app = create_app(config.load(clean_environment(folder, **settings)))
        with app.app_context(), ExitStack() as servers:
            pages = _furnish(servers)
            db.session.remove()
            db.engine.dispose()
        yield Tour(url, pages)


def _furnish(servers: ExitStack) -> dict[str, str]:
    user = users.create_user(NAME, "ana@example.com", PASSWORD, is_admin=True)
    caller = Caller(user.id, ALL_SCOPES)
    shop = apps.save(
        user.id,
        {
            "name": "Web shop",
            "testemail": "postmaster@example.com",
            "defaultfromemail": "shop@example.com",
            "strategy": "PRIORITY",
        },
    )
    checked = {}
    for priority, (what, (knobs, changes)) in enumerate(SERVERS.items()):
        server = servers.enter_context(
            fake_smtp(tls="starttls", login=LOGIN, capabilities=EHLO, **knobs)
        )
        values: SmtpChanges = {
            "host": "localhost",
            "port": server.port,
            "starttls": True,
            "auth": True,
            "username": LOGIN[0],
            "password": LOGIN[1],
            "priority": priority,
        }
        smtp = smtps.save(user.id, shop.id, values | changes)
        checked[what] = service.run(caller, smtp.id)
        _put_back_in_time(checked[what], failed=checked["refused"])
    sandbox = apps.save(
        user.id,
        {"name": "Newsletter", "testemail": "postmaster@example.com", "strategy": "PRIORITY"},
    )
    fresh = smtps.save(user.id, sandbox.id, {"host": "smtp.example.net", "port": 587,
                                             "starttls": True})  # fmt: skip
    empty = apps.save(
        user.id, {"name": "Intranet", "testemail": "postmaster@example.com", "strategy": "PRIORITY"}
    )
    alarm, _secret = channels.save(
        user.id,
        shop.id,
        {"kind": "webhook", "target": "https://hooks.example.com/smtp", "label": "On call",
         "quiet_from": 1320, "quiet_until": 420, "timezone": "Europe/Madrid"},
    )  # fmt: skip
    refused, accepted = checked["refused"], checked["accepted"]
    db.session.add(Worker(name="mail-1:4711", version="0.1.0", seen=now(), checks=1234, failed=5,
                          lost=1, started=now() - timedelta(hours=3)))  # fmt: skip
    db.session.add(Incident(cause="SMTP_RESOLVE_SILENT", checks=12, ended=now()))
    db.session.commit()
    return {
        "home": "/",
        "servers": "/smtps",
        "servers-filtered": "/smtps?auth=password&certificate=21&sort=state",
        "operation": "/operation",
        "smtp-month": f"/smtps/{accepted.smtp_id}?days=30",
        "apps": "/apps",
        "use-app": f"/apps/{shop.id}/use",
        "use-smtp": f"/smtps/{refused.smtp_id}/use?in=phpmailer",
        "new-app": "/apps/new",
        "app": f"/apps/{shop.id}",
        "order": f"/apps/{shop.id}/order",
        "batch": f"/apps/{shop.id}/checks?since=0",
        "app-empty": f"/apps/{empty.id}",
        "edit-app": f"/apps/{shop.id}/edit",
        "remove-app": f"/apps/{shop.id}/remove",
        "new-smtp": f"/apps/{empty.id}/smtps/new",
        "new-smtp-filled": f"/apps/{empty.id}/smtps/new?host=smtp.gmail.com&port=587"
        "&encryption=implicit&field=nothing",
        "find-smtp": f"/apps/{empty.id}/smtps/find",
        "smtp": f"/smtps/{refused.smtp_id}",
        "smtp-accepted": f"/smtps/{accepted.smtp_id}",
        "smtp-fresh": f"/smtps/{fresh.id}",
        "edit-smtp": f"/smtps/{refused.smtp_id}/edit",
        "transfer-smtp": f"/smtps/{refused.smtp_id}/transfer",
        "send-elsewhere": f"/smtps/{refused.smtp_id}/elsewhere",
        "remove-smtp": f"/smtps/{accepted.smtp_id}/remove",
        "check-refused": f"/checks/{refused.id}",
        "check-accepted": f"/checks/{accepted.id}",
        "check-expired": f"/checks/{checked['expired'].id}",
        "start": "/start",
        "start-provider": "/start/ses",
        "start-other": "/start/other",
        "start-find": "/start/find",
        "offers": f"/offers?app={empty.id}",
        "alarms": f"/apps/{shop.id}/alarms",
        "alarms-of-account": "/account/alarms",
        "new-alarm": f"/apps/{shop.id}/alarms/new/email",
        "edit-alarm": f"/alarms/{alarm.id}/edit",
        "remove-alarm": f"/alarms/{alarm.id}/remove",
        "account": "/account",
        "docs": "/docs",
        "explain": "/explain",
        "not-found": "/nothing",
        "received": "/received/nothing",
    }


def _put_back_in_time(last: Check, failed: Check) -> None:
    """Give this server a history: some thirty checks, every seventh a failure like ``failed``."""
    for number in range(1, 33):
        past = Check(
            id=new_id(),
            smtp_id=last.smtp_id,
            user_id=last.user_id,
            smtp_version=last.smtp_version,
            started=last.started - timedelta(hours=9 * number),
            ends_by=last.ends_by - timedelta(hours=9 * number),
            finished=now() - timedelta(hours=9 * number),
            accepted=number % 7 != 0,
            applied=True,
            times=_times(number),
        )
        if not past.accepted:
            past.stage, past.code, past.title = failed.stage, failed.code, failed.title
        db.session.add(past)
    for days, before, after in ((9, "active", "disabled"), (8, "disabled", "active")):
        db.session.add(
            StatusChange(
                smtp_id=last.smtp_id,
                app_id=last.smtp.app_id,
                at=now() - timedelta(days=days),
                before=before,
                after=after,
                by="machine",
                reason="check failed" if after == "disabled" else "check accepted",
                check_id=last.id,
                cause=failed.code if after == "disabled" else None,
            )
        )
    last.smtp.created = now() - timedelta(days=40)
    last.changes = [
        {
            "what": "certificate",
            "before": "CN=old / CA / 2026-01-01",
            "after": "CN=new / CA / 2027",
        },
        {"what": "mechanisms", "before": "LOGIN PLAIN", "after": ""},
    ]
    db.session.commit()


def _times(number: int) -> dict[str, float]:
    """Milliseconds by stage that differ from one check to the next."""
    times = {
        "resolve": 4.0 + number % 5,
        "connect": 21.0 + number % 7,
        "greeting": 35.0,
        "ehlo": 22.0,
        "starttls": 48.0 + number,
        "auth": 60.0 + 3 * (number % 11),
        "mail": 23.0,
        "rcpt": 24.0,
        "data": 90.0 + 5 * (number % 13),
    }
    return times | {"total": sum(times.values())}
