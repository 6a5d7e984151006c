"""What an access token says about itself, where a server refuses it: never the token."""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from typing import Any

import pytest

from smtpweb.mailcheck import Report
from smtpweb.mailcheck.diagnosis import token_claims
from smtpweb.mailcheck.net import resolver
from tests.support.drivers import blocking
from tests.support.fake_smtp import fake_smtp
from tests.support.tokens import bearer, jwt

USER = "alice@contoso.example"
OUTLOOK = "https://outlook.office365.com"
AS_USER = {"aud": OUTLOOK, "scp": "SMTP.Send IMAP.AccessAsUser.All", "upn": USER, "tid": "t-1"}
AS_APPLICATION = {"aud": OUTLOOK, "roles": ["SMTP.SendAsApp"], "appid": "app-1", "tid": "t-1"}


def refused(
    claims: dict[str, Any], monkeypatch: pytest.MonkeyPatch, host: str = "smtp.office365.com"
) -> Report:
    monkeypatch.setattr(resolver, "addresses_of", lambda name: (ipaddress.ip_address("127.0.0.1"),))
    with fake_smtp(
        token=(USER, bearer(10)),
        token_error=None,
        mechanisms="XOAUTH2",
        token_refusal="535 5.7.3 Authentication unsuccessful [LO4P265CA0090]",
    ) as server:
        token = jwt(claims)
        report = blocking(server.target(host=host, access_token=token))
    kept = json.dumps(report.to_dict())
    assert not any(part in kept for part in token.split("."))
    return report


LATER = int(time.time()) + 3600


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        (AS_USER | {"exp": LATER}, "SMTP_AUTH_TOKEN_MICROSOFT"),
        (AS_USER | {"exp": 1_700_000_000}, "SMTP_AUTH_TOKEN_EXPIRED"),
        (AS_USER | {"aud": "https://graph.microsoft.com"}, "SMTP_AUTH_TOKEN_AUDIENCE"),
        (AS_USER | {"aud": "00000003-0000-0000-c000-000000000000"}, "SMTP_AUTH_TOKEN_AUDIENCE"),
        (AS_USER | {"aud": "00000002-0000-0ff1-ce00-000000000000"}, "SMTP_AUTH_TOKEN_MICROSOFT"),
        (AS_USER | {"aud": "https://outlook.office.com/"}, "SMTP_AUTH_TOKEN_MICROSOFT"),
        (AS_USER | {"scp": "IMAP.AccessAsUser.All"}, "SMTP_AUTH_TOKEN_SCOPE"),
        (AS_USER | {"upn": "bob@contoso.example"}, "SMTP_AUTH_TOKEN_USER"),
        (AS_USER | {"upn": USER.upper()}, "SMTP_AUTH_TOKEN_MICROSOFT"),
        (AS_APPLICATION, "SMTP_AUTH_TOKEN_MICROSOFT_MAILBOX"),
        (AS_APPLICATION | {"roles": ["IMAP.AccessAsApp"]}, "SMTP_AUTH_TOKEN_SCOPE"),
        (AS_APPLICATION | {"aud": "https://graph.microsoft.com"}, "SMTP_AUTH_TOKEN_AUDIENCE"),
        (AS_APPLICATION | {"exp": 1_700_000_000, "aud": "x"}, "SMTP_AUTH_TOKEN_EXPIRED"),
    ],
)
def test_claims_explain_a_refusal_of_microsoft(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], code: str
) -> None:
    assert refused(claims, monkeypatch).code == code


def test_audience_and_permissions_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    audience = refused(AS_USER | {"aud": "https://graph.microsoft.com"}, monkeypatch)
    assert "https://graph.microsoft.com" in audience.title
    scope = refused(AS_USER | {"scp": "IMAP.AccessAsUser.All"}, monkeypatch)
    assert any("IMAP.AccessAsUser.All" in step for step in scope.advice)
    mailbox = refused(AS_APPLICATION, monkeypatch)
    assert "app-1" in mailbox.meaning
    assert USER in mailbox.title
    assert any("t-1" in step for step in mailbox.advice)


def test_claims_of_another_provider_are_not_measured_by_microsofts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report = refused({"aud": "mail", "scope": "mail.send"}, monkeypatch, "smtp.example.com")
    assert report.code == "SMTP_AUTH_TOKEN_REFUSED"


@pytest.mark.parametrize(
    "token",
    [
        "", "opaque", "a.b.c", "..", "a..c", "ya29.a0Af_byAbC-dEf", "a.!!!.c", f"a.{'x' * 9000}.c",
        f"a.{base64.b64encode(b'[1]').decode()}.c", f"a.{base64.b64encode(b'[' * 9000).decode()}.c",
        f"a.{base64.b64encode(bytes([255, 254, 0, 1])).decode().rstrip('=')}.c",
    ],
)  # fmt: skip
def test_tokens_that_are_no_jwt_have_no_claims(token: str) -> None:
    assert token_claims.claims_of(token) is None
    assert token_claims.facts_of(token, USER, microsoft=True) == {}


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": None, "scp": 5, "roles": {"a": 1}, "exp": "soon", "upn": ["x"], "tid": 7},
        {"aud": ["x", 1, None], "roles": [[], {}], "exp": True},
        {"exp": 1e400}, {"exp": -1e18}, {"exp": 10**30},
        {"aud": "\x1b[2J\u202e" + "a" * 10_000, "upn": "x\r\ny@z",
         "scp": "abc " * 9999},
        {},
    ],
)  # fmt: skip
def test_claims_of_any_type_are_survived(claims: dict[str, Any]) -> None:
    facts = token_claims.facts_of(jwt(claims), USER, microsoft=True)
    shown = json.dumps(facts, ensure_ascii=False)
    assert len(shown) < 8000
    assert "\u202e" not in shown
