"""Outcomes of checks for other programs: Nagios, JUnit, JSON, the exposition of Prometheus."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

from ..mailcheck import Report

NAGIOS_OK, NAGIOS_CRITICAL, NAGIOS_UNKNOWN = 0, 2, 3
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Outcome:
    """What came of the check of one server. Without a report: ``problem`` says why."""

    smtp_id: str
    where: str
    check_id: str | None = None
    report: Report | None = None
    problem: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the server accepted the test email."""
        return self.report is not None and self.report.accepted

    @property
    def said(self) -> str:
        """In one line."""
        if self.report is None:
            return self.problem
        where = "" if self.report.accepted else f" at {self.report.stage}"
        return f"{self.report.title} ({self.report.code}{where})"


def nagios(outcomes: Sequence[Outcome]) -> tuple[str, int]:
    """One line with performance data, further lines for what failed; and the exit status.

    As the guidelines for plugins have it: a "|" begins the performance data, so there is no other.
    """
    failed = [one for one in outcomes if one.report is not None and not one.accepted]
    unknown = [one for one in outcomes if one.report is None]
    word, status = "OK", NAGIOS_OK
    if failed:
        word, status = "CRITICAL", NAGIOS_CRITICAL
    elif unknown:
        word, status = "UNKNOWN", NAGIOS_UNKNOWN
    said = f"{len(outcomes)} checked, {len(failed)} failed"
    if unknown:
        said += f", {len(unknown)} without a result"
    if len(outcomes) == 1:
        said = f"{outcomes[0].where}: {outcomes[0].said}"
    times = [f"checked={len(outcomes)}", f"failed={len(failed)}"]
    times += [
        f"'{one.where}'={one.report.milliseconds / 1000:.3f}s" for one in outcomes if one.report
    ]
    lines = [f"SMTP {word} - {_plain(said)} | {_plain(' '.join(times))}"]
    if len(outcomes) > 1:
        lines += [_plain(f"{one.where}: {one.said}") for one in (*failed, *unknown)]
    return "\n".join(lines), status


def nagios_unknown(problem: str) -> str:
    """What is said where nothing could be checked."""
    return f"SMTP UNKNOWN - {_plain(problem)}"


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def junit(outcomes: Sequence[Outcome]) -> str:
    """A test suite with a test case for each server."""
    failed = [one for one in outcomes if one.report is not None and not one.accepted]
    seconds = [one.report.milliseconds / 1000 if one.report else 0.0 for one in outcomes]
    suite = ET.Element(
        "testsuite",
        name="smtpweb",
        tests=str(len(outcomes)),
        failures=str(len(failed)),
        errors=str(sum(one.report is None for one in outcomes)),
        time=f"{sum(seconds):.3f}",
    )
    for one, took in zip(outcomes, seconds, strict=True):
        case = ET.SubElement(
            suite, "testcase", classname="smtp", name=_xml(one.where), time=f"{took:.3f}"
        )
        if one.report is None:
            ET.SubElement(case, "error", message=_xml(one.problem))
        elif not one.accepted:
            failure = ET.SubElement(
                case, "failure", type=one.report.code, message=_xml(one.report.title)
            )
            failure.text = _xml("\n".join([one.report.meaning, *one.report.advice]))
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """An object for each server, in ASCII."""
    return json.dumps([_members(one) for one in outcomes], indent=2)


def _members(one: Outcome) -> dict[str, object]:
    members: dict[str, object] = {
        "idsmtp": one.smtp_id,
        "server": one.where,
        "idcheck": one.check_id,
        "accepted": one.accepted,
    }
    report = one.report
    if report is None:
        return members | {"problem": one.problem}
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
    return members
