"""A probe: everything up to RCPT, then RSET and QUIT, and never an email."""

from __future__ import annotations

from typing import Any

import pytest

from smtpweb.mailcheck import Outcome, Purpose, Stage
from tests.support.drivers import Check
from tests.support.fake_smtp import FakeServer, fake_smtp


def verbs(server: FakeServer) -> list[str]:
    return [line.split(" ")[0].partition(":")[0].upper() for line in server.heard]


@pytest.mark.parametrize("capabilities", [None, ["8BITMIME"]])
def test_probe_goes_as_far_as_rcpt_and_takes_it_back(
    check: Check, capabilities: list[str] | None
) -> None:
    knobs: dict[str, Any] = {} if capabilities is None else {"capabilities": capabilities}
    with fake_smtp(login=("u", "a secret"), **knobs) as server:
        report = check(server.target(purpose=Purpose.PROBE))
    assert (report.accepted, report.code) == (True, "SMTP_PROBE_ACCEPTED")
    assert verbs(server)[-4:] == ["MAIL", "RCPT", "RSET", "QUIT"]
    assert "DATA" not in verbs(server)
    assert server.mails == []
    outcomes = {step.stage: step.outcome for step in report.steps}
    assert outcomes[Stage.RCPT] is Outcome.DONE
    assert outcomes[Stage.DATA] is outcomes[Stage.ACCEPTED] is Outcome.SKIPPED


@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
@pytest.mark.parametrize("capabilities", [None, ["8BITMIME"]])
def test_probe_finds_what_an_email_would(
    check: Check, verb: str, capabilities: list[str] | None
) -> None:
    knobs: dict[str, Any] = {} if capabilities is None else {"capabilities": capabilities}
    with fake_smtp(replies={verb: "550 5.7.1 not here"}, **knobs) as server:
        probe = check(server.target(purpose=Purpose.PROBE))
        email = check(server.target())
    assert not probe.accepted
    assert (probe.stage, probe.code) == (email.stage, email.code)
    assert server.mails == []


def test_probe_finds_a_refused_password(check: Check) -> None:
    with fake_smtp(login=("u", "a secret")) as server:
        report = check(server.target(purpose=Purpose.PROBE, password="another"))
    assert (report.accepted, report.stage) == (False, Stage.AUTH)


def test_probe_does_not_notice_that_the_content_is_refused(check: Check) -> None:
    with fake_smtp(replies={"dot": "550 5.7.1 spam"}) as server:
        assert check(server.target(purpose=Purpose.PROBE)).accepted
        assert check(server.target()).stage is Stage.DATA


def test_probe_also_gets_past_a_server_that_loses_pipelined_commands(check: Check) -> None:
    with fake_smtp("loses pipelined commands") as server:
        report = check(server.target(purpose=Purpose.PROBE))
    assert (report.accepted, report.code) == (True, "SMTP_PROBE_ACCEPTED")
    assert server.mails == []
