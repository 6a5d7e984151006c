"""A well-behaved server takes the mail, whatever the way to it."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ipaddress
import json
from typing import NoReturn

import pytest

from smtpweb import mailcheck
from smtpweb.mailcheck import Outcome, Report, Stage, Step
from smtpweb.mailcheck.net import resolver
from tests.support.cancelled_checks import give_up
from tests.support.drivers import Check
from tests.support.fake_smtp import fake_smtp


@pytest.mark.parametrize("tls", ["", "starttls", "implicit"])
@pytest.mark.parametrize("login", [None, ("app@example.com", "correct horse")])
def test_good_server_takes_the_mail(check: Check, tls: str, login: tuple[str, ...] | None) -> None:
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


def test_mail_is_a_real_one(check: Check) -> None:
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
    assert "test email" in mail.get_content()


def test_report_survives_json(check: Check) -> None:
    with fake_smtp(tls="starttls", login=("u", "a secret")) as server:
        report = check(server.target())
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_stages_can_be_watched_as_they_happen(check: Check) -> None:
    watched: list[Step] = []
    with fake_smtp(login=("u", "a secret")) as server:
        report = check(server.target(), watched.append)
    ended = [step for step in watched if step.outcome is not Outcome.UNDER_WAY]
    assert tuple(ended) == report.steps
    begun = [step.stage for step in watched if step.outcome is Outcome.UNDER_WAY]
    assert begun == [step.stage for step in ended if step.outcome is Outcome.DONE]


def test_watcher_that_fails_does_not_end_the_check(check: Check) -> None:
    def gone(step: Step) -> NoReturn:
        raise BrokenPipeError

    with fake_smtp() as server:
        assert check(server.target(), gone).accepted


def test_commands_go_one_at_a_time_without_pipelining(check: Check) -> None:
    with fake_smtp(capabilities=["8BITMIME"], login=("u", "a secret")) as server:
        assert check(server.target()).accepted
    commands = [read for read in server.reads if not read.startswith(b"From:")]
    assert all(read.count(b"\r\n") == 1 for read in commands), commands
    assert server.reads[-1].startswith((b"From:", b"QUIT"))


def test_turns_with_pipelining_and_starttls_are_as_few_as_can_be(check: Check) -> None:
    """What the client sends, turn by turn: each entry is one segment."""
    with fake_smtp(tls="starttls", login=("u", "a secret")) as server:
        assert check(server.target()).accepted
    assert [read.split(b" ")[0].strip() for read in server.reads] == [
        b"EHLO",
        b"STARTTLS",
        b"EHLO",
        b"AUTH",
        b"MAIL",  # with RCPT and DATA
        b"From:",  # with the dot and QUIT
    ]
    assert server.reads[4].endswith(b"\r\nDATA\r\n")
    assert server.reads[5].endswith(b"\r\n.\r\nQUIT\r\n")


def test_servers_are_checked_at_once_in_one_loop() -> None:
    with fake_smtp(tls="starttls", login=("u", "a secret")) as server:
        reports = asyncio.run(mailcheck.check_many([server.target()] * 60, at_once=30))
    assert [report.code for report in reports] == ["SMTP_ACCEPTED"] * 60
    assert len(server.mails) == 60


def test_cancelled_check_leaves_nothing_open() -> None:
    with fake_smtp("goes silent after EHLO") as server:
        give_up(server.target(), when=lambda: server.heard)


def test_helo_is_tried_where_ehlo_is_unknown(check: Check) -> None:
    with fake_smtp(replies={"EHLO": "502 5.5.2 Error: command not recognized"}) as server:
        report = check(server.target())
    assert report.accepted
    assert any("HELO" in str(notice) for notice in report.warnings)
    assert server.heard[1].startswith("HELO ")


def test_replies_that_are_sloppy_but_clear_are_understood(check: Check) -> None:
    reply = b"250-fake\n250-auth=login plain\n250-size lots\n250 pipelining\n"
    with fake_smtp(
        login=("u", "a secret"),
        replies={"connect": "220 gr\xfc\xdf Gott".encode("latin-1") + b"\r\n", "EHLO": reply},
    ) as server:
        report = check(server.target())
    assert report.accepted
    assert "AUTH LOGIN PLAIN" in report.capabilities
    assert any("grüß Gott" in line.text for line in report.transcript)


def test_ehlo_name_is_ours_or_an_address_literal(check: Check) -> None:
    with fake_smtp() as server:
        check(server.target(ehlo_name="web.example.com"))
        check(server.target(ehlo_name="[192.0.2.7]"))
    assert [line for line in server.heard if line.startswith("EHLO")] == [
        "EHLO web.example.com",
        "EHLO [192.0.2.7]",
    ]


def test_ipv6_server_is_checked(check: Check) -> None:
    with fake_smtp(host="::1") as server:
        report = check(server.target(host="[::1]"))
    assert report.accepted
    assert report.addresses[0].address == "::1"


def test_first_address_that_answers_is_used(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """::1 refuses, 127.0.0.1 answers; the report says both."""
    found = (ipaddress.ip_address("::1"), ipaddress.ip_address("127.0.0.1"))
    monkeypatch.setattr(resolver, "addresses_of", lambda host: found)
    with fake_smtp() as server:
        report = check(server.target(host="two.example.com"))
    assert report.accepted
    assert [(one.address, one.outcome) for one in report.addresses] == [
        ("::1", "refused"),
        ("127.0.0.1", "connected"),
    ]
    assert any("::1" in str(notice) for notice in report.warnings)
