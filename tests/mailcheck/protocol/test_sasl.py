"""Logging in: what is offered, in which order, and never more than one attempt."""

from __future__ import annotations

import base64
import ipaddress
import json

import pytest

from smtpweb.mailcheck import Encryption, Stage
from smtpweb.mailcheck.net import resolver
from smtpweb.mailcheck.protocol import sasl
from smtpweb.mailcheck.protocol.sasl import in_order
from tests.support.drivers import Check
from tests.support.fake_smtp import FakeServer, fake_smtp

USER, PASSWORD = "üser@example.com", " pässwörd with blanks "


def mechanisms_tried(server: FakeServer) -> list[str]:
    return [line.split()[1] for line in server.heard if line.startswith("AUTH")]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize("tls", ["", "implicit"])
def test_mechanisms_carry_utf8_and_spaces(check: Check, mechanism: str, tls: str) -> None:
    with fake_smtp(tls=tls, login=(USER, PASSWORD), mechanisms=mechanism) as server:
        report = check(server.target())
    assert report.accepted, report.code
    assert mechanisms_tried(server) == [mechanism]
    assert any("without encryption" in str(notice) for notice in report.warnings) == (not tls)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_wrong_password_is_tried_once(check: Check, mechanism: str) -> None:
    with fake_smtp(login=(USER, PASSWORD), mechanisms=mechanism) as server:
        report = check(server.target(password="not this one"))
    assert (report.stage, report.code) == (Stage.AUTH, "SMTP_AUTH_WRONG_CREDENTIALS")
    assert mechanisms_tried(server) == [mechanism]
    assert not any(line.startswith("MAIL") for line in server.heard)


def test_password_in_plain_text_is_kept_back_where_it_can_be() -> None:
    offered = ("LOGIN", "PLAIN", "CRAM-MD5", "XOAUTH2", "SCRAM-SHA-256")
    assert next(in_order(offered, over_tls=False)) == "SCRAM-SHA-256"
    assert next(in_order(("PLAIN", "CRAM-MD5"), over_tls=False)) == "CRAM-MD5"


def test_mechanism_that_most_accounts_have_comes_first_over_tls() -> None:
    offered = ("LOGIN", "PLAIN", "CRAM-MD5", "XOAUTH2", "SCRAM-SHA-256")
    assert list(in_order(offered, over_tls=True)) == ["PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"]


def test_mechanism_refused_before_the_credentials_lets_the_next_one_try(check: Check) -> None:
    with fake_smtp(
        login=(USER, PASSWORD),
        mechanisms="CRAM-MD5 LOGIN",
        replies={},
    ) as server:
        server.knobs["refuses_mechanisms"] = ["CRAM-MD5"]
        report = check(server.target())
    assert report.accepted
    assert mechanisms_tried(server) == ["CRAM-MD5", "LOGIN"]


@pytest.mark.parametrize("reply", ["504 5.7.4 Unrecognized", "502 5.5.1 Not implemented"])
@pytest.mark.parametrize("tls", ["", "implicit"])
def test_mechanism_that_is_unknown_lets_the_next_one_try(
    check: Check, reply: str, tls: str
) -> None:
    """Unknown is no verdict on the credentials, also if they came with the command."""
    with fake_smtp(tls=tls, login=(USER, PASSWORD), refuses_mechanisms=["PLAIN"]) as server:
        server.knobs["refusal"] = reply
        report = check(server.target())
    assert report.accepted
    assert mechanisms_tried(server) == ["PLAIN", "LOGIN"]


def test_mechanism_called_unknown_after_a_challenge_lets_the_next_one_try(check: Check) -> None:
    with fake_smtp(login=(USER, PASSWORD), refuses_after_challenge=["PLAIN"]) as server:
        report = check(server.target())
    assert report.accepted, report.transcript
    assert mechanisms_tried(server) == ["PLAIN", "LOGIN"]


def test_mechanisms_are_all_tried_before_they_are_called_unknown(check: Check) -> None:
    offered = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"
    with fake_smtp(login=(USER, PASSWORD), mechanisms=offered + " XOAUTH2") as server:
        server.knobs["refuses_mechanisms"] = offered.split()
        report = check(server.target())
    assert report.code == "SMTP_AUTH_MECHANISM_REFUSED"
    assert sorted(mechanisms_tried(server)) == sorted(offered.split())
    assert all(name in report.meaning for name in offered.split())
    assert "every" not in report.title


