"""How long a server is waited for: to the deadline, which is named where it was the limit."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from smtpweb.mailcheck import Encryption, Mode, Stage
from smtpweb.mailcheck.core.recorder import Recorder
from smtpweb.mailcheck.core.redaction import Secrets
from smtpweb.mailcheck.protocol import connection, delivery
from tests.support.drivers import Check
from tests.support.fake_smtp import SILENCE, EachConnection, Slowly, fake_smtp
from tests.support.threads import each_of


def test_server_may_take_most_of_the_deadline_for_one_reply(check: Check) -> None:
    """Tarpits answer late on purpose, content filters because they have much to do."""

    def prove(row: tuple[str, list[str]]) -> None:
        verb, capabilities = row
        good = {"connect": "220 hi", "EHLO": "250 hi", "DATA": "354 go"}.get(verb, "250 ok")
        if verb == "EHLO" and capabilities:
            good = "250-hi\r\n250 PIPELINING"
        with fake_smtp(replies={verb: Slowly(1.0, good)}, capabilities=capabilities) as server:
            report = check(server.target(timeout=1.8, other_modes=()))
        assert report.accepted, report.transcript
        assert report.warnings == ()  # a slow server is no liar
        assert len(server.mails) == 1

    verbs = ("connect", "EHLO", "MAIL", "RCPT", "DATA", "dot")
    each_of(
        {
            f"{verb} with {capabilities}": (verb, capabilities)
            for verb, capabilities in itertools.product(verbs, ([], ["PIPELINING"]))
        },
        prove,
    )


def test_reply_may_take_more_than_fifteen_seconds() -> None:
    """By the clock of the core: nothing but the deadline limits a reply."""
    now = [100.0]
    record = Recorder(lambda: now[0], Secrets("", ""))
    line = connection.Connection(None, record, 130.0)
    assert line.limit() == 130.0
    now[0] = 110.0
    assert line.limit() == 130.0


SILENT: dict[str, tuple[dict[str, Any], str]] = {
    "no greeting": ({"replies": {"connect": SILENCE}}, "SMTP_GREETING_SILENT"),
    "EHLO": ({"replies": {"EHLO": SILENCE}}, "SMTP_SILENT"),
    "RCPT": ({"replies": {"RCPT": SILENCE}, "capabilities": []}, "SMTP_SILENT"),
    "RCPT, pipelined": ({"replies": {"RCPT": SILENCE}}, "SMTP_SILENT"),
    "the dot": ({"replies": {"dot": SILENCE}}, "SMTP_VERDICT_MISSING"),
}


def test_setting_is_named_where_the_deadline_was_the_limit(check: Check) -> None:
    def prove(row: tuple[dict[str, Any], str]) -> None:
        knobs, code = row
        with fake_smtp(**knobs) as server:
            report = check(server.target(timeout=0.9, other_modes=()))
        assert report.code == code
        assert "0.9 s" in report.advice[-1]
        assert "SMTPWEB_CHECK_TIMEOUT" in report.advice[-1]

    each_of(SILENT, prove)


def test_setting_is_not_named_where_the_server_failed_in_time(check: Check) -> None:
    with fake_smtp("hangs up after the dot") as server:
        report = check(server.target())
    assert report.code == "SMTP_VERDICT_MISSING"
    assert not any("SMTPWEB_CHECK_TIMEOUT" in step for step in report.advice)


def test_silent_port_is_looked_at_early(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the port speaks TLS from the start is known long before the deadline."""
    monkeypatch.setattr(connection, "SUSPICIOUS_SILENCE", 0.1)
    with fake_smtp(tls="implicit") as server:
        report = check(server.target(encryption=Encryption.NONE, timeout=60, other_modes=()))
    assert report.code == "SMTP_TLS_EXPECTED"
    assert report.milliseconds < 20_000


def test_alternative_modes_are_tried_amid_the_silence_and_a_late_greeting_still_counts(
    check: Check,
) -> None:
    with (
        fake_smtp(replies={"connect": Slowly(1.8, "220 late")}, tls="") as slow,
        fake_smtp(tls="starttls") as up,
    ):
        modes = (Mode(up.port, Encryption.STARTTLS),)
        report = check(slow.target(host="localhost", other_modes=modes, timeout=2.4))
    assert report.accepted, report.transcript
    assert report.alternatives == ()
    assert up.connections == 1


def test_tarpit_that_pipelines_is_not_taken_for_a_liar(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second connection is as slow as the first, whose replies come first."""
    monkeypatch.setattr(delivery, "PIPELINE_PATIENCE", 0.2)
    with fake_smtp(
        replies={"RCPT": Slowly(1.6, "250 ok")}, login=("u", "a secret"), tls="starttls"
    ) as server:
        report = check(server.target(timeout=2.6))
    assert report.accepted, report.transcript
    assert report.warnings == ()
    assert len(server.mails) == 1
    assert server.connections == 2
    outcomes = {step.stage: step.outcome for step in report.steps}
    assert outcomes[Stage.AUTH] == outcomes[Stage.RCPT] == "done"


def test_server_that_takes_one_connection_only_is_still_waited_for(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PIPELINE_PATIENCE", 0.2)
    greetings = EachConnection("220 hi", "421 too many connections")
    replies = {"connect": greetings, "RCPT": Slowly(0.9, "250 ok")}
    with fake_smtp(replies=replies) as server:
        report = check(server.target(timeout=2.4))
    assert report.accepted, report.transcript
    outcomes = {step.stage: step.outcome for step in report.steps}
    assert outcomes[Stage.EHLO] == outcomes[Stage.GREETING] == "done"


def test_refusal_by_a_slow_server_that_pipelines_is_shown(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PIPELINE_PATIENCE", 0.2)
    replies = {"RCPT": Slowly(0.9, "550 5.1.1 User unknown")}
    with fake_smtp(replies=replies) as server:
        report = check(server.target(timeout=2.4))
    assert (report.stage, report.code) == (Stage.RCPT, "SMTP_RCPT_UNKNOWN")
    assert server.mails == []
