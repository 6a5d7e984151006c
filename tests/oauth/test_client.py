"""Token requests to servers that misbehave: each ends in time, with its fault, without secrets."""

from __future__ import annotations

import dataclasses
import json
import time
import traceback

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from joserfc.jwk import RSAKey

from smtpweb.app import create_app
from smtpweb.config import Settings
from smtpweb.extensions import services
from smtpweb.mailcheck import EgressPolicy
from smtpweb.mailcheck.diagnosis.token import Grant, NetworkFault, TokenFailure
from smtpweb.oauth import client
from smtpweb.oauth.client import Application, Granted
from smtpweb.oauth.failure import TokenNotObtained
from tests.support.oauth_servers import (
    DRIP,
    FLOOD,
    HANG,
    Answer,
    Answers,
    FakeOauth,
    asserted,
    fake_oauth,
    refusal,
    token,
)

SECRET = "cl1ent+s/ecret"

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture
def database_url() -> str:
    return "sqlite:////nowhere/unused.db"  # no test here opens it


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_app(settings)


def application(fake: FakeOauth, **changes: object) -> Application:
    plain = Application(
        token_url=fake.token_url,
        client_id="an-app",
        client_auth="post",
        grant=Grant.CLIENT_CREDENTIALS,
        client_secret=SECRET,
        scope="https://outlook.office365.com/.default",
        username="shop@example.com",
        timeout=0.7,
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def failure_of(*answers: Answers, **changes: object) -> TokenFailure:
    with fake_oauth(*answers) as fake, pytest.raises(TokenNotObtained) as raised:
        client.by_client_credentials(application(fake, **changes))
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value.failure)
    assert SECRET not in shown
    return raised.value.failure


def granted(*answers: Answers, **changes: object) -> Granted:
    with fake_oauth(*answers) as fake:
        return client.by_client_credentials(application(fake, **changes))


def test_request_sends_id_secret_scope_and_grant() -> None:
    with fake_oauth(token("t", expires_in="3599")) as fake:
        found = client.by_client_credentials(application(fake))
    assert (found.access_token, found.life) == ("t", 3599)
    assert fake.requests[0] == {
        "path": "/token",
        "grant_type": "client_credentials",
        "client_id": "an-app",
        "client_secret": SECRET,
        "scope": "https://outlook.office365.com/.default",
    }
    assert "cookie" not in fake.headers[0]


def test_basic_authentication_encodes_id_and_secret() -> None:
    with fake_oauth() as fake:
        client.by_client_credentials(application(fake, client_auth="basic"))
    # RFC 6749 2.3.1: an-app:cl1ent%2Bs%2Fecret
    assert fake.headers[0]["authorization"] == "Basic YW4tYXBwOmNsMWVudCUyQnMlMkZlY3JldA=="
    assert "client_secret" not in fake.requests[0]


def test_public_client_sends_its_id_only() -> None:
    with fake_oauth() as fake:
        client.by_refresh_token(application(fake, client_secret=None), "refresh-1")
    assert fake.requests[0]["client_id"] == "an-app"
    assert fake.requests[0]["refresh_token"] == "refresh-1"
    assert "client_secret" not in fake.requests[0]
    assert "authorization" not in fake.headers[0]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (HANG, NetworkFault.TIMEOUT),
        (DRIP, NetworkFault.TIMEOUT),
        (FLOOD, NetworkFault.TOO_LARGE),
        (Answer(200, "<html>Sign in</html>"), NetworkFault.NOT_JSON),
        (Answer(502, "<html>Bad gateway</html>"), NetworkFault.NOT_JSON),
        (Answer(200, "[" * 100_000), NetworkFault.NOT_JSON),
        (Answer(200, ["a list"]), NetworkFault.NOT_JSON),
        (Answer(200, {}), NetworkFault.NO_TOKEN),
        (token(""), NetworkFault.NO_TOKEN),
        (token("x" * 100_000), NetworkFault.TOKEN_UNUSABLE),
        (token("with a space"), NetworkFault.TOKEN_UNUSABLE),
        (token("line\r\nbreak"), NetworkFault.TOKEN_UNUSABLE),
        (Answer(200, {"access_token": ["t"]}), NetworkFault.TOKEN_UNUSABLE),
        (token("t", token_type="mac"), NetworkFault.TOKEN_UNUSABLE),
    ],
)
def test_bad_answer_has_its_fault(answer: Answers, fault: NetworkFault) -> None:
    begun = time.monotonic()
    assert failure_of(answer).network is fault
    assert time.monotonic() - begun < 5


