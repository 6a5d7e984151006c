"""Signing in with an access token: XOAUTH2 and OAUTHBEARER, one attempt, and never a password."""

from __future__ import annotations

import base64
import json
import urllib.parse

import pytest

from smtpweb.mailcheck import Encryption, Report, Stage
from smtpweb.mailcheck.protocol import oauth
from tests.support.drivers import Check
from tests.support.fake_smtp import HANG_UP, SILENCE, FakeServer, fake_smtp
from tests.support.tokens import bearer, jwt

USER = "üser@example.com"
SHORT = bearer(60)
BOTH = "XOAUTH2 OAUTHBEARER"


def auth_lines(server: FakeServer) -> list[str]:
    return [line for line in server.heard if line.upper().startswith("AUTH")]


def mechanisms_tried(server: FakeServer) -> list[str]:
    return [line.split()[1] for line in auth_lines(server)]


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("tls", ["", "starttls", "implicit"])
def test_token_signs_in_with_each_mechanism(check: Check, mechanism: str, tls: str) -> None:
    with fake_smtp(tls=tls, token=(USER, SHORT), mechanisms=f"PLAIN {mechanism}") as server:
        report = check(server.target())
    assert report.accepted, report.transcript
    assert mechanisms_tried(server) == [mechanism]
    assert len(server.mails) == 1
    assert any("access token went" in str(notice) for notice in report.warnings) == (not tls)


def test_standard_mechanism_comes_first_where_both_are_offered(check: Check) -> None:
    with fake_smtp(token=(USER, SHORT)) as server:
        assert check(server.target()).accepted
    assert mechanisms_tried(server) == ["OAUTHBEARER"]


def test_mechanism_that_is_unknown_after_all_lets_the_next_one_try(check: Check) -> None:
    with fake_smtp(token=(USER, SHORT), refuses_mechanisms=["OAUTHBEARER"]) as server:
        assert check(server.target()).accepted
    assert mechanisms_tried(server) == ["OAUTHBEARER", "XOAUTH2"]


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_user_names_that_need_escaping_arrive(check: Check, mechanism: str) -> None:
    """RFC 5801 4: a comma and an equals sign would end the name in the GS2 header."""
    with fake_smtp(token=("a=b,c@example.com", SHORT), mechanisms=mechanism) as server:
        assert check(server.target()).accepted


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("length", [1, 200, 300, 400, 700, 1500, 4000, 9000])
def test_tokens_of_any_length_stay_within_the_lines_that_smtp_allows(
    check: Check, mechanism: str, length: int
) -> None:
    """The fake server refuses longer lines as RFC 4954 4 lets it."""
    with fake_smtp(token=("user@example.com", bearer(length)), mechanisms=mechanism) as server:
        report = check(server.target())
    assert report.accepted, report.transcript
    [line] = auth_lines(server)
    assert (line == f"AUTH {mechanism}") == (length >= 400)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_initial_response_is_used_up_to_the_last_octet(check: Check, mechanism: str) -> None:
    """A round trip is saved as long as the line with its CRLF has at most 512 octets."""
    seen = set()
    for length in range(300, 360):
        with fake_smtp(token=("u@example.com", bearer(length)), mechanisms=mechanism) as server:
            assert check(server.target()).accepted
        [line] = auth_lines(server)
        whole = len(line) + 2
        if " " in line.removeprefix("AUTH "):
            assert whole <= 512
            seen.add(whole)
        else:
            [response] = server.responses
            encoded = len(base64.b64encode(response))
            assert len(f"AUTH {mechanism} \r\n") + encoded > 512
    assert max(seen) > 508  # base64 grows by four octets


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_longest_response_is_sent_and_a_longer_one_is_not(check: Check, mechanism: str) -> None:
    fixed = len(
        oauth.start(mechanism, "u@example.com", "", "127.0.0.1", 12345).first
    )  # without the token
    longest = (oauth.MAX_RESPONSE - 2) // 4 * 3 - fixed
    for extra, accepted in ((0, True), (3, False)):
        with fake_smtp(
            token=("u@example.com", bearer(longest + extra)), mechanisms=mechanism
        ) as server:
            report = check(server.target())
        assert report.accepted == accepted, report.code
        assert accepted or report.code == "SMTP_AUTH_TOKEN_UNUSABLE"
        assert bool(auth_lines(server)) == accepted


