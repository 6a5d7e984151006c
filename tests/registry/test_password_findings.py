"""What is said of a password is found when it is saved: afterwards nothing opens it for that."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from smtpweb import installation
from smtpweb.database.models import Smtp
from smtpweb.database.secret_box import SecretBox, new_key
from smtpweb.database.session import db
from smtpweb.extensions import services
from smtpweb.providers import credentials
from tests.support.browser import signed_in
from tests.support.factories import SAVE
from tests.support.people import Person

TLS = {"port": 587, "starttls": True, "auth": True}
# (host, password, what is kept)
FOUND = [
    ("mail.example.net", "s3cret", ""),
    ("mail.example.net", "s3 cret", ""),
    ("mail.example.net", " s3cret", "INVISIBLE_CHARACTERS:start"),
    ("mail.example.net", "s3cret ", "INVISIBLE_CHARACTERS:end"),
    ("mail.example.net", " s3cret ", "INVISIBLE_CHARACTERS:both-ends"),
    ("mail.example.net", "s3\u200bcret", "INVISIBLE_CHARACTERS:200B:3"),
    ("mail.example.net", "\xa0s3cret", "INVISIBLE_CHARACTERS:00A0:1"),
    ("mail.example.net", "s3cret\ufffc", "INVISIBLE_CHARACTERS:FFFC:7"),
    ("smtp.gmail.com", "abcd efgh ijkl mnop", ""),
    ("smtp.gmail.com", "hunter2", "NO_APP_PASSWORD"),
    ("smtp.gmail.com", "hunter2\u2060", "INVISIBLE_CHARACTERS:2060:8 NO_APP_PASSWORD"),
    ("smtp.sendgrid.net", "apikey", "PASSWORD_IS_THE_WORD"),
    ("smtp.sendgrid.net", "SG. x", "INVISIBLE_CHARACTERS:inside"),
    ("email-smtp.eu-west-1.amazonaws.com", "A" * 40, "AWS_ACCESS_KEY"),
]  # fmt: skip


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rows whose secret was opened, by anybody."""
    rows: list[str] = []
    real = SecretBox.open

    def note(box: SecretBox, row_id: str, sealed: str) -> str:
        rows.append(row_id)
        return real(box, row_id, sealed)

    monkeypatch.setattr(SecretBox, "open", note)
    return rows


def kept(app: Flask) -> dict[str, str | None]:
    with app.app_context():
        return {row.id: row.password_findings for row in db.session.scalars(select(Smtp))}


@pytest.mark.parametrize(("host", "password", "findings"), FOUND)
def test_findings_are_codes_that_hold_nothing_of_the_password(
    host: str, password: str, findings: str
) -> None:
    assert credentials.findings(host, password) == findings


def test_longest_findings_fit_their_column() -> None:
    longest = credentials.findings("smtp.gmail.com", "x" * 1023 + "\U0010fffd")
    assert len(longest) < Smtp.__table__.columns["password_findings"].type.length  # type: ignore[attr-defined]


def test_lists_open_passwords_only_for_who_may_see_them(alice: Person, opened: list[str]) -> None:
    idapp = alice.make_app()["_id"]
    made = [
        alice.make_smtp(idapp, host=host, username="a@b.example", password=password, **TLS)
        for host, password, _ in FOUND
    ]
    browser = signed_in(alice.app, alice)
    opened.clear()
    reader = alice.with_scopes("read", "write", "check")
    seen = reader.smtps(idapp)
    assert [smtp.get("warnings") for smtp in seen] == [smtp.get("warnings") for smtp in made]
    assert reader.smtp(made[0]["_id"])["password"] is None
    changes: dict[str, Any] = {"idapp": idapp, "idsmtp": made[3]["_id"], "host": made[3]["host"]}
    reply = reader.post("/private/smtps/save", port=587, priority=3, **changes)
    assert reply.json["warnings"] == made[3]["warnings"]
    for path in (f"/apps/{idapp}", f"/smtps/{made[3]['_id']}", f"/smtps/{made[3]['_id']}/edit"):
        page = browser.get(path)
        if path != f"/apps/{idapp}":
            assert "Ends with a space" in page.text
    browser.send(page, page.form().fill(priority="4"), SAVE)
    assert opened == []
    assert [smtp["password"] for smtp in alice.smtps(idapp)] != [None] * len(made)
    assert sorted(opened) == sorted(smtp["_id"] for smtp in made)


def test_findings_follow_the_password(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    smtp = alice.make_smtp(idapp, username="shop", password="s3cret ", **TLS)
    edit = {"idapp": idapp, "idsmtp": smtp["_id"], "host": smtp["host"], "port": 587}
    assert kept(alice.app) == {smtp["_id"]: "INVISIBLE_CHARACTERS:end"}
    alice.post("/private/smtps/save", password="s3cret", **edit)
    assert kept(alice.app) == {smtp["_id"]: ""}
    moved = edit | {"host": "smtp.gmail.com"}
    alice.post("/private/smtps/save", password="s3cret", **moved)
    assert kept(alice.app) == {smtp["_id"]: "NO_APP_PASSWORD"}
    alice.post("/private/smtps/save", auth="false", **moved)
    assert kept(alice.app) == {smtp["_id"]: None}


@pytest.mark.parametrize("by", ["start", "edit"])
def test_findings_of_earlier_versions_are_made_up_for(
    alice: Person, opened: list[str], by: str
) -> None:
    idapp = alice.make_app()["_id"]
    smtp = alice.make_smtp(idapp, username="shop", password="s3cret ", **TLS)
    plain = alice.make_smtp(idapp)["_id"]
    with alice.app.app_context():
        db.session.execute(text("UPDATE smtp SET password_findings = NULL"))
        db.session.commit()
    assert "warnings" not in alice.with_scopes("read").smtp(smtp["_id"])
    if by == "start":
        with alice.app.app_context():
            installation.make_ready()
            opened.clear()
            installation.make_ready()
            assert set(opened) == {"1"}, "the canary alone: each password is opened once"
    else:
        edit = {"idapp": idapp, "idsmtp": smtp["_id"], "host": smtp["host"], "port": 587}
        alice.post("/private/smtps/save", priority=3, **edit)
    assert kept(alice.app) == {smtp["_id"]: "INVISIBLE_CHARACTERS:end", plain: None}
    assert alice.with_scopes("read").smtp(smtp["_id"])["warnings"] == smtp["warnings"]


def test_password_whose_key_is_lost_is_a_warning_to_everybody(
    alice: Person, opened: list[str]
) -> None:
    idapp = alice.make_app(defaultfromemail="a@b.example")["_id"]
    smtp = alice.make_smtp(idapp, username="shop", password="s3cret ", **TLS)["_id"]
    configured = services(alice.app).settings
    services(alice.app).settings = dataclasses.replace(configured, encryption_keys=(new_key(),))
    opened.clear()
    for caller in (alice.with_scopes("read"), alice):
        shown = caller.smtp(smtp)
        assert shown["password"] is None
        assert [one["code"] for one in shown["warnings"]] == ["PASSWORD_UNREADABLE"]
        assert opened == ([] if caller is not alice else [smtp])
    page = signed_in(alice.app, alice).get(f"/smtps/{smtp}/edit")
    assert "enter it again" in page.text
