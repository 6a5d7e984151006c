"""/private/smtps/token, and checks that fail for want of a token."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import RSAKey
from sqlalchemy import update

from smtpweb.database.models import Check, Smtp
from smtpweb.database.session import db
from tests.support.factories import only_check
from tests.support.fake_smtp import fake_smtp
from tests.support.oauth_servers import FakeOauth, fake_oauth, refusal, token
from tests.support.people import Person

SECRET = "the-client-secret"


def register(person: Person, idapp: str, fake: FakeOauth, **changes: Any) -> str:
    given = {
        "host": "127.0.0.1",
        "port": 2525,
        "auth": "true",
        "username": "shop@example.com",
        "oauthgrant": "client_credentials",
        "oauthclientid": "an-app",
        "oauthclientsecret": SECRET,
        "oauthtokenurl": fake.token_url,
    }
    made: str = person.make_smtp(idapp, **(given | changes))["_id"]
    return made


def test_token_is_issued_to_the_scope_token_only(alice: Person, idapp: str) -> None:
    with fake_oauth(token("the-access-token")) as fake:
        smtp_id = register(alice, idapp, fake)
        everything_else = alice.with_scopes("read", "write", "check", "secrets", "probe")
        assert everything_else.get("/private/smtps/token", idsmtp=smtp_id).status_code == 401
        assert fake.requests == []
        reply = alice.with_scopes("token").get("/private/smtps/token", idsmtp=smtp_id)
    assert reply.status_code == 200
    shown = reply.json
    assert shown.pop("expires").startswith("20")
    assert shown == {
        "idsmtp": smtp_id,
        "username": "shop@example.com",
        "accesstoken": "the-access-token",
        "tokentype": "Bearer",
    }
    assert reply.headers["Cache-Control"] == "no-store"


def test_token_of_another_user_is_not_found(alice: Person, idapp: str, charlie: Person) -> None:
    with fake_oauth() as fake:
        smtp_id = register(alice, idapp, fake)
        known = charlie.get("/private/smtps/token", idsmtp=smtp_id)
        unknown = charlie.get("/private/smtps/token", idsmtp="0" * 24)
        assert fake.requests == []
    assert known.status_code == unknown.status_code == 406
    assert known.data == unknown.data


def test_server_with_a_password_has_no_token(alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    reply = alice.get("/private/smtps/token", idsmtp=smtp_id)
    assert (reply.status_code, reply.json["code"]) == (406, "OAUTH_NOT_SET")


def test_refused_token_is_explained_like_a_failed_check(
    alice: Person, idapp: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = f"AADSTS7000222: The provided client secret keys are expired. {SECRET}"
    with fake_oauth(refusal("invalid_client", said)) as fake:
        reply = alice.get("/private/smtps/token", idsmtp=register(alice, idapp, fake))
    assert (reply.status_code, reply.json["code"]) == (406, "SMTP_TOKEN_SECRET_EXPIRED")
    assert reply.json["stage"] == "token"
    assert reply.json["side"] == "settings"
    assert reply.json["steps"]
    assert SECRET not in reply.text + caplog.text


def test_check_without_a_token_fails_at_the_stage_token(
    app: Flask, alice: Person, idapp: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with fake_smtp() as server, fake_oauth(refusal("invalid_client", SECRET)) as fake:
        smtp_id = register(alice, idapp, fake, host=server.host, port=server.port)
        reply = alice.post("/private/smtps/check", idsmtp=smtp_id)
        assert server.connections == 0
    assert (reply.status_code, reply.json["stage"]) == (406, "token")
    assert alice.smtp(smtp_id)["status"] == "D"
    check = only_check(app)
    assert check.stage == "token"
    assert SECRET not in json.dumps(check.report_json) + caplog.text + reply.text


def test_check_that_cannot_reach_the_token_endpoint_by_policy_disables_nothing(
    app: Flask, alice: Person, idapp: str
) -> None:
    with fake_oauth() as fake:
        smtp_id = register(alice, idapp, fake, oauthtokenurl="https://10.1.2.3/token")
        reply = alice.post("/private/smtps/check", idsmtp=smtp_id)
    assert reply.json["code"] == "SMTP_TOKEN_POLICY"
    assert reply.json["applied"] is False
    assert alice.smtp(smtp_id)["status"] == "A"


def test_unreadable_secret_is_named_before_a_check_begins(
    app: Flask, alice: Person, idapp: str
) -> None:
    with fake_oauth() as fake:
        smtp_id = register(alice, idapp, fake)
        with app.app_context():
            db.session.execute(update(Smtp).values(host="127.0.0.2"))
            db.session.commit()
        reply = alice.post("/private/smtps/check", idsmtp=smtp_id)
        assert fake.requests == []
    assert (reply.status_code, reply.json["code"]) == (406, "SMTP_PASSWORD_UNREADABLE")
    with app.app_context():
        assert db.session.query(Check).count() == 0


def test_check_signs_in_with_a_token(
    app: Flask, alice: Person, idapp: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    login = ("shop@example.com", "the-access-token")
    with fake_smtp(token=login) as server, fake_oauth(token("the-access-token")) as fake:
        smtp_id = register(alice, idapp, fake, host=server.host, port=server.port)
        for _ in range(2):
            assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        assert len(server.mails) == 2
        assert len(fake.requests) == 1
    with app.app_context():
        first, second = db.session.query(Check).order_by(Check.started)
        steps = [one.steps[0] for one in (first, second)]
        assert [step.stage for step in steps] == ["token", "token"]
        assert steps[0].outcome == "done" and steps[0].milliseconds is not None
        assert "the-access-token" not in json.dumps([first.report_json, second.report_json])
    assert "the-access-token" not in caplog.text


def test_token_that_the_caller_brings_is_used_once_and_not_kept(
    app: Flask, alice: Person, idapp: str
) -> None:
    with fake_smtp(token=("shop@example.com", "a-brought-token")) as server, fake_oauth() as fake:
        smtp_id = register(alice, idapp, fake, host=server.host, port=server.port)
        given = {"idsmtp": smtp_id, "accesstoken": "a-brought-token"}
        assert alice.post("/private/smtps/check", **given).status_code == 200
        assert fake.requests == []
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 406
        assert len(fake.requests) == 1
    with app.app_context():
        for check in db.session.query(Check):
            assert "a-brought-token" not in json.dumps(check.report_json)


def test_token_that_is_brought_is_checked_and_not_taken_from_the_url(
    alice: Person, idapp: str
) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    for bad in ("with a space", "x" * 20000, "line\r\nbreak"):
        reply = alice.post("/private/smtps/check", idsmtp=smtp_id, accesstoken=bad)
        assert reply.status_code == 400
        assert reply.json["errors"][0]["parameter"] == "accesstoken"
    reply = alice.request("POST", f"/private/smtps/check?idsmtp={smtp_id}&accesstoken=abc")
    assert reply.status_code == 400


def test_key_of_a_service_account_is_kept_as_a_key_alone(alice: Person, idapp: str) -> None:
    pem = RSAKey.generate_key(2048).as_pem(private=True).decode()
    for number, key_id in enumerate(("k1", 7, None, ["k"], {"a": 1})):
        content = {
            "client_email": "robot@project.example", "private_key_id": key_id,
            "private_key": f"PUBLIC, OPENSSH PRIVATE\n{pem}",
        }  # fmt: skip
        with fake_oauth(token("signed")) as fake:
            smtp_id = register(
                alice, idapp, fake, username=f"u{number}@example.com", oauthgrant="jwt_bearer",
                oauthclientsecret="", oauthkey=json.dumps(content),
            )  # fmt: skip
            reply = alice.get("/private/smtps/token", idsmtp=smtp_id)
            assert (reply.status_code, reply.json.get("accesstoken")) == (200, "signed")
            assert len(fake.requests) == 1
