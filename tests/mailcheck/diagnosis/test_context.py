"""The facts of a check decide between causes that the same words can have."""

from __future__ import annotations

import pytest

from bench.diagnosis.scripted import Script, check
from smtpweb.mailcheck import Encryption, Stage

HOSTER = "server7.hoster.example ESMTP Exim 4.96"
WRONG = ["535 Incorrect authentication data"]


@pytest.mark.parametrize(
    ("host", "encryption", "code"),
    [
        ("smtp.gmail.com", "none", "SMTP_AUTH_REDIRECTED"),
        # The certificate was verified: it is the host that was asked for
        ("smtp.gmail.com", "starttls", "SMTP_AUTH_GMAIL_BAD_CREDENTIALS"),
        # Hosters greet by the names of their own machines
        ("mail.customer.example", "none", "SMTP_AUTH_WRONG_CREDENTIALS"),
    ],
)
def test_greeting_of_another_means_redirection_only_for_a_known_provider(
    host: str, encryption: str, code: str
) -> None:
    script = Script(
        Stage.AUTH, WRONG, host=host, encryption=Encryption(encryption), greeting=HOSTER
    )
    assert check(script).code == code


def test_usual_ports_that_are_all_silent_are_first_this_machines_outgoing_block() -> None:
    report = check(Script(Stage.CONNECT, None, connects=False))
    assert report.code == "SMTP_CONNECT_OUTGOING_BLOCKED"
    assert report.side == "machine"
    assert "ban" in " ".join([report.meaning, *report.advice])


def test_silent_port_beside_one_that_works_is_a_wrong_port() -> None:
    script = Script(
        Stage.CONNECT, None, port=465, encryption=Encryption.IMPLICIT, connects=False,
        open_modes=((587, Encryption.STARTTLS),),
    )  # fmt: skip
    report = check(script)
    assert (report.code, report.side) == ("SMTP_CONNECT_OTHER_MODE_WORKS", "settings")
    assert not report.temporary
    assert "587 with STARTTLS" in report.title


@pytest.mark.parametrize(
    ("stage", "reply", "temporary"),
    [
        # class 4 that lasts, class 5 that passes
        (Stage.DATA, "450 The example.com domain is not verified", False),
        (Stage.MAIL, "440 mail from account doesn't conform with authentication", False),
        (Stage.MAIL, "550 Connection frequency limited", True),
        (Stage.AUTH, "535 Authentication failed. Too many invalid logon attempts.", True),
        (Stage.DATA, "550 5.4.5 Daily sending quota exceeded.", True),
    ],
)
def test_temporary_is_fixed_by_meaning_where_the_code_contradicts(
    stage: Stage, reply: str, temporary: bool
) -> None:
    assert check(Script(stage, [reply])).temporary is temporary


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO, Stage.AUTH, Stage.MAIL, Stage.DATA])
def test_unknown_words_accuse_nobody_and_quote_what_the_server_points_to(stage: Stage) -> None:
    report = check(Script(stage, ["550 xyzzy see https://help.example.org/why?x=spam"]))
    assert report.code == f"SMTP_{stage.name}_REFUSED"
    assert report.confidence == "unclear"
    assert "https://help.example.org/why?x=spam" in report.advice[0]
    assert report.link == ""  # a server's link is shown, never offered to be followed


def test_reply_that_holds_the_password_leaves_it_out_of_the_facts() -> None:
    report = check(Script(Stage.AUTH, ["550 xyzzy https://example.org/correct%20horse"]))
    assert "horse" not in str(report.facts)
    assert "horse" not in " ".join(report.advice)


@pytest.mark.parametrize(
    ("host", "code", "said", "unsaid"),
    [
        ("smtp.postmarkapp.com", "SMTP_AUTH_RELAY_CREDENTIALS", "Postmark", "two-step"),
        ("live.smtp.mailtrap.io", "SMTP_AUTH_RELAY_CREDENTIALS", "Mailtrap", "app password"),
        ("sandbox.smtp.mailtrap.io", "SMTP_AUTH_RELAY_CREDENTIALS", "Mailtrap", "app password"),
        ("in-v3.mailjet.com", "SMTP_AUTH_RELAY_CREDENTIALS", "Mailjet", "app password"),
        ("mail.example.com", "SMTP_AUTH_WRONG_CREDENTIALS", "app password", "issues"),
    ],
)
def test_wrong_credentials_at_a_relay_are_not_those_of_a_mailbox(
    host: str, code: str, said: str, unsaid: str
) -> None:
    report = check(Script(Stage.AUTH, ["535 5.7.8 Error: authentication failed"], host=host))
    text = " ".join([report.title, report.meaning, *report.advice])
    assert report.code == code
    assert said in text and unsaid not in text


@pytest.mark.parametrize(
    ("host", "sends"),
    [
        ("aspmx.l.google.com", "smtp.gmail.com"),
        ("example-com.mail.protection.outlook.com", "smtp.office365.com"),
    ],
)
def test_host_that_only_receives_is_named_with_the_one_that_sends(host: str, sends: str) -> None:
    no_auth = Script(Stage.ACCEPTED, None, host=host, port=25, ehlo=["SIZE 100", "STARTTLS"])
    relay = Script(Stage.RCPT, ["550 5.7.1 Relaying denied"], host=host, port=25, auth=False)
    for script in (no_auth, relay):
        report = check(script)
        assert (report.code, report.side) == ("SMTP_HOST_RECEIVES_ONLY", "settings")
        assert sends in report.advice[0]


def test_host_of_nobody_known_is_not_said_to_only_receive() -> None:
    for port in (25, 587):
        denied = Script(Stage.RCPT, ["550 5.7.1 Relaying denied"], port=port, auth=False)
        assert check(denied).code == "SMTP_RCPT_RELAY_DENIED"


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.MAIL, Stage.RCPT, Stage.DATA])
@pytest.mark.parametrize(
    "words",
    [
        "Internal resources are temporarily unavailable", "Internal resource unavailable",
        "Internal resources temporarily unavailable, try again later",
    ],
)  # fmt: skip
def test_server_short_of_resources_is_not_said_to_greylist(stage: Stage, words: str) -> None:
    report = check(Script(stage, [f"451 4.3.0 {words}"]))
    assert report.code in ("SMTP_SERVER_PROBLEM", "SMTP_SERVER_BUSY")
    assert (report.side, report.temporary) == ("smtp", True)
