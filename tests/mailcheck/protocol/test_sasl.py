"""Logging in: what is offered, in which order, and never more than one attempt."""

import base64

import pytest

from smtpweb.mailcheck import Encryption, Stage
from smtpweb.mailcheck.protocol.sasl import in_order
from tests.support.fake_smtp import fake_smtp

USER, PASSWORD = "üser@example.com", " pässwörd with blanks "


def mechanisms_tried(server):
    return [line.split()[1] for line in server.heard if line.startswith("AUTH")]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize("tls", ["", "implicit"])
def test_every_mechanism_carries_utf8_and_blanks(check, mechanism, tls):
    with fake_smtp(tls=tls, login=(USER, PASSWORD), mechanisms=mechanism) as server:
        report = check(server.target())
    assert report.accepted, report.code
    assert mechanisms_tried(server) == [mechanism]
    assert any("without encryption" in warning for warning in report.warnings) == (not tls)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_a_wrong_password_is_tried_once(check, mechanism):
    with fake_smtp(login=(USER, PASSWORD), mechanisms=mechanism) as server:
        report = check(server.target(password="not this one"))
    assert (report.stage, report.code) == (Stage.AUTH, "SMTP_AUTH_WRONG_CREDENTIALS")
    assert mechanisms_tried(server) == [mechanism]
    assert not any(line.startswith("MAIL") for line in server.heard)


def test_in_clear_the_password_is_kept_back_where_it_can_be():
    offered = ("LOGIN", "PLAIN", "CRAM-MD5", "XOAUTH2", "SCRAM-SHA-256")
    assert next(in_order(offered, over_tls=False)) == "SCRAM-SHA-256"
    assert next(in_order(("PLAIN", "CRAM-MD5"), over_tls=False)) == "CRAM-MD5"


def test_over_tls_what_most_accounts_can_do_comes_first():
    offered = ("LOGIN", "PLAIN", "CRAM-MD5", "XOAUTH2", "SCRAM-SHA-256")
    assert list(in_order(offered, over_tls=True)) == ["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"]


def test_a_mechanism_refused_before_the_credentials_lets_the_next_one_try(check):
    with fake_smtp(
        login=(USER, PASSWORD),
        mechanisms="CRAM-MD5 LOGIN",
        replies={},
    ) as server:
        server.knobs["refuses_mechanisms"] = ["CRAM-MD5"]
        report = check(server.target())
    assert report.accepted
    assert mechanisms_tried(server) == ["CRAM-MD5", "LOGIN"]


def test_a_mechanism_refused_after_the_credentials_ends_the_check(check):
    with fake_smtp(tls="implicit", login=(USER, PASSWORD)) as server:
        server.knobs["refuses_mechanisms"] = ["PLAIN"]
        report = check(server.target())
    assert report.code == "SMTP_AUTH_MECHANISM_REFUSED"
    assert mechanisms_tried(server) == ["PLAIN"]


def test_auth_wanted_but_not_offered_is_a_failure(check):
    with fake_smtp() as server:
        report = check(server.target(auth=True, username="u", password="a secret"))
    assert (report.stage, report.code) == (Stage.AUTH, "SMTP_AUTH_NOT_OFFERED")
    assert [line.split()[0] for line in server.heard] == ["EHLO", "QUIT"]


def test_auth_offered_only_after_starttls_says_so(check):
    with fake_smtp(tls="starttls", login=(USER, PASSWORD), auth_needs_tls=True) as server:
        report = check(server.target(encryption=Encryption.NONE))
    assert report.code == "SMTP_AUTH_NEEDS_TLS"


