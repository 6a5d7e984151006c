"""Thin evidence accuses nobody, and what is known of a provider leads to its own pages."""

from typing import Any

import pytest

from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.diagnosis.matcher import Confidence, Diagnosis, Seen, diagnose
from smtpweb.mailcheck.diagnosis.reading import LISTED, read
from tests.support.replies import reply_of

MX: dict[str, Any] = {"host": "mx.example.org", "port": 25, "mail_from": "a@example.com"}
SIGNED_IN: dict[str, Any] = {"port": 587, "auth": True, "authenticated": True, "encrypted": True}


def found(stage: str, reply: str, **facts: Any) -> Diagnosis:
    return diagnose(Seen(Stage(stage), Symptom.REFUSED, reply_of(reply), facts))


@pytest.mark.parametrize(
    ("stage", "reply", "code"),
    [
        ("rcpt", "550 User has blacklisted you", "SMTP_RCPT_REFUSES_SENDER"),
        ("mail", "550 Your domain is on our block list", "SMTP_FROM_DOMAIN_LISTED"),
        ("rcpt", "550 Your IP is on our block list", "SMTP_CLIENT_BLOCKLISTED"),
        ("rcpt", "452 Recipient is getting too many messages right now", "SMTP_RCPT_RATE"),
        ("greeting", "554 mx.example.org does not accept mail from you", "SMTP_CLIENT_REFUSED"),
        ("rcpt", "550 The recipient blocks your network", "SMTP_RCPT_REFUSES_SENDER"),
        ("rcpt", "550 Sender's address does not exist, see the sender", "SMTP_FROM_VERIFY_FAILED"),
        ("greeting", "554 Client address has been blacklisted locally", "SMTP_CLIENT_BLOCKLISTED"),
        ("data", "550 Recipient address rejected: authentication checks failed (DMARC)",
         "SMTP_FROM_DMARC"),
    ],
)  # fmt: skip
def test_meaning_follows_whom_the_reply_names(stage: str, reply: str, code: str) -> None:
    assert found(stage, reply, **MX).id == code


@pytest.mark.parametrize(
    ("stage", "reply", "code"),
    [
        ("rcpt", "550 Requested action not taken: mailbox unavailable. Your IP is blacklisted",
         "SMTP_CLIENT_BLOCKLISTED"),
        ("rcpt", "550 Recipient address rejected: domain not found", "SMTP_RCPT_DOMAIN_UNKNOWN"),
        ("data", "554 Message rejected: attachment type not allowed", "SMTP_DATA_ATTACHMENT"),
        ("rcpt", "550 Relaying denied. IP name possibly forged [192.0.2.7]",
         "SMTP_CLIENT_NO_REVERSE_DNS"),
        ("greeting", "554 Connection refused, no reverse DNS", "SMTP_CLIENT_NO_REVERSE_DNS"),
        ("greeting", "421 Service not available: too many connections from you",
         "SMTP_TOO_MANY_CONNECTIONS"),
        ("data", "451 Temporarily deferred due to poor reputation of your IP",
         "SMTP_CLIENT_REPUTATION"),
        ("rcpt", "550 Relaying denied", "SMTP_RCPT_RELAY_DENIED"),
        ("greeting", "554 Connection refused", "SMTP_CLIENT_REFUSED"),
    ],
)  # fmt: skip
def test_reason_counts_more_than_the_refusal(stage: str, reply: str, code: str) -> None:
    assert found(stage, reply, **MX).id == code


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("data", "554 Questions about our virus scanner go to the help desk"),
        ("rcpt", "550 The quota form is missing"),
        ("data", "550 Our limits are described in the handbook"),
        ("rcpt", "550 5.7.1 no"),
    ],
)
def test_loud_word_among_others_accuses_nobody(stage: str, reply: str) -> None:
    said = found(stage, reply, **MX)
    assert said.id == f"SMTP_{stage.upper()}_REFUSED"
    assert said.confidence is Confidence.UNCLEAR


def test_loud_word_that_is_all_there_is_counts() -> None:
    assert found("data", "554 REJECT spam", **MX).id == "SMTP_DATA_SPAM"


def test_state_of_an_account_is_not_named_where_nobody_signs_in() -> None:
    reply = "550 Monthly sending limit reached, upgrade your plan"
    assert found("data", reply, **SIGNED_IN).id == "SMTP_PLAN_USED_UP"
    assert found("data", reply, **MX).id == "SMTP_DATA_REFUSED"


