"""Saving OAuth settings: what is required or known, and which secrets must be entered again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask

from smtpweb.database.models import Smtp, SmtpOauth
from smtpweb.database.session import db
from smtpweb.registry import grants, transfers
from tests.support.people import Person, Reply

PEM = (
    rsa.generate_private_key(public_exponent=65537, key_size=2048)
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)
ACCOUNT = json.dumps(
    {"type": "service_account", "client_email": "robot@p.example", "private_key": PEM}
)
MICROSOFT = {
    "host": "smtp.office365.com",
    "port": "587",
    "starttls": "true",
    "auth": "true",
    "username": "shop@example.com",
    "oauthgrant": "client_credentials",
    "oauthtenant": "Example.onmicrosoft.com",
    "oauthclientid": "11111111-2222-3333-4444-555555555555",
    "oauthclientsecret": "abc~secret",
}
OTHER = MICROSOFT | {"host": "smtp.example.com", "oauthtokenurl": "https://login.example.com/token"}


def save(alice: Person, idapp: str, given: dict[str, Any], **changes: Any) -> Reply:
    sent = {name: value for name, value in (given | changes).items() if value is not None}
    return alice.post("/private/smtps/save", idapp=idapp, **sent)


def saved(alice: Person, idapp: str, given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    reply = save(alice, idapp, given, **changes)
    assert reply.status_code == 200, reply.text
    shown: dict[str, Any] = reply.json
    return shown


def faults(reply: Reply) -> set[str]:
    assert reply.status_code == 400, reply.text
    return {one["parameter"] for one in reply.json["errors"]}


def grant_of(app: Flask) -> SmtpOauth | None:
    with app.app_context():
        return db.session.query(SmtpOauth).one_or_none()


def test_server_without_oauth_is_shown_as_documented(alice: Person, idapp: str) -> None:
    shown = alice.make_smtp(idapp)
    assert not [name for name in shown if name.startswith("oauth")]


def test_settings_are_echoed_without_secrets(alice: Person, idapp: str) -> None:
    shown = saved(alice, idapp, MICROSOFT, oauthexpires="2027-11-30")
    assert {name: shown[name] for name in shown if name.startswith("oauth")} == {
        "oauthgrant": "client_credentials",
        "oauthprovider": "microsoft365",
        "oauthtenant": "example.onmicrosoft.com",
        "oauthclientid": "11111111-2222-3333-4444-555555555555",
        "oauthscope": "https://outlook.office365.com/.default",
        "oauthtokenurl": (
            "https://login.microsoftonline.com/example.onmicrosoft.com/oauth2/v2.0/token"
        ),
        "oauthauthurl": (
            "https://login.microsoftonline.com/example.onmicrosoft.com/oauth2/v2.0/authorize"
        ),
        "oauthdeviceurl": (
            "https://login.microsoftonline.com/example.onmicrosoft.com/oauth2/v2.0/devicecode"
        ),
        "oauthclientauth": "post",
        "oauthready": True,
    }
    assert (shown["password"], shown["passwordexpires"]) == (None, "2027-11-30")
    assert alice.smtp(shown["_id"]) == shown
    assert alice.smtps(idapp) == [shown]
    assert "abc~secret" not in json.dumps(shown)


@pytest.mark.parametrize(
    ("host", "provider", "token_url"),
    [
        ("smtp.office365.com", "microsoft365", "/organizations/oauth2/v2.0/token"),
        ("smtp-mail.outlook.com", "outlook", "/consumers/oauth2/v2.0/token"),
        ("smtp.gmail.com", "google", "https://oauth2.googleapis.com/token"),
        ("smtp.mail.yahoo.com", "yahoo", "https://api.login.yahoo.com/oauth2/get_token"),
        ("smtp.zoho.eu", "zoho", "https://accounts.zoho.eu/oauth/v2/token"),
        ("smtppro.zoho.com.au", "zoho", "https://accounts.zoho.com.au/oauth/v2/token"),
    ],
)
def test_provider_is_known_by_the_host(
    alice: Person, idapp: str, host: str, provider: str, token_url: str
) -> None:
    changes = {"oauthgrant": "authorization_code", "oauthtenant": None}
    shown = saved(alice, idapp, MICROSOFT, host=host, **changes)
    assert (shown["oauthprovider"], shown["oauthready"]) == (provider, False)
    assert shown["oauthtokenurl"].endswith(token_url)


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({"oauthgrant": None}, {"oauthgrant"}),
        ({"oauthgrant": "password"}, {"oauthgrant"}),
        ({"oauthgrant": "given"}, {"oauthgrant"}),
        ({"oauthclientid": None}, {"oauthclientid"}),
        ({"oauthclientsecret": None}, {"oauthclientsecret"}),
        ({"oauthclientsecret": "sécret"}, {"oauthclientsecret"}),
        ({"oauthclientsecret": "x" * 9000}, {"oauthclientsecret"}),
        ({"oauthtokenurl": None}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "http://login.example.com/token"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "https://user:pass@login.example.com/token"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "https://login.example.com/token#x"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "https://login.example.com/token?x=1"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "https://0x7f.1/token"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "https://login.example.com:99999/"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "ftp://login.example.com/"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "https://[::1/token"}, {"oauthtokenurl"}),
        ({"oauthtokenurl": "https://login.example.com\\@evil.example/"}, {"oauthtokenurl"}),
        ({"oauthscope": 'a"b'}, {"oauthscope"}),
        ({"oauthexpires": "30.11.2027"}, {"passwordexpires"}),
        ({"oauthexpires": "2027-02-30"}, {"passwordexpires"}),
        ({"oauthprovider": "nobody"}, {"oauthprovider"}),
        ({"oauthclientauth": "mtls"}, {"oauthclientauth"}),
        ({"oauthgrant": "refresh_token"}, {"oauthrefreshtoken"}),
        ({"oauthgrant": "authorization_code"}, {"oauthauthurl"}),
        ({"oauthgrant": "device_code"}, {"oauthdeviceurl"}),
        ({"oauthgrant": "jwt_bearer"}, {"oauthkey"}),
        ({"auth": "false"}, {"oauthgrant"}),
        ({"username": None}, {"username"}),
        ({"password": "a password"}, {"password"}),
        ({"oauthprovider": "microsoft365", "oauthtenant": None}, {"oauthtenant", "oauthtokenurl"}),
        ({"oauthprovider": "microsoft365", "oauthtenant": "../x"}, {"oauthtenant"}),
        ({"oauthprovider": "outlook"}, {"oauthgrant"}),
        ({"oauthprovider": "google"}, {"oauthgrant"}),
    ],
)
def test_faults_are_named_by_parameter(
    alice: Person, idapp: str, changes: dict[str, Any], parameters: set[str]
) -> None:
    reply = save(alice, idapp, OTHER, **changes)
    assert faults(reply) == parameters
    assert "abc~secret" not in reply.text
    assert alice.smtps(idapp) == []


@pytest.mark.parametrize(
    "key",
    [
        "{",
        "[]",
        "7",
        "[" * 5000,
        json.dumps({"client_email": "robot@p.example"}),
        json.dumps({"client_email": "robot@p.example", "private_key": "-----BEGIN"}),
        json.dumps({"client_email": "robot@p.example", "private_key": ["x"]}),
        json.dumps({"client_email": "no address", "private_key": PEM}),
        ACCOUNT + " " * 9000,
    ],
)
def test_damaged_service_account_is_refused_without_showing_it(
    alice: Person, idapp: str, key: str
) -> None:
    reply = save(alice, idapp, OTHER, oauthgrant="jwt_bearer", oauthkey=key)
    assert faults(reply) == {"oauthkey"}
    assert "PRIVATE" not in reply.text


def test_service_account_names_its_client(alice: Person, idapp: str) -> None:
    google = {"host": "smtp.gmail.com", "oauthgrant": "jwt_bearer", "oauthtenant": None}
    shown = saved(
        alice, idapp, MICROSOFT, **google, oauthkey=ACCOUNT, oauthclientid=None,
        oauthclientsecret=None,
    )  # fmt: skip
    assert shown["oauthclientid"] == "robot@p.example"
    assert shown["oauthscope"] == "https://mail.google.com/"
    assert "PRIVATE" not in json.dumps(shown)


def echoed(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what a client sends that was shown an object and edits it."""
    members = shown | {"idsmtp": shown["_id"], "ssltls": shown["sslTls"]}
    dropped = ("_id", "sslTls", "warnings", "idapp")
    return {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in members.items()
        if name not in dropped
    }