def test_redirect_to_a_private_address_is_not_followed() -> None:
    with fake_oauth() as inner:
        target = {"Location": inner.url.replace("http://", "http://user:pass@")}
        failure = failure_of(Answer(302, "", target))
        assert inner.requests == []
    assert failure.network is NetworkFault.REDIRECT
    assert failure.network_words == "127.0.0.1"


def test_address_that_the_policy_refuses_gets_no_request(app: Flask) -> None:
    config = services(app).settings
    with fake_oauth() as fake:
        services(app).settings = dataclasses.replace(
            config, webhook_egress=EgressPolicy().for_webhooks("*")
        )
        with pytest.raises(TokenNotObtained) as raised:
            client.by_client_credentials(application(fake))
        assert fake.requests == []
    failure = raised.value.failure
    assert failure.network is NetworkFault.POLICY
    assert failure.setting == "SMTPWEB_EGRESS_ALLOW=127.0.0.1/32"


def test_port_without_a_listener_is_refused_and_a_name_that_is_unknown_is_named() -> None:
    with fake_oauth() as fake:
        pass
    with pytest.raises(TokenNotObtained) as raised:
        client.by_client_credentials(application(fake))
    assert raised.value.failure.network is NetworkFault.CONNECTION_REFUSED
    with pytest.raises(TokenNotObtained) as raised:
        client.by_client_credentials(
            dataclasses.replace(application(fake), token_url="http://login.invalid/token")
        )
    assert raised.value.failure.network in (
        NetworkFault.NAME_UNKNOWN,
        NetworkFault.RESOLVER_FAILED,
    )


def test_error_of_the_server_is_kept_with_its_codes() -> None:
    failure = failure_of(
        refusal(
            "invalid_client",
            f"AADSTS7000215: Invalid client secret provided: {SECRET}",
            error_codes=[7000215, True, "x"],
            suberror="bad",
        )
    )
    assert (failure.error, failure.error_codes, failure.suberror) == (
        "invalid_client",
        (7000215,),
        "bad",
    )
    assert failure.status == 400
    assert failure.secrets == (SECRET,)
    assert (failure.host, failure.client_id) == ("127.0.0.1", "an-app")


@pytest.mark.parametrize("value", [[], {}, 7, None, True, "x" * 100_000, "\ud800"])
def test_error_of_any_type_is_an_error(value: object) -> None:
    failure = failure_of(Answer(400, {"error": value, "error_codes": value}))
    assert failure.status == 400
    assert len(failure.error) <= 2000


@pytest.mark.parametrize(
    ("sent", "life"),
    [
        ("3600", 3600), ('"3599"', 3599), ("1e400", client.MAX_LIFE), ('"soon"', None), ("-5", 0),
        ("1" + "0" * 30, client.MAX_LIFE), ("true", None), ("null", None), ("[]", None),
        ('"nan"', None),
    ],
)  # fmt: skip
def test_life_of_a_token_is_read_in_any_spelling(sent: str, life: int | None) -> None:
    body = f'{{"access_token": "t", "expires_in": {sent}}}'
    assert granted(Answer(200, body)).life == life


def test_clock_is_compared_with_that_of_the_server() -> None:
    late = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 600))
    failure = failure_of(Answer(400, {"error": "invalid_grant"}, {"Date": late}))
    assert failure.clock_skew == pytest.approx(-600, abs=5)
    assert failure_of(Answer(400, {"error": "x"}, {"Date": "soon"})).clock_skew is None


# --- service accounts ----------------------------------------------------------------------

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
ACCOUNT = {"client_email": "robot@project.example", "private_key": PEM, "private_key_id": "k1"}


def service_account(fake: FakeOauth) -> Granted:
    app = application(fake, grant=Grant.JWT_BEARER, client_secret=None)
    return client.by_service_account(app, json.dumps(ACCOUNT))


def test_service_account_signs_for_the_mailbox() -> None:
    with fake_oauth() as fake:
        fake.answers = [asserted(RSAKey.import_key(PEM), fake.token_url)]
        found = service_account(fake)
    assert found.access_token == "for.shop-example-com.38"
    assert set(fake.requests[0]) == {"grant_type", "assertion", "scope", "path"}


@pytest.mark.parametrize("off", [600, -4000])
def test_clock_that_is_off_is_refused_by_the_server_of_service_accounts(off: int) -> None:
    with fake_oauth() as fake:
        fake.answers = [asserted(RSAKey.import_key(PEM), fake.token_url, time.time() - off)]
        with pytest.raises(TokenNotObtained) as raised:
            service_account(fake)
    assert raised.value.failure.error == "invalid_grant"
    assert "reasonable" in raised.value.failure.error_description
    assert not any(part in repr(raised.value.failure) for part in ("eyJ", "PRIVATE"))