@pytest.mark.parametrize(
    ("mechanism", "dummy", "line"), [("XOAUTH2", b"", ""), ("OAUTHBEARER", b"\1", "AQ==")]
)
def test_error_challenge_is_answered_and_said_in_words(
    check: Check, mechanism: str, dummy: bytes, line: str
) -> None:
    with fake_smtp(token=(USER, SHORT), mechanisms=mechanism) as server:
        report = check(server.target(access_token=bearer(61)))
    assert (report.stage, report.code) == (Stage.AUTH, "SMTP_AUTH_TOKEN_REFUSED")
    assert server.responses[-1] == dummy
    assert server.heard[-2:] == [line, "QUIT"]
    assert report.reply is not None
    assert report.reply.code == 535
    assert any("invalid_token, which means that" in step for step in report.advice)
    assert any("https://mail.example/" in step for step in report.advice)
    remarks = [one.text for one in report.transcript if one.direction == "*"]
    assert any("status invalid_token" in remark and "scope" in remark for remark in remarks)
    assert len(auth_lines(server)) == 1


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_refusal_without_an_error_challenge_is_a_refusal(check: Check, mechanism: str) -> None:
    with fake_smtp(token=(USER, SHORT), mechanisms=mechanism, token_error=None) as server:
        report = check(server.target(access_token=bearer(61)))
    assert report.code == "SMTP_AUTH_TOKEN_REFUSED"
    assert report.reply is not None
    assert len(auth_lines(server)) == 1