def test_object_that_is_sent_back_keeps_its_secret(app: Flask, alice: Person, idapp: str) -> None:
    shown = saved(alice, idapp, MICROSOFT)
    before = grant_of(app)
    again = saved(alice, idapp, echoed(shown), priority="3")
    after = grant_of(app)
    assert before and after
    assert after.clientsecret_sealed == before.clientsecret_sealed
    assert again["oauthready"] and again["priority"] == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "smtp.attacker.example"},
        {"port": "2525"},
        {"starttls": "false"},
        {"username": "boss@example.com"},
        {"oauthtokenurl": "https://login.attacker.example/token"},
        {"oauthclientid": "another-app"},
        {"oauthscope": "everything"},
    ],
)
@pytest.mark.parametrize(
    ("grant", "parameter"),
    [("client_credentials", "oauthclientsecret"), ("refresh_token", "oauthrefreshtoken")],
)
def test_secret_must_be_entered_again_when_its_use_changes(
    app: Flask, alice: Person, idapp: str, changes: dict[str, str], grant: str, parameter: str
) -> None:
    given = OTHER | {"oauthgrant": grant, "oauthrefreshtoken": "refresh-1"}
    shown = saved(alice, idapp, given)
    edit = {"idsmtp": shown["_id"], "host": given["host"], "port": "587"} | changes
    assert parameter in faults(save(alice, idapp, edit))
    before = grant_of(app)
    edit |= {"oauthclientsecret": "entered-again", "oauthrefreshtoken": "entered-again"}
    saved(alice, idapp, edit)
    after = grant_of(app)
    assert before and after
    assert after.clientsecret_sealed != before.clientsecret_sealed


