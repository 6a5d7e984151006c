"""An installation whose app has sixty SMTP servers, of all states, with short and long values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, update

from smtpweb import config
from smtpweb.accounts import users
from smtpweb.app import create_app
from smtpweb.database.models import Check, Smtp, new_id
from smtpweb.database.session import db, now
from smtpweb.registry import apps
from smtpweb.registry.apps import AppChanges
from tests.support.people import PASSWORD
from tests.support.serving import clean_environment, installation_settings, smtpweb_server
from tests.support.tour import NAME, Tour

COUNT = 60
HOSTS = ("smtp.gmail.com", "a.example", "mail.example.net", "x" * 60 + "." + "y" * 60 + ".example")
UNFINISHED = {"finished": None, "accepted": None}
USERS = ("shop", "a-rather-long-user-name-" + "z" * 80 + "@marketing.example.com")


@contextmanager
def many_servers(folder: Path, *, worst: bool = False) -> Iterator[Tour]:
    """Serve it under gunicorn as deployed; ``worst``: each row shows all that a row can."""
    settings = installation_settings(folder)
    with smtpweb_server(folder, **settings) as (url, _):
        app = create_app(config.load(clean_environment(folder, **settings)))
        with app.app_context():
            pages = _furnish(worst)
            db.session.remove()
            db.engine.dispose()
        yield Tour(url, pages)


def _furnish(worst: bool) -> dict[str, str]:
    user = users.create_user(NAME, "ana@example.com", PASSWORD, is_admin=True)
    common: AppChanges = {"testemail": "postmaster@example.com", "strategy": "PRIORITY"}
    shop = apps.save(
        user.id, {**common, "name": "Web shop", "defaultfromemail": "shop@example.com"}
    )
    for number in range(49):
        long = number % 3 == 0
        name = f"{number} " + ("An app whose name is long " * 7 if long else "app")
        apps.save(user.id, {**common, "name": name.strip()})
    ids = [new_id() for _ in range(COUNT)]
    db.session.execute(insert(Smtp), [_smtp(ids[n], shop.id, n) for n in range(COUNT)])
    db.session.execute(
        insert(Check),
        [
            _check(ids[n], n, k) | (UNFINISHED if worst and k % 5 == 2 else {})
            for n in range(COUNT)
            if n % 9 or worst
            for k in range(30)
        ],
    )
    if worst:
        db.session.execute(
            update(Smtp).values(
                host="a.example", port=587, username="shop", tags="eu, transactional, second",
                enabled=False, off_since=None, judged=True, degraded_since=None, uncheckable=None,
                certificate_expires=now(), defaultfromemail="sales@example.com",
            )
        )  # fmt: skip
    db.session.commit()
    return {
        "app": f"/apps/{shop.id}",
        "order": f"/apps/{shop.id}/order",
        "servers": "/smtps",
        "apps": "/apps",
        "batch": f"/apps/{shop.id}/checks?since=0",
        "home": "/",
    }


def _smtp(smtp_id: str, app_id: str, number: int) -> dict[str, object]:
    """Return a server: every sixth is disabled, a few are in the other states."""
    moment = now()
    disabled, off = number % 6 == 1, number == 11
    return {
        "id": smtp_id, "app_id": app_id, "host": HOSTS[number % len(HOSTS)], "port": 1000 + number,
        "starttls": True, "auth": True, "username": USERS[number % 2], "priority": 3 * number,
        "enabled": not disabled and not off, "judged": number % 9 != 0,
        "off_since": moment if off else None,
        "degraded_since": moment if number == 10 else None,
        "uncheckable": "SMTP_POLICY_NO_FROM" if number in (8, 9) else None,
        "name": "A name that says much " * 4 if number == 4 else None,
        "tags": "eu, transactional, second" if number in (2, 7) else None,
        "certificate_expires": moment + timedelta(days=number) if number % 5 == 2 else None,
        "numerrors": 12 if disabled else 0,
        "created": moment + timedelta(milliseconds=number),
    }  # fmt: skip


def _check(smtp_id: str, number: int, age: int) -> dict[str, object]:
    began = now() - timedelta(minutes=100 * age + number)
    accepted = not (number % 6 == 1 and age == 0) and age % 7 != 3
    return {
        "id": new_id(), "smtp_id": smtp_id, "smtp_version": 1, "started": began,
        "ends_by": began, "finished": began + timedelta(seconds=2), "accepted": accepted,
        "stage": "accepted" if accepted else "auth", "applied": True,
        "code": "SMTP_ACCEPTED" if accepted else "SMTP_AUTH_WRONG_CREDENTIALS",
        "title": "" if accepted else "Wrong user name or password",
    }  # fmt: skip