def test_password_that_scram_cannot_carry_goes_by_another_mechanism(check: Check) -> None:
    """SASLprep (RFC 4013 2.3) forbids a character that the others send as it is."""
    password = "tab\there"
    with fake_smtp(login=(USER, password), mechanisms="SCRAM-SHA-256 CRAM-MD5") as server:
        report = check(server.target())
    assert report.accepted, report.transcript
    assert mechanisms_tried(server) == ["CRAM-MD5"]


def test_auth_wanted_but_not_offered_is_a_failure(check: Check) -> None:
    with fake_smtp() as server:
        report = check(server.target(auth=True, username="u", password="a secret"))
    assert (report.stage, report.code) == (Stage.AUTH, "SMTP_AUTH_NOT_OFFERED")
    assert [line.split()[0] for line in server.heard] == ["EHLO", "QUIT"]


def test_auth_offered_only_after_starttls_says_so(check: Check) -> None:
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
def test_server_without_passwords_is_named(check: Check, mechanisms: str, code: str) -> None:
    with fake_smtp(login=(USER, PASSWORD), mechanisms=mechanisms) as server:
        report = check(server.target())
    assert report.code == code
    assert mechanisms.split()[0] in report.meaning


def test_password_stays_here_where_auth_is_off(check: Check) -> None:
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
def test_credentials_that_cannot_be_sent_are_not_sent(
    check: Check, changes: dict[str, str], code: str
) -> None:
    with fake_smtp(login=(USER, PASSWORD)) as server:
        report = check(server.target(**changes))
    assert (report.stage, report.code) == (Stage.AUTH, code)
    assert mechanisms_tried(server) == []


def test_long_credentials_do_not_go_into_an_overlong_command_line(check: Check) -> None:
    long = "p" * 1024
    with fake_smtp(login=(USER, long), mechanisms="PLAIN") as server:
        assert check(server.target()).accepted
    assert "AUTH PLAIN" in server.heard


@pytest.mark.parametrize("password", ["pass\u200bword", "password\xa0", " password", "password\t"])
def test_refused_password_with_an_invisible_character_is_named(check: Check, password: str) -> None:
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
    ],
)
def test_challenge_that_makes_no_sense_ends_the_login(
    check: Check, mechanism: str, challenge: bytes
) -> None:
    with fake_smtp(
        login=(USER, PASSWORD), mechanisms=mechanism, replies={"AUTH": challenge}
    ) as server:
        report = check(server.target())
    assert report.code == "SMTP_AUTH_BAD_CHALLENGE"
    assert "*" in server.heard


@pytest.mark.parametrize(
    ("rounds", "code"),
    [
        (200_000, "SMTP_AUTH_WRONG_CREDENTIALS"),  # of other rounds than the server's own
        (200_001, "SMTP_AUTH_BAD_CHALLENGE"),
        (1_000_000, "SMTP_AUTH_BAD_CHALLENGE"),
    ],
)
def test_scram_rounds_that_would_cost_our_cpu_are_not_run(
    check: Check, rounds: int, code: str
) -> None:
    """The challenge is sound in every other way, so that only their number refuses it."""
    with fake_smtp(login=("u", "a secret"), mechanisms="SCRAM-SHA-256") as server:
        server.knobs["scram_rounds"] = rounds
        report = check(server.target())
    assert report.code == code
    assert (server.heard[2] == "*") == (code == "SMTP_AUTH_BAD_CHALLENGE")  # else the proof


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize("challenge", [b"334 \r\n", b"334 Go on!\r\n", b"334 PDE+\r\n"])
@pytest.mark.parametrize("long", [False, True])
def test_server_that_asks_without_end_is_left(
    check: Check, mechanism: str, challenge: bytes, long: bool
) -> None:
    password = "p" * (1024 if long else 9)
    with fake_smtp(login=(USER, password), mechanisms=mechanism) as server:
        server.knobs["asks_without_end"] = challenge
        report = check(server.target())
    assert report.code == "SMTP_AUTH_BAD_CHALLENGE"
    assert server.heard[-1] == "*"
    assert server.heard[1].startswith(f"AUTH {mechanism}")
    assert len(server.heard) <= 6  # EHLO, AUTH, at most three responses, "*"


