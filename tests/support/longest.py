"""An installation in which every value has its maximum length, one user for each script.

Rows are written directly to the database: values that a form would refuse today may have come
from an import, or from a server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from smtpweb import config
from smtpweb.accounts import tokens, users
from smtpweb.accounts.tokens import ALL_SCOPES
from smtpweb.app import create_app
from smtpweb.checking import arrival
from smtpweb.database.models import (
    AlarmChannel,
    App,
    Check,
    MaintenanceWindow,
    Smtp,
    SmtpOauth,
    Worker,
    new_id,
)
from smtpweb.database.session import db, now
from smtpweb.mailcheck import Encryption, Mode, Outcome, Reply, Report, Side, Stage, Step
from smtpweb.mailcheck.core.types import AddressOutcome, Line, Notice, ServerText, TlsFacts
from tests.support.people import PASSWORD
from tests.support.serving import clean_environment, installation_settings, smtpweb_server

# Without spaces, at which a browser could break a line
SCRIPTS = {
    "latin": "W",
    "arabic": "ض",
    "emoji": "🦄",
    "cjk": "漢",
}
HOST = ".".join(["w" * 63, "m" * 63, "w" * 63, "m" * 61])  # 253
ADDRESS = f"{'w' * 64}@{'.'.join(['m' * 63, 'w' * 63, 'm' * 61])}"  # 254


@dataclass(frozen=True)
class Longest:
    """The data of one person: the name to sign in with, and the addresses of their pages."""

    name: str
    pages: dict[str, str]


@contextmanager
def longest(folder: Path) -> Iterator[tuple[str, dict[str, Longest]]]:
    """Serve it; yield the URL, and the data of each script's person."""
    settings = installation_settings(folder)
    with smtpweb_server(folder, **settings) as (url, _):
        app = create_app(config.load(clean_environment(folder, **settings)))
        with app.app_context():
            made = {script: _furnish(sign) for script, sign in SCRIPTS.items()}
            db.session.remove()
            db.engine.dispose()
        yield url, made


