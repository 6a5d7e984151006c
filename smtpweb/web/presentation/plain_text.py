"""A check as plain text for a support ticket: everything that helps, and no secrets.

A report contains no credentials, and the test email with its confirmation link is not part of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from flask_babel import gettext as _

from ...database.models import Check
from ...mailcheck import Report
from . import confidence, labels, times


def text(check: Check, report: Report) -> str:
    """Return the full diagnosis, without empty paragraphs."""
    paragraphs = (
        _head(check, report),
        [report.meaning, *confidence.sentences(report)],
        [f"{number}. {step}" for number, step in enumerate(_to_do(report), 1)],
        _left_open(check),
        _under(_("Warnings"), [str(notice) for notice in report.warnings]),
        _under(_("Stages"), _stages(report)),
        _under(_("Addresses"), _addresses(report)),
        _under("TLS", [f"{name}: {value}" for name, value in labels.tls_facts(report)]),
        _under(_("Capabilities"), list(report.capabilities)),
        _under(_("Transcript (milliseconds since the start)"), _transcript(report)),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, paragraphs) if lines)


def _to_do(report: Report) -> Iterator[str]:
    for mode in report.alternatives:
        yield labels.other_mode(mode)
    yield from report.advice


def _left_open(check: Check) -> list[str]:
    reason = labels.why_still_disabled(check)
    return [
        *([reason] if reason else []),
        *_under(_("What this did not prove"), labels.not_proved(check)),
    ]


def _under(title: str, lines: list[str]) -> list[str]:
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []


def _head(check: Check, report: Report) -> Iterator[str]:
    yield report.title
    mode = f", {labels.ENCRYPTION[report.encryption]}" if report.encryption else ""
    yield _("Server: %(where)s", where=f"{report.host}:{report.port}{mode}")
    yield _("Stage: %(stage)s", stage=labels.stage(report.stage))
    yield _("Code: %(code)s", code=report.code)
    if report.reply:
        yield _("The server said: %(words)s", words=labels.quoted(report.reply))
    if report.queue_id:
        yield _("Queue ID: %(id)s", id=report.queue_id)
    if report.message_id:
        yield f"Message-ID: {report.message_id}"
    if report.mail_from:
        yield _("From: %(address)s", address=report.mail_from)
    yield _("To: %(address)s", address=report.rcpt_to)
    took = times.duration(report.milliseconds)
    yield _("Checked: %(moment)s, took %(time)s", moment=times.exact(check.started), time=took)
    if check.arrived:
        yield _("Delivery confirmed: %(moment)s", moment=times.exact(check.arrived))
    yield _("Check: %(id)s", id=check.id)


def _stages(report: Report) -> list[str]:
    return [
        f"{one.name}: {one.outcome.words}"
        + (f", {times.duration(one.milliseconds)}" if one.milliseconds is not None else "")
        for one in labels.rungs(report.steps)
    ]


def _addresses(report: Report) -> list[str]:
    return [
        f"{one.address}: {one.outcome}"
        + (f", {times.duration(one.milliseconds)}" if one.milliseconds is not None else "")
        for one in report.addresses
    ]


def _transcript(report: Report) -> list[str]:
    return [f"{line.milliseconds:6.0f} {line.direction}: {line.text}" for line in report.transcript]