@pytest.mark.parametrize(
    "error",
    [
        b"not base64!", b"bm90IEpTT04=", b"e30=", b"W10=", b"bnVsbA==", b"MQ==",
        b'{"status":"401","schemes":"bearer","scope":"s"}',
        base64.b64encode(b'{"status":["invalid_token", 3, {"a": 1}], "scope": {"x": [1]}}'),
        base64.b64encode(b"[" * 3000),
        base64.b64encode(b'{"status":"\\ud800\\u202e\\u0000"}'),
        base64.b64encode(b'{"status":' + b"9" * 1200 + b"}"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_error_challenges_of_any_content_are_answered(
    check: Check, mechanism: str, error: bytes
) -> None:
    with fake_smtp(token=(USER, SHORT), mechanisms=mechanism, token_error=error) as server:
        report = check(server.target(access_token=bearer(61)))
    if len(error) > 2040:  # more than the longest line of a reply
        assert report.code == "SMTP_TOO_LONG"
        return
    assert report.code == "SMTP_AUTH_TOKEN_REFUSED"
    assert report.reply is not None
    assert "\u202e" not in json.dumps(report.to_dict(), ensure_ascii=False)


def test_insufficient_scope_is_its_own_cause(check: Check) -> None:
    error = {"status": "insufficient_scope", "scope": "smtp.send"}
    with fake_smtp(token=(USER, SHORT), token_error=error) as server:
        report = check(server.target(access_token=bearer(61)))
    assert report.code == "SMTP_AUTH_TOKEN_SCOPE"
    assert any("smtp.send" in step for step in report.advice)


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
@pytest.mark.parametrize("challenge", [b"334 \r\n", b"334 Go on!\r\n", b"334 e30=\r\n"])
@pytest.mark.parametrize("length", [60, 2000])
def test_server_that_asks_without_end_is_left(
    check: Check, mechanism: str, challenge: bytes, length: int
) -> None:
    with fake_smtp(token=(USER, bearer(length)), mechanisms=mechanism) as server:
        server.knobs["asks_without_end"] = challenge
        report = check(server.target())
    assert report.code == "SMTP_AUTH_BAD_CHALLENGE"
    assert server.heard[-1] == "*"
    assert len(server.heard) <= 6  # EHLO, AUTH, the response, once more, the dummy, "*"


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_success_after_an_error_challenge_is_not_believed(check: Check, mechanism: str) -> None:
    """RFC 7628 3.2.3: the server must fail the exchange."""
    with fake_smtp(
        token=(USER, SHORT), mechanisms=mechanism, token_refusal="235 2.7.0 come in"
    ) as server:
        report = check(server.target(access_token=bearer(61)))
    assert report.code == "SMTP_AUTH_BAD_CHALLENGE"
    assert not server.mails


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_server_that_ignores_the_initial_response_is_answered_once_more(
    check: Check, mechanism: str
) -> None:
    with fake_smtp(token=(USER, SHORT), mechanisms=mechanism) as server:
        server.knobs["ignores_initial_response"] = True
        assert check(server.target()).accepted
    assert mechanisms_tried(server) == [mechanism]


@pytest.mark.parametrize("deed", [HANG_UP, SILENCE])
def test_server_that_stops_at_the_error_challenge_ends_in_time(check: Check, deed: object) -> None:
    with fake_smtp(token=(USER, SHORT), replies={"AUTH": deed}) as server:
        report = check(server.target(timeout=1.0))
    assert report.stage is Stage.AUTH
    assert report.code in ("SMTP_CLOSED", "SMTP_SILENT")


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"])
def test_password_is_never_used_where_a_token_is_given(check: Check, mechanisms: str) -> None:
    with fake_smtp(login=(USER, "a password"), mechanisms=mechanisms) as server:
        report = check(server.target(access_token=SHORT))
    assert report.code == "SMTP_AUTH_TOKEN_NOT_OFFERED"
    assert "PLAIN" in report.meaning
    assert auth_lines(server) == []


def test_password_is_never_used_after_a_refused_token(check: Check) -> None:
    with fake_smtp(token=(USER, SHORT), mechanisms=f"PLAIN LOGIN {BOTH}") as server:
        report = check(server.target(access_token=bearer(61), password="a password"))
    assert report.code == "SMTP_AUTH_TOKEN_REFUSED"
    assert mechanisms_tried(server) == ["OAUTHBEARER"]


def test_token_mechanisms_are_never_used_with_a_password(check: Check) -> None:
    with fake_smtp(login=(USER, "a password"), mechanisms=f"{BOTH} LOGIN") as server:
        assert check(server.target()).accepted
    assert mechanisms_tried(server) == ["LOGIN"]


@pytest.mark.parametrize(
    "token", ["with blank", "line\nbreak", "nul\0", "ümlaut", "Bearer x", "=", "x\1auth=Bearer y"]
)
def test_token_that_is_none_is_not_sent(check: Check, token: str) -> None:
    with fake_smtp(token=(USER, SHORT)) as server:
        report = check(server.target(access_token=token))
    assert (report.stage, report.code) == (Stage.AUTH, "SMTP_AUTH_TOKEN_UNUSABLE")
    assert auth_lines(server) == []


@pytest.mark.parametrize("username", ["", "a\1b", "nul\0", "x" * 1025])
def test_user_name_that_cannot_be_sent_is_not_sent(check: Check, username: str) -> None:
    with fake_smtp(token=(USER, SHORT)) as server:
        report = check(server.target(username=username))
    assert report.code in ("SMTP_AUTH_CREDENTIALS_UNUSABLE", "SMTP_AUTH_CREDENTIALS_MISSING")
    assert report.credential == "login"
    assert auth_lines(server) == []


def test_auth_missing_where_a_token_is_given_is_named(check: Check) -> None:
    with fake_smtp() as server:
        report = check(server.target(auth=True, username="u", access_token=SHORT))
    assert report.code == "SMTP_AUTH_NOT_OFFERED"


def test_stage_of_the_token_shows_what_it_took(check: Check) -> None:
    with fake_smtp(token=(USER, SHORT)) as server:
        report = check(server.target(token_milliseconds=123.4))
    [step] = [step for step in report.steps if step.stage is Stage.TOKEN]
    assert (step.outcome, step.milliseconds) == ("done", 123.4)


def test_stage_of_the_token_is_not_used_with_a_password(check: Check) -> None:
    with fake_smtp(login=(USER, "a password")) as server:
        report = check(server.target())
    assert report.steps[0].stage is Stage.TOKEN
    assert report.steps[0].outcome == "skipped"


# --- secrecy -------------------------------------------------------------------------------


def spellings(token: str) -> dict[str, str]:
    raw = token.encode()
    return {
        "plain": token, "upper": token.upper(), "reversed": token[::-1],
        "base64": base64.b64encode(raw).decode(),
        "base64, shifted": base64.b64encode(b"x" + raw).decode(),
        "base64url": base64.urlsafe_b64encode(b"zz" + raw).decode(),
        "base32": base64.b32encode(raw).decode(), "hex": raw.hex(), "hex, spaced": raw.hex(" "),
        "percent": "".join(f"%{byte:02X}" for byte in raw),
        "quoted": urllib.parse.quote(token, safe=""),
        "entities": "".join(f"&#{byte};" for byte in raw),
        "escapes": "".join(f"\\x{byte:02x}" for byte in raw),
        "spaced": " ".join(token), "dotted": ".".join(token),
        "twice": base64.b64encode(base64.b64encode(raw)).decode(),
        "response": base64.b64encode(f"user={USER}\1auth=Bearer {token}\1\1".encode()).decode(),
    }  # fmt: skip


TOKENS = {"opaque": bearer(40), "longer": bearer(180), "jwt": jwt({"aud": "x", "scp": "y"})}


def leaks(report: Report, token: str) -> list[str]:
    """Return each part of the token, of ten or more characters, that the report shows."""
    kept = json.dumps(report.to_dict(), ensure_ascii=False)
    kept += repr(report)
    return [
        token[start : start + 10]
        for start in range(len(token) - 9)
        if token[start : start + 10] in kept
    ]


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("spelling", spellings("x" * 8))
def test_token_echoed_in_any_spelling_is_hidden(check: Check, kind: str, spelling: str) -> None:
    token = TOKENS[kind]
    said = spellings(token)[spelling][:1900]
    refusal = f"535 5.7.8 refused: {said}"
    with fake_smtp(token=(USER, bearer(10)), token_refusal=refusal) as server:
        report = check(server.target(access_token=token))
    shown = " ".join(
        [line.text for line in report.transcript] + [report.reply.text if report.reply else ""]
    )
    assert said[:30] not in shown
    assert said[20:50] not in shown
    assert not leaks(report, token)


@pytest.mark.parametrize("size", [20, 48, 100, 480])
@pytest.mark.parametrize("offset", [0, 7, 301, 1111])
def test_part_of_a_long_token_is_hidden_too(check: Check, size: int, offset: int) -> None:
    """A whole one does not fit into the line of a reply."""
    token = bearer(3000)
    part = token[offset : offset + size]
    refusal = (
        f"535-5.7.8 you sent id_{part}\r\n535 5.7.8 and {base64.b64encode(part.encode()).decode()}"
    )
    with fake_smtp(token=(USER, bearer(10)), token_refusal=refusal) as server:
        report = check(server.target(access_token=token))
    assert not leaks(report, token)
    kept = json.dumps(report.to_dict())
    assert base64.b64encode(part.encode()).decode()[:16] not in kept


def test_token_spread_over_lines_is_hidden(check: Check) -> None:
    token = bearer(1200)
    pieces = [token[start : start + 9] for start in range(0, 900, 9)]
    refusal = "\r\n".join(f"535-{piece}" for piece in pieces) + "\r\n535 done"
    with fake_smtp(token=(USER, bearer(10)), token_refusal=refusal) as server:
        report = check(server.target(access_token=token))
    kept = json.dumps(report.to_dict())
    assert not any(piece in kept for piece in pieces)


def test_token_in_the_error_challenge_is_hidden(check: Check) -> None:
    token = bearer(300)
    error = {"status": token[:180], "schemes": token[100:250], "scope": f"x {token[50:90]}"}
    with fake_smtp(token=(USER, SHORT), token_error=error) as server:
        report = check(server.target(access_token=token))
    assert not leaks(report, token)


def test_transcript_shows_no_token(check: Check) -> None:
    for length in (60, 2500):
        token = bearer(length)
        with fake_smtp(token=(USER, token)) as server:
            target = server.target()
            report = check(target)
        assert report.accepted
        assert not leaks(report, token)
        assert token not in repr(target)
        assert any(line.text.startswith("AUTH OAUTHBEARER") for line in report.transcript)


def test_ordinary_words_of_a_refusal_stay(check: Check) -> None:
    words = "Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."
    with fake_smtp(
        token=(USER, SHORT), token_error=None, token_refusal=f"535 5.7.139 {words}"
    ) as server:
        report = check(server.target(access_token=jwt({"aud": "https://outlook.office365.com"})))
    assert report.reply is not None
    assert report.reply.text == words


# --- which mechanism -----------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_chosen_mechanism_is_the_only_one(check: Check, mechanism: str) -> None:
    with fake_smtp(token=(USER, SHORT), refuses_mechanisms=[mechanism]) as server:
        report = check(server.target(mechanism=mechanism))
    assert report.code == "SMTP_AUTH_MECHANISM_REFUSED"
    assert mechanisms_tried(server) == [mechanism]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_chosen_password_mechanism_is_the_only_one(check: Check, mechanism: str) -> None:
    every = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"
    with fake_smtp(login=("u", "a password"), mechanisms=every) as server:
        assert check(server.target(mechanism=mechanism)).accepted
    assert mechanisms_tried(server) == [mechanism]


def test_chosen_mechanism_that_is_not_offered_is_named(check: Check) -> None:
    with fake_smtp(login=("u", "a password"), mechanisms="PLAIN LOGIN") as server:
        report = check(server.target(mechanism="CRAM-MD5"))
    assert report.code == "SMTP_AUTH_MECHANISM_NOT_OFFERED"
    assert "CRAM-MD5" in report.title
    assert auth_lines(server) == []


@pytest.mark.parametrize(("mechanism", "token"), [("PLAIN", SHORT), ("XOAUTH2", "")])
def test_chosen_mechanism_that_does_not_fit_the_credentials_sends_nothing(
    check: Check, mechanism: str, token: str
) -> None:
    with fake_smtp(login=(USER, "a password"), mechanisms=f"PLAIN {BOTH}") as server:
        report = check(
            server.target(mechanism=mechanism, access_token=token, encryption=Encryption.NONE)
        )
    assert report.code == "SMTP_AUTH_MECHANISM_UNFIT"
    assert auth_lines(server) == []
