"""Reports have a bounded size, and old checks go, but never the newest of a server."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from smtpweb.checking import retention
from smtpweb.database.models import Check
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.mailcheck.core import report_size
from tests.support.browser import one_database, signed_in
from tests.support.factories import only_check
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person


@pytest.fixture
def smtp_id(alice: Person) -> str:
    return str(alice.make_smtp(alice.make_app("shop")["_id"])["_id"])


def add_checks(app: Flask, smtp_id: str, *ages: float) -> list[str]:
    """Checks of so many days ago; returns their ids."""
    with app.app_context():
        checks = []
        for days in ages:
            started = now() - timedelta(days=days)
            check = Check(
                smtp_id=smtp_id, smtp_version=1, started=started, ends_by=started,
                finished=started, accepted=True,
            )  # fmt: skip
            db.session.add(check)
            checks.append(check)
        db.session.commit()
        return [check.id for check in checks]


def kept(app: Flask) -> set[str]:
    with app.app_context():
        return set(db.session.scalars(select(Check.id)))


def keep(app: Flask, days: int) -> None:
    settings = services(app).settings
    services(app).settings = dataclasses.replace(settings, keep_checks=days)


def prune(app: Flask) -> int:
    with app.app_context():
        return retention.prune()


def test_old_checks_are_removed_but_the_newest_of_each_server_stays(
    app: Flask, alice: Person, smtp_id: str
) -> None:
    young, old, older = add_checks(app, smtp_id, 89, 91, 400)
    idle = str(alice.make_smtp(alice.make_app("idle")["_id"])["_id"])
    newest, before = add_checks(app, idle, 200, 201)
    assert prune(app) == 3
    assert kept(app) == {young, newest}
    assert prune(app) == 0
    assert {old, older, before}.isdisjoint(kept(app))


def test_checks_are_kept_for_ever_where_the_setting_is_0(app: Flask, smtp_id: str) -> None:
    checks = add_checks(app, smtp_id, 1, 5000)
    keep(app, 0)
    assert prune(app) == 0
    assert kept(app) == set(checks)


def test_old_checks_go_in_portions_the_oldest_first(
    app: Flask, smtp_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PORTION", 2)
    checks = add_checks(app, smtp_id, 1, 100, 101, 102)
    assert prune(app) == 2
    assert kept(app) == set(checks[:2])
    assert prune(app) == 1
    assert kept(app) == {checks[0]}


def test_check_that_ends_removes_old_ones(app: Flask, alice: Person) -> None:
    with fake_smtp() as server:
        idapp = alice.make_app("shop", testemail="t@example.com")["_id"]
        smtp_id = alice.make_smtp(
            idapp, host="127.0.0.1", port=server.port, defaultfromemail="a@example.com"
        )["_id"]
        old = add_checks(app, smtp_id, 95, 96)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
    assert len(kept(app)) == 1
    assert not kept(app) & set(old)


HOSTILE = {
    "ASCII": "x" * 480,
    "markup": "<&\"'>" * 96,
    "emoji": "\N{PILE OF POO}" * 60,
}


@one_database
@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("last", ["connect", "EHLO", "MAIL", "dot"])
def test_report_and_its_page_are_bounded_whatever_a_server_says(
    app: Flask, alice: Person, words: str, last: str
) -> None:
    text = HOSTILE[words]

    def full(code: str) -> str:
        lines = [f"{code}-K{number}{text[:130]}" for number in range(60)]
        return "\r\n".join([*lines, f"{code} {text}"])

    codes = {"connect": 220, "EHLO": 250, "MAIL": 250, "RCPT": 250, "DATA": 354, "dot": 554}
    replies = {verb: full(str(code)) for verb, code in codes.items()} | {last: full("550")}
    with fake_smtp(replies=replies) as server:
        idapp = alice.make_app("shop", testemail="t@example.com")["_id"]
        smtp_id = alice.make_smtp(
            idapp, host="127.0.0.1", port=server.port, defaultfromemail="a@example.com"
        )["_id"]
        alice.post("/private/smtps/check", idsmtp=smtp_id)
    check = only_check(app)
    assert check.report is not None
    assert len(json.dumps(check.report_json)) <= report_size.MAX_BYTES
    assert check.report.code != "SMTP_INTERNAL_ERROR"
    page = signed_in(app, alice).get(f"/checks/{check.id}").html
    assert len(page.encode()) < 4 * report_size.MAX_BYTES
    remarks = [line.text for line in check.report.transcript if line.direction == "*"]
    assert any("left out" in remark for remark in remarks) or last in ("connect", "EHLO", "MAIL")