def test_mechanism_that_would_answer_without_end_is_stopped(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a mechanism of ours makes of it: the server does not decide how long it goes on."""
    monkeypatch.setattr(sasl.Login, "respond", lambda mechanism, challenge: b"again")
    with fake_smtp(login=(USER, PASSWORD), mechanisms="LOGIN") as server:
        server.knobs["asks_without_end"] = b"334 \r\n"
        report = check(server.target(timeout=3))
    assert report.code == "SMTP_AUTH_BAD_CHALLENGE"
    assert len(server.heard) == 2 + sasl.MAX_TURNS + 1  # EHLO and AUTH before, "*" behind


def test_plain_is_answered_once_and_not_again(check: Check) -> None:
    with fake_smtp(login=(USER, PASSWORD), mechanisms="PLAIN") as server:
        server.knobs["asks_without_end"] = b"334 \r\n"
        check(server.target())
    [response] = tokens(f"\0{USER}\0{PASSWORD}")
    assert server.heard[1:] == [f"AUTH PLAIN {response}", response, "*"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("prompt", [b"334 Username:\r\n", b"334 Go ahead\r\n", b"334\r\n"])
def test_prompt_that_is_not_in_base64_is_no_matter(
    check: Check, mechanism: str, prompt: bytes
) -> None:
    with fake_smtp(login=(USER, PASSWORD), mechanisms=mechanism) as server:
        server.knobs["ignores_initial_response"] = True
        server.knobs["prompt"] = prompt
        report = check(server.target())
    assert report.accepted, report.transcript


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize("password", [PASSWORD, "not this one"])
def test_challenges_and_proofs_are_not_shown(check: Check, mechanism: str, password: str) -> None:
    """Whoever has both may try passwords against them, as fast as their computer can."""
    with fake_smtp(login=(USER, PASSWORD), mechanisms=mechanism) as server:
        report = check(server.target(password=password))
    kept = json.dumps(report.to_dict())
    assert (
        len(server.challenges)
        == {"CRAM-MD5": 1, "SCRAM-SHA-256": 2 - (password != PASSWORD)}[mechanism]
    )
    for challenge in server.challenges:
        assert base64.b64encode(challenge).decode() not in kept
    proofs = [line for line in server.heard if " " not in line and line not in ("QUIT", "DATA")]
    assert proofs
    assert not any(proof and proof in kept for proof in proofs if proof)
    assert "334 (hidden)" in [line.text for line in report.transcript]


@pytest.mark.parametrize("challenge", [b"334-PDE+\r\n535 no\r\n", b"334x PDE+\r\n"])
def test_challenge_in_a_reply_that_is_none_is_not_shown_either(
    check: Check, challenge: bytes
) -> None:
    with fake_smtp(
        login=(USER, PASSWORD), mechanisms="CRAM-MD5", replies={"AUTH": challenge}
    ) as server:
        report = check(server.target())
    assert not report.accepted
    assert "PDE+" not in json.dumps(report.to_dict())


@pytest.mark.parametrize("banner", ["mx.other.example ESMTP", "server7.hoster.example ESMTP Exim"])
def test_wrong_login_at_a_server_of_another_name_is_a_wrong_login(
    check: Check, monkeypatch: pytest.MonkeyPatch, banner: str
) -> None:
    """smtp.web.de greets as mx.kundenserver.de; at any shared hoster names differ."""
    address = ipaddress.ip_address("127.0.0.1")
    monkeypatch.setattr(resolver, "addresses_of", lambda host: (address,))
    with fake_smtp(login=(USER, PASSWORD), replies={"connect": f"220 {banner}"}) as server:
        report = check(server.target(host="mail.example.com", password="not this one"))
    assert (report.code, report.side) == ("SMTP_AUTH_WRONG_CREDENTIALS", "settings")
    remarks = [line.text for line in report.transcript if line.direction == "*"]
    assert any(banner.split()[0] in remark for remark in remarks)


def test_wrong_login_at_a_server_of_the_same_domain_needs_no_remark(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = ipaddress.ip_address("127.0.0.1")
    monkeypatch.setattr(resolver, "addresses_of", lambda host: (address,))
    with fake_smtp(login=(USER, PASSWORD), replies={"connect": "220 mx7.example.com hi"}) as server:
        report = check(server.target(host="mail.example.com", password="not this one"))
    assert not any("greets as" in line.text for line in report.transcript)


def tokens(*values: str) -> list[str]:
    return [base64.b64encode(value.encode()).decode() for value in values]


def test_server_that_ignores_the_initial_response_is_answered_once_more(check: Check) -> None:
    with fake_smtp(login=(USER, PASSWORD), mechanisms="PLAIN") as server:
        server.knobs["ignores_initial_response"] = True
        assert check(server.target()).accepted
    assert mechanisms_tried(server) == ["PLAIN"]
