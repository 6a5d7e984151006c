"""Results of checks in the formats of other programs: Nagios, JUnit, JSON."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..mailcheck import Report

NAGIOS_OK, NAGIOS_CRITICAL, NAGIOS_UNKNOWN = 0, 2, 3
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Outcome:
    """The result of checking one server; ``problem`` says why there is no report.

    Of an accepted one, ``still_disabled`` says why the server is disabled nevertheless, and
    ``not_proved`` what the check left open, by the words of the API.
    """

    smtp_id: str
    server: str  # host:port
    check_id: str | None = None
    report: Report | None = None
    problem: str = ""
    still_disabled: str = ""
    not_proved: Mapping[str, str] = field(default_factory=dict)

    @property
    def accepted(self) -> bool:
        """Check if the server accepted the test email."""
        return self.report is not None and self.report.accepted

    @property
    def summary(self) -> str:
        """Return the result in one line."""
        if self.report is None:
            return self.problem
        stage = "" if self.report.accepted else f" at {self.report.stage}"
        return f"{self.report.title} ({self.report.code}{stage})"


def nagios(outcomes: Sequence[Outcome]) -> tuple[str, int]:
    """Return the output of a Nagios plugin and its exit status.

    The first line has performance data after a "|", so "|" is replaced elsewhere; further lines
    list failures, and servers that stay disabled.
    """
    failed = [outcome for outcome in outcomes if outcome.report and not outcome.accepted]
    unknown = [outcome for outcome in outcomes if outcome.report is None]
    word, status = "OK", NAGIOS_OK
    if failed:
        word, status = "CRITICAL", NAGIOS_CRITICAL
    elif unknown:
        word, status = "UNKNOWN", NAGIOS_UNKNOWN
    text = f"{len(outcomes)} checked, {len(failed)} failed"
    if unknown:
        text += f", {len(unknown)} without a result"
    if len(outcomes) == 1:
        text = f"{outcomes[0].server}: {outcomes[0].summary}"
    measured = [f"checked={len(outcomes)}", f"failed={len(failed)}"]
    measured += [
        f"'{outcome.server}'={outcome.report.milliseconds / 1000:.3f}s"
        for outcome in outcomes
        if outcome.report
    ]
    lines = [f"SMTP {word} - {_plain(text)} | {_plain(' '.join(measured))}"]
    if len(outcomes) > 1:
        lines += [_plain(f"{bad.server}: {bad.summary}") for bad in (*failed, *unknown)]
    lines += [
        _plain(f"{good.server}: {good.still_disabled}") for good in outcomes if good.still_disabled
    ]
    return "\n".join(lines), status


def nagios_unknown(problem: str) -> str:
    """Return the output if nothing could be checked."""
    return f"SMTP UNKNOWN - {_plain(problem)}"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def junit(outcomes: Sequence[Outcome]) -> str:
    """Return a JUnit test suite with a test case for each server."""
    failed = [outcome for outcome in outcomes if outcome.report and not outcome.accepted]
    seconds = [
        outcome.report.milliseconds / 1000 if outcome.report else 0.0 for outcome in outcomes
    ]
    suite = ET.Element(
        "testsuite",
        name="smtpweb",
        tests=str(len(outcomes)),
        failures=str(len(failed)),
        errors=str(sum(outcome.report is None for outcome in outcomes)),
        time=f"{sum(seconds):.3f}",
    )
    for outcome, took in zip(outcomes, seconds, strict=True):
        report = outcome.report
        case = ET.SubElement(
            suite, "testcase", classname="smtp", name=_xml(outcome.server), time=f"{took:.3f}"
        )
        if report is None:
            ET.SubElement(case, "error", message=_xml(outcome.problem))
        elif not outcome.accepted:
            failure = ET.SubElement(case, "failure", type=report.code, message=_xml(report.title))
            failure.text = _xml("\n".join([report.meaning, *report.advice]))
        elif outcome.still_disabled:
            ET.SubElement(case, "system-out").text = _xml(outcome.still_disabled)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return a JSON array with an object for each server, in ASCII."""
    return json.dumps([_members(outcome) for outcome in outcomes], indent=2)


def _members(outcome: Outcome) -> dict[str, object]:
    members: dict[str, object] = {
        "idsmtp": outcome.smtp_id,
        "server": outcome.server,
        "idcheck": outcome.check_id,
        "accepted": outcome.accepted,
    }
    report = outcome.report
    if report is None:
        return members | {"problem": outcome.problem}
    members |= {
        "stage": report.stage,
        "code": report.code,
        "title": report.title,
        "steps": list(report.advice),
        "temporary": report.temporary,
        "milliseconds": round(report.milliseconds, 1),
        "reply": None,
    }
    if report.reply:
        reply = report.reply
        members["reply"] = {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text}
    if outcome.not_proved:
        members["notProved"] = list(outcome.not_proved)
    if outcome.still_disabled:
        members["detail"] = outcome.still_disabled
    return members
