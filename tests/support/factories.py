"""Starting data for page tests: values typed into forms, and database rows."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

from flask import Flask

from smtpweb.accounts.ownership import is_kept
from smtpweb.checking import limits
from smtpweb.database.models import App, Check, Smtp, StartedWork
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from tests.support.fake_smtp import FakeServer
from tests.support.people import Person

SECRET = 'Zwölf <b>Boxkämpfer</b> & "Söhne"'
SAVE, CHECK = "Save without checking", "Save and send a test email to alice@example.com"


def typed(**changes: Any) -> dict[str, Any]:
    """Return the input of the form for a new SMTP server."""
    given = {
        "host": "mail.example.net",
        "port": "587",
        "encryption": "starttls",
        "smtp_login": "shop",
        "smtp_secret": SECRET,
    }
    return given | changes


def for_server(server: FakeServer, **changes: Any) -> dict[str, Any]:
    """Return the form input for a server that is actually running."""
    login, password = server.knobs["login"]
    given = typed(
        host=server.host, port=str(server.port), encryption="none", smtp_login=login,
        smtp_secret=password,
    )  # fmt: skip
    return given | changes


def forget_default_from(app: Flask, idapp: str) -> None:
    """Remove an app's default From, which its page can do and the API cannot."""
    with app.app_context():
        db.session.get_one(App, idapp).defaultfromemail = None
        db.session.commit()


def only_smtp(app: Flask) -> Smtp:
    """Return the only SMTP server that is not deleted."""
    with app.app_context():
        return db.session.query(Smtp).join(Smtp.app).filter(is_kept).one()


def only_check(app: Flask) -> Check:
    with app.app_context():
        return db.session.query(Check).one()


def trust(app: Flask, server: FakeServer) -> None:
    """Make the application's checks trust the certificate of a fake server."""
    settings = services(app).settings
    services(app).settings = dataclasses.replace(settings, ca_file=server.ca_file)


def count(app: Flask, model: type[Any]) -> int:
    with app.app_context():
        return db.session.query(model).count()


def use_share(
    person: Person,
    number: int,
    *,
    age: timedelta = timedelta(0),
    kind: str = limits.CHECK,
    lease: timedelta = timedelta(0),
) -> None:
    """Count this much work against a user's share, started ``age`` ago; needs an app context."""
    for _ in range(number):
        db.session.add(
            StartedWork(user_id=person.user_id, kind=kind, started=now() - age, until=now() + lease)
        )
    db.session.commit()


def make_check(
    alice: Person,
    idapp: str,
    *,
    finished: bool = True,
    ends_in: float = 0,
    host: str = "mail.example.net",
    smtp_id: str | None = None,
) -> Check:
    """Create a check as a database row; needs an application context."""
    ends_by = now() + timedelta(seconds=ends_in)
    if smtp_id is None:
        smtp = Smtp(app_id=idapp, host=host, port=25)
        if ends_in > 0:
            smtp.checking_until = ends_by
        db.session.add(smtp)
        db.session.flush()
        smtp_id = smtp.id
    check = Check(
        smtp_id=smtp_id,
        user_id=alice.user_id,
        smtp_version=1,
        ends_by=ends_by,
        finished=now() if finished else None,
        accepted=True if finished else None,
    )
    db.session.add(check)
    db.session.commit()
    return check
