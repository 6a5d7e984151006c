"""Error responses of the API: problem+json (RFC 9457)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Response

from ...database.models import Check
from ...mailcheck import Report
from ...registry import smtps
from ..errors import Problem
from . import schema


def reply(problem: Problem) -> Response:
    """Return the API's response for an error."""
    response = _document(
        problem.status_of_api, problem.title, problem.detail, problem.code, problem.members
    )
    response.headers.update(problem.headers)
    return response


def failed_check(check: Check) -> Response:
    """Return the API's response for a failed check."""
    report = check.report
    if report is None:
        raise AssertionError("a finished check without a report")
    smtp = check.smtp
    warnings = schema.warnings(smtps.warnings_of(smtp, smtp.app.defaultfromemail))
    return failed_report(report, check.applied, check.id, warnings)


def failed_report(
    report: Report,
    applied: bool = False,
    check_id: str | None = None,
    warnings: Sequence[dict[str, str | None]] = (),
) -> Response:
    """Return the API's response for a check that failed; without an id it was not stored."""
    members: dict[str, Any] = {
        "stage": report.stage,
        "reply": None,
        "advice": " ".join(report.advice),
        "steps": list(report.advice),
        "temporary": report.temporary,
        "side": report.side,
        "applied": applied,
        "idcheck": check_id,
    }
    if report.reply:
        members["reply"] = {
            "code": report.reply.code,
            "enhanced": report.reply.enhanced,
            "text": report.reply.text,
        }
    if report.confidence:
        members["confidence"] = report.confidence
        members["alsoPossible"] = list(report.also_possible)
    if report.alternatives:
        members["alternatives"] = [
            {"port": mode.port, "encryption": mode.encryption} for mode in report.alternatives
        ]
    if report.sandbox:
        members["sandbox"] = report.sandbox
    if report.tls and report.tls.pin:
        members["certificatePin"] = report.tls.pin
    noticed = [
        {"parameter": None, "code": "NOTICED", "message": str(notice)} for notice in report.warnings
    ]
    if warnings or noticed:
        members["warnings"] = [*warnings, *noticed]
    return _document(406, report.title, report.meaning, report.code, members)


def nothing_works(members: dict[str, Any]) -> Response:
    """Return the response for an app without a working SMTP server."""
    response = _document(
        503,
        "No SMTP server works",
        "None of the SMTP servers of this app is active by its last check.",
        "NOTHING_WORKS",
        members,
    )
    response.headers["Retry-After"] = "60"
    return response


def _document(status: int, title: str, detail: str, code: str, members: dict[str, Any]) -> Response:
    kind = f"urn:smtpweb:{code.lower().replace('_', '-')}"
    document = {"type": kind, "title": title, "status": status, "detail": detail}
    return schema.reply(document | {"code": code} | members, status, "application/problem+json")