def test_grant_that_changes_needs_its_secrets(alice: Person, idapp: str) -> None:
    shown = saved(alice, idapp, OTHER)
    edit = {"idsmtp": shown["_id"], "host": OTHER["host"], "port": "587"}
    reply = save(alice, idapp, edit, oauthgrant="refresh_token")
    assert faults(reply) == {"oauthclientsecret", "oauthrefreshtoken"}


def test_password_replaces_the_grant_and_the_grant_the_password(
    app: Flask, alice: Person, idapp: str
) -> None:
    shown = saved(alice, idapp, OTHER)
    edit = {"idsmtp": shown["_id"], "host": OTHER["host"], "port": "587"}
    shown = saved(alice, idapp, edit, password="a password")
    assert shown["password"] == "a password"
    assert "oauthgrant" not in shown and grant_of(app) is None
    shown = saved(alice, idapp, OTHER, idsmtp=shown["_id"])
    assert shown["oauthready"] and shown["password"] is None
    with app.app_context():
        assert db.session.query(Smtp).one().password_sealed is None


def test_oauth_that_is_turned_off_needs_the_password(app: Flask, alice: Person, idapp: str) -> None:
    shown = saved(alice, idapp, OTHER)
    edit = {"idsmtp": shown["_id"], "host": OTHER["host"], "port": "587", "oauthgrant": "none"}
    assert faults(save(alice, idapp, edit)) == {"password"}
    assert grant_of(app) is not None
    saved(alice, idapp, edit, auth="false")
    assert grant_of(app) is None


def test_authentication_that_is_turned_off_forgets_the_grant(
    app: Flask, alice: Person, idapp: str
) -> None:
    shown = saved(alice, idapp, OTHER)
    saved(
        alice, idapp, {"idsmtp": shown["_id"], "host": OTHER["host"], "port": "587"}, auth="false"
    )
    assert grant_of(app) is None


def test_new_secret_without_a_date_forgets_that_of_the_old_one(alice: Person, idapp: str) -> None:
    shown = saved(alice, idapp, OTHER, oauthexpires="2027-11-30")
    edit = {"idsmtp": shown["_id"], "host": OTHER["host"], "port": "587"}
    assert saved(alice, idapp, edit, priority="3")["passwordexpires"] == "2027-11-30"
    assert "passwordexpires" not in saved(alice, idapp, edit, oauthclientsecret="another")


def test_grant_of_another_user_cannot_be_changed(
    alice: Person, idapp: str, charlie: Person
) -> None:
    shown = saved(alice, idapp, OTHER)
    mine = charlie.make_app("mine")["_id"]
    edit = {"idsmtp": shown["_id"], "host": OTHER["host"], "port": "587", "oauthclientid": "x"}
    assert save(charlie, mine, edit).status_code == 406
    assert save(charlie, idapp, edit).status_code == 406
    assert alice.smtp(shown["_id"]) == shown


def test_idempotency_key_counts_oauth_settings(alice: Person, idapp: str) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again, other = (
        alice.request(
            "POST", "/private/smtps/save", data=OTHER | {"idapp": idapp} | changes, headers=headers
        )
        for changes in ({}, {}, {"oauthclientid": "another"})
    )
    assert first.json["_id"] == again.json["_id"]
    assert other.status_code == 422


def test_copy_keeps_the_client_secret_and_no_refresh_token(
    app: Flask, alice: Person, idapp: str
) -> None:
    grants_given = [
        {"oauthgrant": "client_credentials", "oauthclientsecret": "s3cret"},
        {"oauthgrant": "refresh_token", "oauthrefreshtoken": "refresh-1"},
    ]
    copies = []
    for given in grants_given:
        smtp_id = alice.make_smtp(
            idapp, host="smtp.example.com", port=587, starttls="true", auth="true",
            username="shop@example.com", oauthclientid="an-app",
            oauthtokenurl="https://login.example.com/token", **given,
        )["_id"]  # fmt: skip
        with app.app_context():
            copies.append(transfers.copy(alice.user_id, smtp_id, idapp)[0].id)
    by_secret, by_refresh_token = map(alice.smtp, copies)
    assert (by_secret["oauthgrant"], by_secret["oauthready"]) == ("client_credentials", True)
    assert by_refresh_token["oauthready"] is False
    with app.app_context():
        smtp = db.session.get_one(Smtp, copies[0])
        row = grants.find(smtp.id)
        assert row is not None
        assert grants.unseal(smtp, row, "clientsecret") == "s3cret"
    problem = alice.post("/private/smtps/check", idsmtp=copies[1]).json
    assert problem["code"] == "SMTP_TOKEN_SIGN_IN_NEEDED"
