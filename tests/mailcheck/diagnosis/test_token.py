"""Failed token requests: each answer of an authorization server leads to its cause."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smtpweb.mailcheck import (
    Encryption,
    Grant,
    NetworkFault,
    Outcome,
    Report,
    Side,
    Stage,
    TokenFailure,
    diagnose_token_error,
    no_token,
)
from smtpweb.mailcheck.diagnosis import token_faults
from smtpweb.mailcheck.diagnosis.catalogue import causes, causes_by_id
from tests.support.tokens import bearer

UUID = "6b2d1d92-7018-4182-b70e-821127bec509"
MICROSOFT: dict[str, Any] = {"provider": "microsoft", "host": "login.microsoftonline.com"}
GOOGLE: dict[str, Any] = {"provider": "gmail", "host": "oauth2.googleapis.com"}
ZOHO: dict[str, Any] = {"provider": "zoho", "host": "accounts.zoho.com"}
REFRESH: dict[str, Any] = {"grant": Grant.REFRESH_TOKEN, "error": "invalid_grant"}
JWT: dict[str, Any] = {"grant": Grant.JWT_BEARER, "error": "invalid_grant"}

# Answers as the authorization servers give them, and the cause after SMTP_TOKEN_
ANSWERS: list[tuple[dict[str, Any], str]] = [
    # Microsoft, by number, from the list or from the words alone
    (MICROSOFT | {"error": "unauthorized_client", "error_codes": (700016,)}, "UNKNOWN_APPLICATION"),
    (MICROSOFT | {"error_description": f"AADSTS700016: Application with identifier '{UUID}' was"
                  " not found in the directory 'Contoso'."}, "UNKNOWN_APPLICATION"),
    (MICROSOFT | {"error": "invalid_client", "error_codes": (7000215,)}, "SECRET_WRONG"),
    (MICROSOFT | {"error_codes": (7000215,), "secrets": ("a~real-value",)}, "SECRET_WRONG"),
    (MICROSOFT | {"error_codes": (7000215,), "secrets": (UUID,)}, "SECRET_ID"),
    (MICROSOFT | {"error_codes": (7000215,), "secrets": (f" {UUID.upper()} ",)}, "SECRET_ID"),
    (MICROSOFT | {"error_codes": (7000222,)}, "SECRET_EXPIRED"),
    (MICROSOFT | {"error_codes": (7000218,)}, "SECRET_MISSING"),
    (MICROSOFT | {"error_codes": (700025,)}, "SECRET_NOT_EXPECTED"),
    (MICROSOFT | {"error_codes": (90002,)}, "TENANT_UNKNOWN"),
    (MICROSOFT | {"error_codes": (900023,)}, "TENANT_UNKNOWN"),
    (MICROSOFT | {"error_codes": (50194,)}, "ACCOUNT_TYPE"),
    (MICROSOFT | {"error": "invalid_grant", "error_codes": (65001,)}, "CONSENT_MISSING"),
    (MICROSOFT | {"error": "invalid_grant", "suberror": "consent_required"}, "CONSENT_MISSING"),
    (MICROSOFT | REFRESH | {"error_codes": (50173,)}, "GRANT_REVOKED"),
    (MICROSOFT | REFRESH | {"error_codes": (700082,)}, "GRANT_EXPIRED"),
    (MICROSOFT | REFRESH | {"error_codes": (70008,)}, "GRANT_EXPIRED"),
    (MICROSOFT | REFRESH | {"error_codes": (50076,)}, "SIGN_IN_POLICY"),
    (MICROSOFT | REFRESH | {"error_codes": (53003,)}, "SIGN_IN_POLICY"),
    (MICROSOFT | REFRESH | {"error_codes": (50057,)}, "ACCOUNT_DISABLED"),
    (MICROSOFT | {"error": "invalid_scope", "error_codes": (70011,)}, "SCOPE"),
    (MICROSOFT | {"error": "invalid_scope", "error_codes": (1002012,)}, "SCOPE"),
    (MICROSOFT | {"error_codes": (700024,)}, "CLOCK"),
    (MICROSOFT | {"error_codes": (500133, 700016)}, "CLOCK"),
    (MICROSOFT | {"error_codes": (99999999, 7000222)}, "SECRET_EXPIRED"),
    (MICROSOFT | {"error": "invalid_client", "error_codes": (99999999,)}, "CLIENT_REFUSED"),
    (MICROSOFT | {"grant": Grant.AUTHORIZATION_CODE, "error_codes": (54005,)}, "CODE_USED"),
    (MICROSOFT | {"grant": Grant.DEVICE_CODE, "error_codes": (70019,)}, "DEVICE_EXPIRED"),
    (MICROSOFT | {"error_codes": (90033,), "status": 503}, "SERVER_TROUBLE"),
    # Google
    (GOOGLE | REFRESH | {"error_description": "Token has been expired or revoked."},
     "GOOGLE_GRANT"),
    (GOOGLE | REFRESH | {"error_description": "Bad Request"}, "GOOGLE_GRANT"),
    (GOOGLE | REFRESH | {"suberror": "invalid_rapt",
                         "error_description": "reauth related error (invalid_rapt)"},
     "SIGN_IN_POLICY"),
    (GOOGLE | {"error": "invalid_client", "error_description": "The OAuth client was not found."},
     "UNKNOWN_APPLICATION"),
    (GOOGLE | {"error": "deleted_client"}, "UNKNOWN_APPLICATION"),
    (GOOGLE | {"error": "disabled_client"}, "APPLICATION_DISABLED"),
    (GOOGLE | {"error": "invalid_client", "error_description": "Unauthorized", "status": 401},
     "SECRET_WRONG"),
    (GOOGLE | {"error": "invalid_client",
               "error_description": "The provided client secret is invalid."}, "SECRET_WRONG"),
    (GOOGLE | JWT | {"error_description": "Invalid JWT: Token must be a short-lived token (60"
                     " minutes) and in a reasonable timeframe. Check your iat and exp values in the"
                     " JWT claim."}, "CLOCK"),
    (GOOGLE | JWT | {"error_description": "Invalid JWT Signature."}, "KEY_WRONG"),
    (GOOGLE | JWT | {"error_description": "Invalid email or User ID"}, "ACCOUNT_UNKNOWN"),
    (GOOGLE | JWT | {"error": "unauthorized_client", "error_description": "Client is unauthorized"
                     " to retrieve access tokens using this method, or client not authorized for"
                     " any of the scopes requested."}, "DELEGATION_MISSING"),
    (GOOGLE | {"error": "admin_policy_enforced"}, "CONSENT_MISSING"),
    (GOOGLE | {"error": "redirect_uri_mismatch", "grant": Grant.AUTHORIZATION_CODE},
     "REDIRECT_URI"),
    # Zoho
    (ZOHO | {"status": 200, "error": "invalid_client"}, "DATA_CENTRE"),
    (ZOHO | {"status": 200, "error": "invalid_client_secret"}, "SECRET_WRONG"),
    (ZOHO | {"status": 200, "error": "invalid_code", "grant": Grant.REFRESH_TOKEN},
     "GRANT_REVOKED"),
    # By the standards
    ({"error": "invalid_client", "status": 401}, "CLIENT_REFUSED"),
    ({"error": "INVALID_CLIENT", "status": 401}, "CLIENT_REFUSED"),
    ({"status": 401}, "CLIENT_REFUSED"),
    (REFRESH, "GRANT_REFUSED"),
    (REFRESH | {"error_description": "Refresh token expired"}, "GRANT_EXPIRED"),
    (REFRESH | {"error_description": "Token was revoked"}, "GRANT_REVOKED"),
    (REFRESH | {"error_description": "Session not active"}, "GRANT_REVOKED"),
    ({"error": "invalid_scope"}, "SCOPE"),
    ({"error": "unsupported_grant_type"}, "GRANT_NOT_ALLOWED"),
    ({"error": "unauthorized_client"}, "GRANT_NOT_ALLOWED"),
    ({"error": "invalid_request"}, "REQUEST_INVALID"),
    ({"error": "access_denied", "grant": Grant.DEVICE_CODE}, "DECLINED"),
    ({"error": "expired_token", "grant": Grant.DEVICE_CODE}, "DEVICE_EXPIRED"),
    ({"error": "invalid_grant", "grant": Grant.AUTHORIZATION_CODE}, "CODE_USED"),
    ({"error": "invalid_grant", "grant": Grant.AUTHORIZATION_CODE,
      "error_description": "PKCE verification failed"}, "VERIFIER"),
    ({"error": "slow_down"}, "THROTTLED"),
    ({"status": 429, "error": "invalid_client"}, "THROTTLED"),
    ({"error": "temporarily_unavailable"}, "SERVER_TROUBLE"),
    ({"status": 502}, "SERVER_TROUBLE"),
    ({"status": 404}, "WRONG_ADDRESS"),
    ({"error": "something_new", "status": 400}, "REFUSED"),
    ({}, "REFUSED"),
]  # fmt: skip
NETWORK = {
    NetworkFault.POLICY: "POLICY",
    NetworkFault.URL_INVALID: "URL_INVALID",
    NetworkFault.NAME_UNKNOWN: "NAME_UNKNOWN",
    NetworkFault.RESOLVER_FAILED: "RESOLVER_FAILED",
    NetworkFault.UNREACHABLE: "UNREACHABLE",
    NetworkFault.CONNECTION_REFUSED: "CONNECTION_REFUSED",
    NetworkFault.CONNECTION_LOST: "CONNECTION_LOST",
    NetworkFault.TIMEOUT: "TIMEOUT",
    NetworkFault.TLS: "TLS",
    NetworkFault.REDIRECT: "REDIRECT",
    NetworkFault.NOT_JSON: "NOT_JSON",
    NetworkFault.TOO_LARGE: "TOO_LARGE",
    NetworkFault.NO_TOKEN: "NONE_SENT",
    NetworkFault.TOKEN_UNUSABLE: "UNUSABLE",
}


@pytest.mark.parametrize(("answer", "code"), ANSWERS)
def test_answer_leads_to_its_cause(answer: dict[str, Any], code: str) -> None:
    found = diagnose_token_error(TokenFailure(**answer))
    assert found.id == f"SMTP_TOKEN_{code}"
    assert found.facts["stage"] == "token"
    assert "{" not in found.title + found.meaning + " ".join(found.steps)


@pytest.mark.parametrize(("network", "code"), NETWORK.items())
def test_network_fault_leads_to_its_cause(network: NetworkFault, code: str) -> None:
    """Whatever else is known: without an answer there is nothing else to judge."""
    found = diagnose_token_error(
        TokenFailure(network=network, host="login.example", status=200, error="invalid_client")
    )
    assert found.id == f"SMTP_TOKEN_{code}"


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "THROTTLED"), (500, "SERVER_TROUBLE"), (503, "SERVER_TROUBLE"), (403, "NOT_JSON")],
)
def test_page_of_an_overloaded_endpoint_is_temporary(status: int, code: str) -> None:
    found = diagnose_token_error(
        TokenFailure(network=NetworkFault.NOT_JSON, host="login.example", status=status)
    )
    assert (found.id, found.temporary) == (f"SMTP_TOKEN_{code}", code != "NOT_JSON")


def test_network_faults_all_have_a_cause() -> None:
    assert set(NETWORK) == set(NetworkFault) - {NetworkFault.NONE}


def test_faults_all_have_a_cause_of_their_own() -> None:
    named = {fault for cause in causes() for fault in cause.when.get("fault", ())}
    made_here = {"secret id", "rotation lost", *(str(fault) for fault in NETWORK)}
    assert token_faults.faults() | made_here == named


def test_numbers_of_microsoft_stand_once() -> None:
    listed = [number for numbers in token_faults._load()["aadsts"].values() for number in numbers]
    assert len(listed) == len(set(listed))


def test_causes_on_our_side_do_not_count_against_the_server() -> None:
    for network in (NetworkFault.POLICY, NetworkFault.RESOLVER_FAILED, NetworkFault.UNREACHABLE):
        report = refused(TokenFailure(network=network))
        assert report.ours
        assert not report.judges
        assert report.side in (Side.POLICY, Side.MACHINE)
    assert refused(TokenFailure(error_codes=(7000222,))).judges


@pytest.mark.parametrize("number", [7000215, 50173, 65001])
def test_number_leads_to_the_page_of_microsoft_about_it(number: int) -> None:
    found = diagnose_token_error(TokenFailure(**MICROSOFT, error_codes=(number,)))
    assert any(f"error?code={number}" in step for step in found.steps)


def test_words_of_the_endpoint_are_shown_without_its_trace() -> None:
    words = "AADSTS7000222: The provided client secret keys for app are expired."
    found = diagnose_token_error(
        TokenFailure(**MICROSOFT, error_description=f"{words} Trace ID: 0001 Correlation ID: 2")
    )
    assert any(step.endswith(words) for step in found.steps)
    assert "Trace ID" not in json.dumps(found.facts)


def test_clock_is_named_with_its_minutes() -> None:
    found = diagnose_token_error(
        TokenFailure(**(GOOGLE | JWT), clock_skew=-612, error_description="iat is in the future")
    )
    assert found.id == "SMTP_TOKEN_CLOCK"
    assert any("10 minutes" in step for step in found.steps)
    unknown = diagnose_token_error(
        TokenFailure(**(GOOGLE | JWT), error_description="iat is in the future")
    )
    assert not any("minutes" in step for step in unknown.steps)


@pytest.mark.parametrize("skew", [-600, 600])
def test_clock_that_is_off_explains_a_refused_assertion(skew: float) -> None:
    """Not every endpoint says so; its Date header does."""
    assert diagnose_token_error(TokenFailure(**JWT, clock_skew=skew)).id == "SMTP_TOKEN_CLOCK"
    near = diagnose_token_error(TokenFailure(**JWT, clock_skew=skew / 10))
    assert near.id == "SMTP_TOKEN_GRANT_REFUSED"
    other = TokenFailure(**REFRESH, clock_skew=skew)  # nothing is signed
    assert diagnose_token_error(other).id == "SMTP_TOKEN_GRANT_REFUSED"


@pytest.mark.parametrize(
    "error", [{"error": "invalid_grant"}, {"error_codes": (70008,)}, {"error_codes": (50173,)}]
)
def test_lost_rotation_is_said_where_it_may_be_the_reason(error: dict[str, Any]) -> None:
    lost = TokenFailure(grant=Grant.REFRESH_TOKEN, rotation_lost=True, **error)
    assert diagnose_token_error(lost).id == "SMTP_TOKEN_ROTATION_LOST"


def test_lost_rotation_is_not_blamed_for_another_fault() -> None:
    other = TokenFailure(grant=Grant.REFRESH_TOKEN, rotation_lost=True, error_codes=(7000222,))
    assert diagnose_token_error(other).id == "SMTP_TOKEN_SECRET_EXPIRED"


SECRET = "Kx8~qwErTy-long_secret.value+0123"


@pytest.mark.parametrize("member", ["error", "error_description", "network_words"])
def test_secrets_that_the_endpoint_repeats_are_hidden(member: str) -> None:
    for echoed in (SECRET, SECRET.upper(), SECRET[::-1], SECRET.encode().hex()):
        answer: dict[str, Any] = {member: f"you sent {echoed}"}
        failure = TokenFailure(**answer, secrets=("", SECRET, "other-one"))
        found = diagnose_token_error(failure)
        shown = " ".join([found.title, found.meaning, *found.steps, *found.facts.values()])
        assert echoed not in shown
        assert echoed.lower() not in shown.lower()
        assert SECRET not in repr(failure)
        assert SECRET not in repr(found)


def test_hostile_words_of_the_endpoint_are_cleaned_and_cut() -> None:
    words = "\x1b[2J\u202eevil\r\nSet-Cookie: x {host} {0} %(x)s " + "w" * 100_000
    found = diagnose_token_error(TokenFailure(error=words, error_description=words))
    shown = " ".join([found.title, found.meaning, *found.steps])
    assert len(shown) < 4000
    assert not {"\x1b", "\u202e", "\r", "\n"} & set(shown)


def refused(failure: TokenFailure) -> Report:
    return no_token(
        failure,
        host="smtp.example.com",
        port=587,
        rcpt_to="test@example.com",
        encryption=Encryption.STARTTLS,
        milliseconds=321.0,
    )


def test_report_without_a_token_names_its_stage_and_survives_storage() -> None:
    report = refused(TokenFailure(**MICROSOFT, error_codes=(7000222,)))
    assert (report.stage, report.accepted, report.milliseconds) == (Stage.TOKEN, False, 321.0)
    outcomes = {step.stage: step.outcome for step in report.steps}
    assert outcomes.pop(Stage.TOKEN) is Outcome.FAILED
    assert set(outcomes.values()) == {Outcome.NOT_REACHED}
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert report.code in causes_by_id()


@pytest.mark.parametrize("size", [24, 60, 200])
def test_part_of_a_long_secret_is_hidden_too(size: int) -> None:
    secret = bearer(1800)
    found = diagnose_token_error(
        TokenFailure(error_description=f"bad token x_{secret[100 : 100 + size]}", secrets=(secret,))
    )
    assert secret[104:120] not in repr(found)
