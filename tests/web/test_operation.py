"""The operator's page: for administrators only."""

from __future__ import annotations

from datetime import timedelta

from flask import Flask

from smtpweb.database.models import Check, Incident, Worker
from smtpweb.database.session import db, now
from tests.support.browser import Browser, signed_in
from tests.support.people import Person


def test_operators_page_shows_workers_rates_and_incidents(app: Flask, alice: Person) -> None:
    smtp_id = alice.make_smtp(alice.make_app("shop")["_id"])["_id"]
    moment = now()
    with app.app_context():
        db.session.add(
            Worker(name="mail-1:4711", version="0.1.0", seen=moment, checks=1200, failed=3,
                   started=moment - timedelta(hours=1))
        )  # fmt: skip
        gone = moment - timedelta(minutes=10)
        db.session.add(Worker(name="mail-2:1", version="0.1.0", seen=gone, started=gone))
        db.session.add(Incident(cause="SMTP_RESOLVE_SILENT", checks=7))
        for _ in range(10):
            db.session.add(
                Check(smtp_id=smtp_id, smtp_version=1, ends_by=moment, kind="scheduled",
                      finished=moment, accepted=True, stage="accepted")
            )  # fmt: skip
        db.session.commit()
    text = signed_in(app, alice).get("/operation").text
    assert "mail-1:4711" in text
    assert "20.0" in text  # a minute
    assert "alive" in text
    assert "not seen" in text
    assert "Checks a minute, scheduled1.0" in text
    assert "SMTP_RESOLVE_SILENT" in text


def test_operators_page_is_there_for_administrators_only(
    app: Flask, alice: Person, charlie: Person
) -> None:
    page = signed_in(app, charlie).get("/operation", status=404)
    assert "Workers" not in page.text
    assert "Operation" not in signed_in(app, charlie).get("/account").links()
    assert signed_in(app, alice).get("/account").links()["Operation"] == "/operation"


def test_operators_page_asks_for_a_login(app: Flask) -> None:
    assert Browser(app).get("/operation").url in ("/login", "/setup")
