"""How long a browser session lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from smtpweb.database.models import BrowserSession
from smtpweb.database.session import db, now
from tests.support.browser import signed_in
from tests.support.people import Person

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("column", "age", "reached"),
    [
        ("seen", timedelta(hours=12) - MINUTE, "/apps"),
        ("seen", timedelta(hours=12) + MINUTE, "/login"),
        ("created", timedelta(days=7) - MINUTE, "/apps"),
        ("created", timedelta(days=7) + MINUTE, "/login"),
    ],
)
def test_session_ends_after_12_idle_hours_and_after_7_days(
    alice: Person, column: str, age: timedelta, reached: str
) -> None:
    browser = signed_in(alice.app, alice)
    with alice.app.app_context():
        db.session.execute(update(BrowserSession).values({column: now() - age}))
        db.session.commit()
    assert browser.get("/apps").url == reached
    assert browser.get("/apps").url == reached  # that it was asked for does not revive it


def test_session_that_is_used_goes_on(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    with alice.app.app_context():
        db.session.execute(update(BrowserSession).values(seen=now() - timedelta(hours=11)))
        db.session.commit()
    assert browser.get("/apps").url == "/apps"
    with alice.app.app_context():
        seen = db.session.query(BrowserSession).one().seen
    assert seen > now() - MINUTE
