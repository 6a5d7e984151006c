"""A well-behaved server takes the mail, whatever the way to it."""

import email
import email.policy

import pytest

from smtpweb.mailcheck import Outcome, Stage, check
from tests.fake_smtp import fake_smtp


@pytest.mark.parametrize("tls", ["", "starttls", "implicit"])
@pytest.mark.parametrize("login", [None, ("app@example.com", "correct horse")])
def test_a_good_server_takes_the_mail(tls, login):
    with fake_smtp(tls=tls, login=login) as server:
        report = check(server.target())
    assert report.accepted, report
    assert (report.code, report.stage) == ("SMTP_ACCEPTED", Stage.ACCEPTED)
    [(mail_from, recipients, message)] = server.mails
    assert (mail_from, recipients) == ("app@example.com", ["test@example.com"])
    assert report.message_id.encode() in message
    assert report.queue_id == "4FAKE1D"
    assert all(step.outcome in (Outcome.DONE, Outcome.SKIPPED) for step in report.steps)
    assert (report.tls is not None) == bool(tls)


def test_the_mail_is_a_real_one():
    with fake_smtp() as server:
        check(server.target(from_name='Böse "Leute"'))
    [(_, _, raw)] = server.mails
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert not mail.defects
    assert mail["From"].addresses[0].display_name == 'Böse "Leute"'
    assert mail["From"].addresses[0].addr_spec == "app@example.com"
    assert mail["To"].addresses[0].addr_spec == "test@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail["Message-ID"].endswith("@example.com>")
    assert "test mail" in mail.get_content()