def test_host_of_a_block_list_is_known_and_named() -> None:
    said = found("rcpt", "550 Refused, found in dnsbl.sorbs.net", **MX)
    assert said.id == "SMTP_CLIENT_BLOCKLISTED"
    assert any("dnsbl.sorbs.net" in step for step in said.steps)


@pytest.mark.parametrize(
    ("link", "listed"),
    [
        ("https://www.spamhaus.org/query/ip/192.0.2.1", True),
        ("https://www.spamhaus.org/query/domain/example.com", False),
        ("https://www.example.org/query/ip/192.0.2.1", False),
    ],
)
def test_link_to_the_entry_of_an_address_says_that_it_is_listed(link: str, listed: bool) -> None:
    assert (LISTED in read(reply_of(f"550 No, see {link}")).support_codes) is listed


@pytest.mark.parametrize(
    ("host", "page"),
    [
        ("smtp.fastmail.com", "fastmail"),
        ("smtp.mail.me.com", "apple"),
        ("smtp.mail.ru", "mail.ru"),
        ("smtp.zoho.eu", "zoho"),
    ],
)
def test_app_password_leads_to_the_page_of_its_provider(host: str, page: str) -> None:
    said = found("auth", "535 5.7.9 Application-specific password required", host=host)
    assert page in said.link
    assert any(said.link in step for step in said.steps)


def test_provider_without_a_page_gets_no_step_about_one() -> None:
    said = found("auth", "535 5.7.9 Application-specific password required", host="mail.example")
    assert not any("https://" in step for step in said.steps)


def test_microsoft_notice_gives_its_dates() -> None:
    said = found(
        "auth", "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        host="smtp.office365.com",
    )  # fmt: skip
    assert any("December 2026" in step for step in said.steps)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("data", "550 Access denied, this tenant lacks the premium archive retention add on"),
        ("rcpt", "550 Access denied until the quarterly compliance questionnaire is signed"),
    ],
)
def test_refusal_beside_words_that_nobody_understands_accuses_nobody(
    stage: str, reply: str
) -> None:
    assert found(stage, reply, **MX).id == f"SMTP_{stage.upper()}_REFUSED"


def test_refusal_alone_names_the_client_where_nothing_else_was_sent() -> None:
    assert found("greeting", "554 Access denied", **MX).id == "SMTP_CLIENT_REFUSED"
    assert found("data", "550 Access denied, contact the postmaster", **MX).id == (
        "SMTP_DATA_REFUSED"
    )


def test_code_of_a_wrong_password_does_not_outweigh_a_sentence_about_something_else() -> None:
    assert found("auth", "535 5.7.8", **SIGNED_IN).id == "SMTP_AUTH_WRONG_CREDENTIALS"
    said = found(
        "auth",
        "535 5.7.8 Quarterly questionnaire for branch auditors remains overdue today",
        **SIGNED_IN,
    )
    assert said.id == "SMTP_AUTH_REFUSED"


def test_invalid_address_at_rcpt_is_not_the_senders() -> None:
    reply = "501 Sender address is malformed"
    assert found("rcpt", reply, **MX).id == "SMTP_MAIL_FROM_SYNTAX"
    assert found("rcpt", "501 Malformed address", **MX).id != "SMTP_MAIL_FROM_SYNTAX"
    assert found("mail", "501 Malformed address", **MX).id == "SMTP_MAIL_FROM_SYNTAX"


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("mail.example.com", "SMTP_FROM_NOT_OWNED"),
        ("smtp.sendgrid.net", "SMTP_SENDGRID_SENDER"),
    ],
)
def test_sender_that_may_not_be_used_is_not_verified_at_a_provider_for_apps(
    host: str, code: str
) -> None:
    reply = "550 You are not allowed to send from this address"
    assert found("mail", reply, host=host, **SIGNED_IN).id == code


def test_sender_that_may_not_be_used_is_no_accounts_where_nobody_signs_in() -> None:
    reply = "550 You are not allowed to send from this address"
    assert found("mail", reply, **MX).id != "SMTP_FROM_NOT_OWNED"


def test_try_again_later_alone_does_not_claim_greylisting() -> None:
    said = found("rcpt", "451 4.7.1 Try again later", **MX)
    assert said.id == "SMTP_TRY_LATER"
    assert said.temporary
    assert "SMTP_RCPT_GREYLISTED" in said.also_possible
