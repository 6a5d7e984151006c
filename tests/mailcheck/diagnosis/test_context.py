"""The facts of a check decide between causes that the same words can have."""

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
def test_another_greeting_means_redirection_only_for_a_known_provider(host, encryption, code):
    script = Script(
        Stage.AUTH, WRONG, host=host, encryption=Encryption(encryption), greeting=HOSTER
    )
    assert check(script).code == code


def test_all_usual_ports_silent_is_first_this_machines_outgoing_block():
    report = check(Script(Stage.CONNECT, None, connects=False))
    assert report.code == "SMTP_CONNECT_OUTGOING_BLOCKED"
    assert report.side == "machine"
    assert "ban" in " ".join([report.meaning, *report.advice])


def test_one_silent_port_with_another_that_works_is_a_wrong_port():
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
def test_temporary_is_fixed_by_meaning_where_the_code_contradicts(stage, reply, temporary):
    assert check(Script(stage, [reply])).temporary is temporary


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO, Stage.AUTH, Stage.MAIL, Stage.DATA])
def test_unknown_words_accuse_nobody_and_quote_what_the_server_points_to(stage):
    report = check(Script(stage, ["550 xyzzy see https://help.example.org/why?x=spam"]))
    assert report.code == f"SMTP_{stage.name}_REFUSED"
    assert report.confidence == "unclear"
    assert "https://help.example.org/why?x=spam" in report.advice[0]
    assert report.link == ""  # a server's link is shown, never offered to be followed


def test_a_reply_that_holds_the_password_leaves_it_out_of_the_facts():
    report = check(Script(Stage.AUTH, ["550 xyzzy https://example.org/correct%20horse"]))
    assert "horse" not in str(report.facts)
    assert "horse" not in " ".join(report.advice)