@pytest.mark.parametrize(
    ("mechanisms", "code"),
    [
        ("XOAUTH2", "SMTP_AUTH_OAUTH_ONLY"),
        ("XOAUTH2 OAUTHBEARER", "SMTP_AUTH_OAUTH_ONLY"),
        ("NTLM GSSAPI", "SMTP_AUTH_NO_COMMON_MECHANISM"),
        ("XOAUTH2 NTLM", "SMTP_AUTH_NO_COMMON_MECHANISM"),
    ],
)
def test_a_server_without_passwords_is_named(check, mechanisms, code):
    with fake_smtp(login=(USER, PASSWORD), mechanisms=mechanisms) as server:
        report = check(server.target())
    assert report.code == code
    assert mechanisms.split()[0] in report.meaning


def test_the_password_stays_here_where_auth_is_off(check):
    with fake_smtp(login=(USER, PASSWORD)) as server:
        report = check(server.target(auth=False))
    assert report.accepted
    assert mechanisms_tried(server) == []


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"password": ""}, "SMTP_AUTH_CREDENTIALS_MISSING"),
        ({"username": ""}, "SMTP_AUTH_CREDENTIALS_MISSING"),
        ({"password": "nul\0here"}, "SMTP_AUTH_CREDENTIALS_UNUSABLE"),
        ({"password": "x" * 1025}, "SMTP_AUTH_CREDENTIALS_UNUSABLE"),
        ({"password": "lone \ud800 surrogate"}, "SMTP_AUTH_CREDENTIALS_UNUSABLE"),
    ],
)
def test_credentials_that_cannot_be_sent_are_not_sent(check, changes, code):
    with fake_smtp(login=(USER, PASSWORD)) as server:
        report = check(server.target(**changes))
    assert (report.stage, report.code) == (Stage.AUTH, code)
    assert mechanisms_tried(server) == []


def test_long_credentials_do_not_go_into_an_overlong_command_line(check):
    long = "p" * 1024
    with fake_smtp(login=(USER, long), mechanisms="PLAIN") as server:
        assert check(server.target()).accepted
    assert "AUTH PLAIN" in server.heard


@pytest.mark.parametrize("password", ["pass\u200bword", "password\xa0", " password", "password\t"])
def test_a_refused_password_with_an_invisible_character_is_named(check, password):
    with fake_smtp(login=(USER, "password")) as server:
        report = check(server.target(password=password))
    assert report.code == "SMTP_AUTH_INVISIBLE_CHARACTER"
    assert "password" in report.title


@pytest.mark.parametrize(
    ("mechanism", "challenge"),
    [
        ("CRAM-MD5", b"334 not base64!\r\n"),
        ("CRAM-MD5", b"334 \r\n"),
        ("SCRAM-SHA-256", b"334 not base64!\r\n"),
        ("SCRAM-SHA-256", b"334 \r\n"),
        ("SCRAM-SHA-256", b"334 cj1mb28=\r\n"),
        # 999999999 rounds of our CPU
        ("SCRAM-SHA-256", b"334 cj1mb28scz1iYXIsaT05OTk5OTk5OTk=\r\n"),
    ],
)
def test_a_challenge_that_makes_no_sense_ends_the_login(check, mechanism, challenge):
    with fake_smtp(
        login=(USER, PASSWORD), mechanisms=mechanism, replies={"AUTH": challenge}
    ) as server:
        report = check(server.target())
    assert report.code == "SMTP_AUTH_BAD_CHALLENGE"
    assert "*" in server.heard


def test_a_server_that_asks_without_end_is_left(check):
    with fake_smtp(login=(USER, PASSWORD), mechanisms="LOGIN") as server:
        server.knobs["replies"] = dict.fromkeys(("AUTH", *tokens(USER, PASSWORD)), b"334 \r\n")
        report = check(server.target())
    assert report.code == "SMTP_AUTH_BAD_CHALLENGE"


def tokens(*values):
    return [base64.b64encode(value.encode()).decode().upper() for value in values]


def test_a_server_that_ignores_the_initial_response_is_answered_once_more(check):
    with fake_smtp(login=(USER, PASSWORD), mechanisms="PLAIN") as server:
        server.knobs["ignores_initial_response"] = True
        assert check(server.target()).accepted
    assert mechanisms_tried(server) == ["PLAIN"]
