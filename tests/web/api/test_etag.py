"""Entity tags of the lists of SMTP servers: 304 as long as nothing that is shown has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from smtpweb import installation
from smtpweb.app import create_app
from smtpweb.config import Settings
from smtpweb.database import secret_box
from smtpweb.database.models import App, Smtp
from smtpweb.database.secret_box import SecretBox
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.registry import fields
from smtpweb.web.api import smtp_answer
from tests.conftest import KEY, settings_for
from tests.support.counting import statements
from tests.support.databases import ON_SQLITE as one_database
from tests.support.fake_certificates import ca_pem, client_pair
from tests.support.people import Person, Reply, Visitor

FULL: dict[str, Any] = {
    "host": "mail.example.net", "port": 587, "auth": "true", "starttls": "true",
    "username": "ana", "password": "correct horse", "defaultfromemail": "shop@example.com",
}  # fmt: skip


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url, source_addresses=(ip_address("127.0.0.1"),))


@pytest.fixture(params=["findByApp", "findById"])
def ask(request: pytest.FixtureRequest, alice: Person, idapp: str) -> Callable[..., Reply]:
    """Ask for the SMTP server of the app, which has one; ``etag``: what the client has."""
    idsmtp = alice.make_smtp(idapp, **FULL)["_id"]
    given = {"findByApp": {"idapp": idapp}, "findById": {"idsmtp": idsmtp}}[request.param]

    def ask(etag: str | None = None, visitor: Visitor = alice) -> Reply:
        headers = {"If-None-Match": etag} if etag else {}
        return visitor.request(
            "GET", f"/private/smtps/{request.param}", query_string=given, headers=headers
        )

    return ask


def smtp_of(alice: Person) -> Smtp:
    smtp: Smtp = db.session.scalars(db.select(Smtp)).one()
    return smtp


def test_unchanged_smtps_answer_304_without_a_body(ask: Callable[..., Reply]) -> None:
    first = ask()
    assert first.status_code == 200
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert first.headers["Vary"] == "Authorization"
    again = ask(first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert again.headers[name] == first.headers[name]
    assert ask("*").status_code == 304
    assert ask('W/"another", ' + first.headers["ETag"]).status_code == 304
    assert ask('W/"another"').data == first.data


def test_unchanged_smtps_are_not_decrypted(
    ask: Callable[..., Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    etag = ask().headers["ETag"]

    def refuse(*_: object) -> str:
        raise AssertionError("a password was decrypted")

    monkeypatch.setattr(SecretBox, "open", refuse)
    assert ask(etag).status_code == 304
    with pytest.raises(AssertionError):
        ask()


def test_token_without_the_scope_decrypts_nothing(
    ask: Callable[..., Reply], alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = alice.with_scopes("read")
    monkeypatch.setattr(SecretBox, "open", None)
    assert ask(visitor=plain).status_code == 200


CERTIFICATE, KEY_OF_CLIENT = client_pair()
CHANGES: dict[str, Any] = {
    "priority": 3, "host": "other.example.net", "port": 2525, "username": "bob",
    "password": "another", "auth": "false", "starttls": "false", "ssltls": "true", "debug": "true",
    "defaultfromemail": "other@example.com", "defaultfromname": "Other",
    "mechanism": "LOGIN", "ehloname": "app.example.com", "envelopefrom": "bounces@example.com",
    "sourceaddress": "127.0.0.1", "cacertificates": ca_pem(), "certificatepin": "0" * 64,
    "clientcertificate": CERTIFICATE, "clientkey": KEY_OF_CLIENT,
    "name": "Backup", "note": "Ask Ana.", "tags": "backup", "passwordexpires": "2030-01-02",
}  # fmt: skip


def test_changes_of_these_tests_cover_every_field() -> None:
    assert CHANGES.keys() == fields.SMTP.keys()


@pytest.mark.parametrize("name", CHANGES)
def test_etag_changes_with_each_field(
    ask: Callable[..., Reply], alice: Person, idapp: str, name: str
) -> None:
    first = ask()
    smtp = alice.smtps(idapp)[0]
    changes = {name: CHANGES[name]}
    if name.startswith("client"):  # neither is accepted without the other
        changes = {one: CHANGES[one] for one in ("clientcertificate", "clientkey")}
    alice.make_smtp(idapp, idsmtp=smtp["_id"], **(FULL | changes))
    second = ask(first.headers["ETag"])
    assert second.status_code == 200
    assert second.headers["ETag"] != first.headers["ETag"]


STATES: dict[str, Callable[[Smtp], dict[str, Any]]] = {
    "enabled": lambda smtp: {"enabled": False},
    "numerrors": lambda smtp: {"numerrors": 7},
    "modified": lambda smtp: {"modified": smtp.modified + timedelta(milliseconds=1)},
    "created": lambda smtp: {"created": smtp.created - timedelta(milliseconds=1)},
    "off": lambda smtp: {"off_since": now()},
    "unknown user name": lambda smtp: {"username_is_secret": None, "username": smtp.username},
    "findings": lambda smtp: {"password_findings": "INVISIBLE_CHARACTERS:end"},
    "key": lambda smtp: {"password_sealed": "v2.00000000.AAAA"},
}


@pytest.mark.parametrize("name", STATES)
def test_etag_changes_with_what_a_check_or_a_command_changes(
    ask: Callable[..., Reply], alice: Person, name: str
) -> None:
    plain = alice.with_scopes("read")
    before = [ask(), ask(visitor=plain)]
    with alice.app.app_context():
        db.session.execute(update(Smtp).values(STATES[name](smtp_of(alice))))
        db.session.commit()
    after = [ask(), ask(visitor=plain)]
    changed = [new.data != old.data for old, new in zip(before, after, strict=True)]
    assert any(changed)
    for old, new, has_changed in zip(before, after, changed, strict=True):
        if has_changed:
            assert new.headers["ETag"] != old.headers["ETag"]


def test_etag_changes_with_the_sender_of_the_app(ask: Callable[..., Reply], alice: Person) -> None:
    """No warning says that there is no From; then one does."""
    with alice.app.app_context():
        db.session.execute(update(Smtp).values(defaultfromemail=None))
        db.session.commit()
    first = ask()
    with alice.app.app_context():
        db.session.execute(update(App).values(defaultfromemail=None))
        db.session.commit()
    second = ask(first.headers["ETag"])
    assert second.status_code == 200
    assert b"FROM_MISSING" in second.data


def test_etag_differs_with_the_right_to_see_secrets(
    ask: Callable[..., Reply], alice: Person
) -> None:
    trusted, plain = ask(), ask(visitor=alice.with_scopes("read"))
    assert plain.headers["ETag"] != trusted.headers["ETag"]
    assert ask(plain.headers["ETag"]).status_code == 200
    # Even where both see the same, because there is no password: a scope is never a guess.
    with alice.app.app_context():
        db.session.execute(update(Smtp).values(password_sealed=None, auth=False))
        db.session.commit()
    assert ask().headers["ETag"] != ask(visitor=alice.with_scopes("read")).headers["ETag"]


def test_etag_of_a_list_changes_with_its_rows(alice: Person, idapp: str) -> None:
    seen: set[str] = set()

    def etag() -> str:
        reply = alice.get("/private/smtps/findByApp", idapp=idapp)
        return reply.headers["ETag"]

    seen.add(etag())
    one = alice.make_smtp(idapp, **FULL)
    seen.add(etag())
    two = alice.make_smtp(idapp, **FULL)
    seen.add(etag())
    alice.post("/private/smtps/remove", idsmtp=one["_id"])
    seen.add(etag())
    alice.post("/private/smtps/remove", idsmtp=two["_id"])
    assert len(seen) == 4
    assert etag() in seen  # an empty list is an empty list


@one_database
def test_rotated_keys_change_no_etag(ask: Callable[..., Reply], alice: Person, app: Flask) -> None:
    """The answer is the same: nothing has to be sent again."""
    first = ask()
    url = services(app).settings.database_url
    rotated = create_app(settings_for(url, encryption_keys=(secret_box.new_key(), KEY)))
    with rotated.app_context():
        assert sum(done for done, _ in installation.rotate_keys()) == 2
    services(app).settings = services(rotated).settings
    assert ask().data == first.data
    assert ask(first.headers["ETag"]).status_code == 304


def test_stranger_is_refused_whatever_they_have(
    ask: Callable[..., Reply], alice: Person, charlie: Person
) -> None:
    etag = ask().headers["ETag"]
    assert ask(etag, charlie).status_code == 406
    assert ask(etag, Visitor(alice.app, "smw_unknown")).status_code == 403
    assert ask(etag, Visitor(alice.app)).status_code == 401
    assert ask(etag, alice.with_scopes("write")).status_code == 401


def test_unchanged_smtps_take_one_statement(ask: Callable[..., Reply]) -> None:
    etag = ask().headers["ETag"]
    with statements() as seen:
        assert ask(etag).status_code == 304
    assert len(seen) == 1


def test_members_are_the_fields_in_their_order() -> None:
    shown = [field.shown_as or name for name, field in fields.SMTP.items() if not field.extra]
    around = ("_id", "idapp"), ("numerrors", "created", "modified", "status")
    assert list(smtp_answer._EMPTY) == [*around[0], *shown, *around[1]]
