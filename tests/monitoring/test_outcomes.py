"""What the command line writes for Nagios, for JUnit and as JSON."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from click.testing import Result
from flask import Flask

from smtpweb.mailcheck import Report
from smtpweb.monitoring import outcomes
from smtpweb.monitoring.outcomes import Outcome
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person


def report(**changes: object) -> Report:
    members = {
        "accepted": False, "stage": "auth", "code": "SMTP_X", "title": "No | <b>\x00\x1b[31m",
        "meaning": "m\x0b", "advice": ["a"], "temporary": False, "side": "smtp",
        "milliseconds": 1500.0,
    }  # fmt: skip
    return Report.from_dict(members | changes)


GOOD = Outcome("1", "a.example:25", "c1", report(accepted=True, stage="accepted", title="Fine"))
BAD = Outcome("2", "b.example:25", "c2", report())
NONE = Outcome("3", "c.example:25", problem="A check of this SMTP server is already running.")


@pytest.mark.parametrize(
    ("given", "word", "status"),
    [
        ([GOOD], "OK", 0), ([GOOD, GOOD], "OK", 0), ([GOOD, BAD], "CRITICAL", 2),
        ([GOOD, NONE], "UNKNOWN", 3), ([BAD, NONE], "CRITICAL", 2), ([], "OK", 0),
    ],
)  # fmt: skip
def test_nagios_reads_status_and_performance_data(
    given: list[Outcome], word: str, status: int
) -> None:
    text, found = outcomes.nagios(given)
    first, *others = text.splitlines()
    assert found == status
    assert first.startswith(f"SMTP {word} - ")
    assert first.count("|") == 1
    assert not any("|" in line for line in others)
    assert f"checked={len(given)}" in first
    failed = sum(one is not GOOD for one in given)
    assert len(others) == (failed if len(given) > 1 else 0)


def test_junit_is_xml_whatever_a_server_says() -> None:
    suite = ET.fromstring(outcomes.junit([GOOD, BAD, NONE]))
    assert suite.attrib == {
        "name": "smtpweb", "tests": "3", "failures": "1", "errors": "1", "time": "3.000",
    }  # fmt: skip
    cases = {case.get("name"): case for case in suite}
    failure = cases["b.example:25"].find("failure")
    assert failure is not None
    assert failure.get("type") == "SMTP_X"
    assert "<b>" in failure.get("message", "")
    assert cases["c.example:25"].find("error") is not None
    assert len(cases["a.example:25"]) == 0


def test_json_has_an_object_for_each_server() -> None:
    text = outcomes.as_json([GOOD, BAD, NONE])
    assert text.isascii()
    good, bad, none = json.loads(text)
    assert (good["accepted"], bad["accepted"], none["accepted"]) == (True, False, False)
    assert (bad["code"], bad["stage"], bad["idcheck"]) == ("SMTP_X", "auth", "c2")
    assert none["problem"].startswith("A check")


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=["smtps", "check", *arguments])


def test_command_checks_and_writes_each_format(app: Flask, alice: Person) -> None:
    idapp = alice.make_app("shop", testemail="t@example.com", defaultfromemail="a@example.com")
    with fake_smtp() as good, fake_smtp(replies={"connect": "554 5.3.2 no"}) as bad:
        ids = [
            alice.make_smtp(idapp["_id"], host="127.0.0.1", port=server.port)["_id"]
            for server in (good, bad)
        ]
        one = run(app, ids[0], "--format", "nagios")
        assert (one.exit_code, one.output[:9]) == (0, "SMTP OK -")
        both = run(app, "--app", idapp["_id"], "--format", "nagios")
        assert (both.exit_code, both.output[:15]) == (2, "SMTP CRITICAL -")
        suite = run(app, "--app", idapp["_id"], "--format", "junit")
        assert (suite.exit_code, ET.fromstring(suite.output).get("failures")) == (1, "1")
        listed = run(app, "--all", "--format", "json")
        assert listed.exit_code == 1
        assert [one["accepted"] for one in json.loads(listed.output)] == [True, False]
        assert run(app, ids[0], "--format", "json").exit_code == 0
        assert "2 checked, 1 failed." in run(app, "--all").output


@pytest.mark.parametrize("arguments", [["f" * 24], ["no-id"], ["--app", "f" * 24]])
def test_nagios_calls_what_is_not_there_unknown(app: Flask, arguments: list[str]) -> None:
    result = run(app, *arguments, "--format", "nagios")
    assert (result.exit_code, result.output[:14]) == (3, "SMTP UNKNOWN -")
    assert run(app, *arguments, "--format", "json").exit_code == 2