def _furnish(sign: str) -> Longest:
    name = sign * 100
    user = users.create_user(name, ADDRESS, PASSWORD, is_admin=True)
    for label in (sign * 200, "short"):
        tokens.personal_token(user, label, ALL_SCOPES)
    token_id = tokens.personal_tokens(user)[-1].id
    app = App(
        user_id=user.id, name=sign * 100, testemail=ADDRESS,
        defaultfromemail=ADDRESS, defaultfromname=sign * 200,
    )  # fmt: skip
    second = App(user_id=user.id, name=f"{sign * 99}2", testemail=ADDRESS)
    db.session.add_all([app, second])
    db.session.flush()
    smtps = [
        Smtp(
            app_id=app.id, host=HOST, port=65535, username=sign * (1024 // len(sign.encode())),
            auth=True, starttls=True, ssltls=number == 1, priority=2147483647 - number,
            defaultfromemail=ADDRESS, defaultfromname=sign * 200, enabled=number != 0,
            numerrors=2147483647, judged=True, name=sign * 100 if number % 2 else None,
            note=sign * 1000, tags=", ".join(f"{sign * 29}{tag}" for tag in range(10)),
        )
        for number in range(5)
    ]  # fmt: skip
    db.session.add_all(smtps)
    db.session.flush()
    link, digest = arrival.new_link("http://127.0.0.1")
    failed = _check(user.id, smtps[0], _report(sign, accepted=False))
    accepted = _check(user.id, smtps[1], _report(sign, accepted=True), digest=digest)
    running = _check(user.id, smtps[2], None)
    alarms = [
        AlarmChannel(
            user_id=user.id, app_id=app_id, kind=kind, label=sign * 200, shown=sign * 300,
            events="lost", timezone="America/Argentina/ComodRivadavia", quiet_from=0,
            quiet_until=1439, last_at=now(), last_delivered=False, last_result=sign * 300,
        )
        for app_id, kind in ((app.id, "webhook"), (app.id, "email"), (None, "apprise"))
    ]  # fmt: skip
    db.session.add_all(alarms)
    for app_id, smtp_id in ((app.id, None), (None, smtps[0].id)):
        db.session.add(
            MaintenanceWindow(
                app_id=app_id, smtp_id=smtp_id, starts=now(), ends=now() + timedelta(days=1),
                repeat="weekly", by=user.id, note=sign * 200,
            )
        )  # fmt: skip
    smtps[0].ehloname, smtps[0].certificatepin = f"{'w' * 63}.{'w' * 63}.{'w' * 63}", "W" * 43 + "="
    smtps[0].mechanism, smtps[0].envelopefrom = "SCRAM-SHA-256", ADDRESS
    smtps[1].uses_oauth = True
    db.session.add(
        SmtpOauth(
            smtp_id=smtps[1].id, grant="authorization_code", provider="other", clientid="W" * 500,
            scope="W" * 900, tokenurl=f"https://{HOST}/", authurl=f"https://{HOST}/",
            clientauth="post",
        )
    )  # fmt: skip
    db.session.add(Worker(name="w" * 100, version="9" * 20, seen=now(), started=now()))
    db.session.commit()
    pages = {
        "home": "/",
        "servers": "/smtps",
        "servers filtered": f"/smtps?q={sign * 100}",
        "operation": "/operation",
        "maintenance": f"/apps/{app.id}/maintenance",
        "alarms": "/account/alarms",
        "alarms of an app": f"/apps/{app.id}/alarms",
        "new alarm": "/account/alarms/new/webhook",
        "new alarm of an app": f"/apps/{app.id}/alarms/new/apprise",
        "edit alarm": f"/alarms/{alarms[0].id}/edit",
        "remove alarm": f"/alarms/{alarms[1].id}/remove",
        "explain": "/explain",
        "apps": "/apps",
        "apps filtered": f"/apps?q={sign * 100}",
        "app": f"/apps/{app.id}",
        "order": f"/apps/{app.id}/order",
        "app filtered": f"/apps/{app.id}?q={sign * 100}&state=disabled",
        "app without servers": f"/apps/{second.id}",
        "use app": f"/apps/{app.id}/use?in=django",
        "use app without servers": f"/apps/{second.id}/use",
        "use server": f"/smtps/{smtps[0].id}/use?in=phpmailer",
        "new app": "/apps/new",
        "edit app": f"/apps/{app.id}/edit",
        "remove app": f"/apps/{app.id}/remove",
        "batch": f"/apps/{app.id}/checks?since=0",
        "new server": f"/apps/{app.id}/smtps/new",
        "new server filled in": f"/apps/{app.id}/smtps/new?host={HOST}&username={sign * 200}",
        "find": f"/apps/{app.id}/smtps/find",
        "server": f"/smtps/{smtps[0].id}",
        "server accepted": f"/smtps/{smtps[1].id}",
        "edit server": f"/smtps/{smtps[0].id}/edit",
        "edit server filled in": f"/smtps/{smtps[0].id}/edit?host=x.example&username=x&port=25",
        "copy or move server": f"/smtps/{smtps[1].id}/transfer",
        "sign in at the provider": f"/smtps/{smtps[1].id}/oauth",
        "sender domain": f"/smtps/{smtps[1].id}/sender",
        "own address": "/operation/address",
        "send elsewhere": f"/smtps/{smtps[1].id}/elsewhere",
        "remove server": f"/smtps/{smtps[0].id}/remove",
        "remove one": f"/smtps/{smtps[3].id}/remove",
        "remove another": f"/smtps/{smtps[4].id}/remove",
        "failed": f"/checks/{failed.id}",
        "accepted": f"/checks/{accepted.id}",
        "running": f"/checks/{running.id}",
        "start": "/start",
        "start provider": "/start/ses",
        "start other": f"/start/other?host={HOST}&username={sign * 200}&defaultfromemail={ADDRESS}",
        "start find": "/start/find",
        "offers": "/offers",
        "account": "/account",
        "revoke": f"/account/tokens/{token_id}",
        "refused": f"/apps?sort={sign * 300}",
        "not found": f"/{sign * 300}",
        "docs": "/docs",
        "received": link.removeprefix("http://127.0.0.1"),
    }
    return Longest(name, pages)


def _check(user_id: str, smtp: Smtp, report: Report | None, digest: str | None = None) -> Check:
    moment = now()
    check = Check(
        id=new_id(), smtp_id=smtp.id, user_id=user_id, smtp_version=smtp.version or 1,
        started=moment, ends_by=moment + timedelta(minutes=10), arrival_digest=digest,
    )  # fmt: skip
    if report:
        check.finished, check.accepted, check.applied = moment, report.accepted, False
        check.stage, check.code, check.title = report.stage, report.code, report.title
        check.report_json = report.to_dict()
    else:
        check.progress = [
            {"stage": Stage.CONNECT.value, "outcome": Outcome.UNDER_WAY.value, "milliseconds": None}
        ]
    db.session.add(check)
    return check


def _report(sign: str, *, accepted: bool) -> Report:
    text, host = ServerText(sign * 500), ServerText(HOST)
    return Report(
        accepted=accepted, stage=Stage.ACCEPTED if accepted else Stage.AUTH,
        code="SMTP_" + "W" * 75, title=text, meaning=text, advice=(text, ADDRESS), temporary=True,
        side=Side.SETTINGS, reply=Reply(535, ServerText("5.7.8"), text),
        steps=tuple(Step(stage, Outcome.DONE, 123456.7) for stage in Stage),
        transcript=tuple(Line(who, 123456.7, text) for who in "CS*"),
        tls=TlsFacts(
            version="TLSv1.3", cipher="W" * 100, subject=text, names=(host, text), issuer=text,
            not_after="2099-01-01T00:00:00+00:00", days_left=9999, problem=text,
        ),
        addresses=(AddressOutcome("2001:db8:1111:2222:3333:4444:5555:6666", text, 123456.7),),
        capabilities=(text, host), warnings=(Notice(text), Notice(HOST)), milliseconds=123456.7,
        host=HOST, port=65535, mail_from=ADDRESS, rcpt_to=ADDRESS, message_id=f"<{text}>",
        queue_id=text,
        link=f"https://{HOST}/", encryption=Encryption.STARTTLS,
        alternatives=(Mode(465, Encryption.IMPLICIT), Mode(2525, Encryption.STARTTLS)),
    )  # fmt: skip
