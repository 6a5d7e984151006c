"""XOAUTH2 and OAUTHBEARER at a real Dovecot, which asks a real endpoint about the token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from smtpweb.mailcheck import EgressPolicy, Encryption, Report, Stage, Target, check, check_async
from tests.real import certificates
from tests.real.dovecot_oauth import AuthorizationServer, dovecot_with_tokens
from tests.real.servers import LOGIN, MAILBOX, Door, RealServer
from tests.support.tokens import bearer
from tests.support.trust import trust_ca, trust_pin

MECHANISMS = ("XOAUTH2", "OAUTHBEARER")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[RealServer, AuthorizationServer]]:
    with dovecot_with_tokens() as running:
        yield running


@pytest.fixture(params=["blocking", "looped"])
def driver(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def signed_in(
    servers: tuple[RealServer, AuthorizationServer], driver: str, token: str, **changes: Any
) -> Report:
    values: dict[str, Any] = {
        "host": "localhost",
        "port": servers[0].ports[Door.SUBMISSION],
        "mail_from": LOGIN,
        "rcpt_to": MAILBOX,
        "encryption": Encryption.STARTTLS,
        "auth": True,
        "username": LOGIN,
        "access_token": token,
        "timeout": 20.0,
        "policy": EgressPolicy.parse("127.0.0.0/8", "*"),
        "trust": trust_ca(certificates.authority()),
    }
    target = Target(**values | changes)
    return check(target) if driver == "blocking" else asyncio.run(check_async(target))


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("length", [40, 250, 330, 700, 1500, 4000])
def test_token_of_any_length_signs_in_and_the_mail_arrives(
    servers: tuple[RealServer, AuthorizationServer], driver: str, mechanism: str, length: int
) -> None:
    """What does not fit into the AUTH line follows the 334."""
    server, authority = servers
    token = bearer(length)
    authority.tokens[token] = (LOGIN, "mail")
    report = signed_in(servers, driver, token, mechanism=mechanism)
    assert report.accepted, report.transcript
    assert authority.asked[-1] == token
    assert server.has(report.message_id)


def test_offered_mechanisms_need_no_choice(
    servers: tuple[RealServer, AuthorizationServer], driver: str
) -> None:
    servers[1].tokens[bearer(80)] = (LOGIN, "mail")
    report = signed_in(
        servers, driver, bearer(80), port=servers[0].ports[Door.TLS], encryption=Encryption.IMPLICIT
    )
    assert report.accepted, report.transcript
    assert any(line.text.startswith("AUTH OAUTHBEARER") for line in report.transcript)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("length", [50, 700])
def test_wrong_token_is_refused_after_its_error_challenge(
    servers: tuple[RealServer, AuthorizationServer], driver: str, mechanism: str, length: int
) -> None:
    token = bearer(length + 1)
    report = signed_in(servers, driver, token, mechanism=mechanism)
    assert (report.stage, report.code) == (Stage.AUTH, "SMTP_AUTH_TOKEN_REFUSED")
    assert report.reply is not None
    assert report.reply.code == 535
    status = {"XOAUTH2": "401", "OAUTHBEARER": "invalid_token"}[mechanism]
    assert any(f"status {status}" in line.text for line in report.transcript)
    assert any(status in step for step in report.advice)
    assert token[:20] not in str(report)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_token_of_another_user_or_scope_is_refused(
    servers: tuple[RealServer, AuthorizationServer], driver: str, mechanism: str
) -> None:
    tokens = servers[1].tokens
    tokens[bearer(90)] = ("somebody@example.com", "mail")
    tokens[bearer(91)] = (LOGIN, "calendar")
    for length in (90, 91):
        report = signed_in(servers, driver, bearer(length), mechanism=mechanism)
        assert report.stage is Stage.AUTH
        assert report.code in ("SMTP_AUTH_TOKEN_REFUSED", "SMTP_AUTH_TOKEN_SCOPE")


def test_certificate_trusted_by_its_key_alone_is_accepted(
    servers: tuple[RealServer, AuthorizationServer], driver: str
) -> None:
    """First refused, then trusted exactly as the failed check showed it, then changed."""
    servers[1].tokens[bearer(80)] = (LOGIN, "mail")
    unknown = signed_in(servers, driver, bearer(80), trust=Target("h", 1, "a", "b").trust)
    assert unknown.code == "SMTP_TLS_CERTIFICATE_UNTRUSTED"
    assert unknown.tls is not None
    pinned = signed_in(servers, driver, bearer(80), trust=trust_pin(unknown.tls.pin))
    assert pinned.accepted, pinned.transcript
    other = signed_in(servers, driver, bearer(80), trust=trust_pin("00" * 32))
    assert other.code == "SMTP_TLS_PIN_CHANGED"
