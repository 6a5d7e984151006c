"""POST /private/smtps/explain: the cause of a pasted error."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from flask import Flask

from smtpweb.checking import limits
from smtpweb.extensions import services
from tests.support.databases import ONE_DATABASE
from tests.support.people import Person

pytestmark = ONE_DATABASE

PATH = "/private/smtps/explain"
REFUSED = "smtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed')"


def test_explain_names_the_cause(alice: Person) -> None:
    reply = alice.post(PATH, text=REFUSED)
    assert reply.status_code == 200
    found = reply.json
    assert found["understood"] is True
    assert found["code"] == "SMTP_AUTH_WRONG_CREDENTIALS"
    assert found["stage"] == "auth" and found["temporary"] is False and found["steps"]
    assert found["reply"] == {
        "code": 535, "enhanced": "5.7.8", "text": "Error: authentication failed"
    }  # fmt: skip
    assert found["asks"] == ["host", "provider"]
    assert found["confidence"] == "likely"
    assert found["alsoPossible"] == ["SMTP_AUTH_APP_PASSWORD", "SMTP_AUTH_NOT_ENABLED"]


@pytest.mark.parametrize(
    ("given", "host", "port", "provider"),
    [
        ({"host": "smtp.gmail.com:465"}, "smtp.gmail.com", 465, "gmail"),
        ({"host": "smtp.gmail.com"}, "smtp.gmail.com", None, "gmail"),
        ({"provider": "gmail"}, None, None, "gmail"),
        ({"provider": "GMAIL"}, None, None, "gmail"),
        ({"host": "[2001:db8::1]:587"}, "2001:db8::1", 587, None),
        ({"host": "2001:db8::1"}, "2001:db8::1", None, None),
    ],
)
def test_explain_uses_host_and_provider(
    alice: Person, given: dict[str, str], host: str | None, port: int | None, provider: str | None
) -> None:
    found = alice.post(PATH, text=REFUSED, **given).json
    assert (found["host"], found["port"], found["provider"]) == (host, port, provider)
    if provider:
        assert found["asks"] == [] and "GMAIL" in found["code"]


def test_explain_says_when_it_does_not_understand(alice: Person) -> None:
    found = alice.post(PATH, text="Hello, this is my shopping list.").json
    assert found["understood"] is False
    assert found["code"] is None and found["reply"] is None and found["steps"] == []
    assert found["confidence"] is None and found["alsoPossible"] == []


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ("452 4.2.2 The mailbox is over quota", "certain"),
        ("550 5.7.1 Zonk", "unclear"),
        ("Nov 20 10:11:12 mail postfix/smtp[1]: A: status=sent (250 2.0.0 Ok: queued)", "certain"),
    ],
)
def test_explain_says_how_sure_it_is(alice: Person, text: str, confidence: str) -> None:
    found = alice.post(PATH, text=text).json
    assert (found["confidence"], found["alsoPossible"]) == (confidence, [])


@pytest.mark.parametrize(
    ("given", "faulty"),
    [
        ({}, "text"),
        ({"text": "   "}, "text"),
        ({"text": "x" * (64 * 1024 + 1)}, "text"),
        ({"text": REFUSED, "host": "smtp://h"}, "host"),
        ({"text": REFUSED, "host": "h.example:0"}, "host"),
        ({"text": REFUSED, "host": "h.example:99999"}, "host"),
        ({"text": REFUSED, "provider": "nobody"}, "provider"),
    ],
)
def test_explain_refuses_what_it_cannot_read(
    alice: Person, given: dict[str, Any], faulty: str
) -> None:
    reply = alice.post(PATH, **given)
    assert reply.status_code == 400
    assert [one["parameter"] for one in reply.json["errors"]] == [faulty]


def test_explain_never_answers_with_a_credential(alice: Person) -> None:
    text = f"password=Tr0ub4dor-and-3\n{REFUSED[:-2]} for Tr0ub4dor-and-3')"
    reply = alice.post(PATH, text=text)
    assert "Tr0ub4dor" not in reply.text and "(hidden)" in reply.json["reply"]["text"]


def test_explain_needs_the_scope_to_read(alice: Person) -> None:
    assert alice.with_scopes("write").post(PATH, text=REFUSED).status_code == 401
    assert alice.with_scopes("read").post(PATH, text=REFUSED).status_code == 200


def test_explain_is_limited_for_each_user(app: Flask, alice: Person, charlie: Person) -> None:
    allowed = limits.Allowance(1, 600)
    services(app).limits = dataclasses.replace(services(app).limits, explanations=allowed)
    assert alice.post(PATH, text=REFUSED).status_code == 200
    reply = alice.post(PATH, text=REFUSED)
    assert reply.status_code == 429 and int(reply.headers["Retry-After"]) > 0
    assert charlie.post(PATH, text=REFUSED).status_code == 200
