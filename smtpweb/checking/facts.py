"""What is kept of a check beside its report: times, facts of the server, sums, counters.

Facts are what an administrator would ask for first when a server stops working: is it still the
same server? They are compared with those of the last good check of the same settings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import event, select, tuple_
from sqlalchemy.orm import Session

from ..database.models import Check, CheckDay, Smtp
from ..database.session import db, now
from ..mailcheck import Report
from ..mailcheck.core.types import CONNECTED
from . import tally

TOTAL = "total"
KINDS = ("certificate", "capabilities", "mechanisms", "greeting", "address")
_DAYS = "smtpweb_days"
_MOST = 60  # names of each kind that are kept
_LONGEST = 200  # characters of what is shown of a change
_GREETING = re.compile(r"220[ -]")
# Words of a greeting that differ each time: with digits, as times, queue ids and versions have.
_VARYING = re.compile(r"\d|^(mon|tue|wed|thu|fri|sat|sun),?$|^[a-z]{3}$", re.IGNORECASE)


def keep(smtp: Smtp, check: Check, report: Report) -> None:
    """Note all of them, in the transaction that keeps the outcome; the server is locked."""
    check.times = times_of(report)
    seen = facts_of(report)
    is_current = check.smtp_version >= smtp.settings_version
    if is_current and report.tls is not None:
        smtp.certificate_expires = _moment(report.tls.not_after)
    if is_current and seen:
        settings = f"{smtp.host}:{smtp.port} {smtp.encryption}"
        good = smtp.good_facts or {}
        if good.get("settings") == settings:
            check.changes = differences(good, seen) or None
        if report.accepted:
            smtp.good_facts = seen | {"settings": settings}
    _add_to_day(check, report)
    _count(check, report)


def times_of(report: Report) -> dict[str, float]:
    """Milliseconds of each stage that was begun, in order, and of the whole."""
    times = {
        step.stage.value: round(step.milliseconds, 1)
        for step in report.steps
        if step.milliseconds is not None
    }
    return times | {TOTAL: round(report.milliseconds, 1)} if times else {}


# --- facts ---------------------------------------------------------------------------------


def facts_of(report: Report) -> dict[str, Any]:
    """What is known of the server, by kind; a kind that the check did not come to is absent."""
    facts: dict[str, Any] = {}
    addresses = sorted(one.address for one in report.addresses)
    if addresses:
        used = [one.address for one in report.addresses if one.outcome == CONNECTED]
        facts["address"] = {"all": addresses[:_MOST], "used": (used or addresses)[0]}
    if report.tls is not None and report.tls.not_after:
        facts["certificate"] = {
            "subject": report.tls.subject,
            "issuer": report.tls.issuer,
            "until": report.tls.not_after,
            "names": sorted(report.tls.names)[:_MOST],
        }
    greeting = _greeting(report)
    if greeting:
        facts["greeting"] = greeting
    if report.capabilities:
        words = [line.upper().split() for line in report.capabilities]
        mechanisms = {word for line in words if line[:1] == ["AUTH"] for word in line[1:]}
        facts["capabilities"] = sorted({line[0] for line in words if line} - {"AUTH"})[:_MOST]
        facts["mechanisms"] = sorted(mechanisms)[:_MOST]
    return facts


def _greeting(report: Report) -> str:
    for line in report.transcript:
        if line.direction == "S":
            found = _GREETING.match(line.text)
            return line.text[found.end() :][:_LONGEST] if found else ""
    return ""


def differences(good: Mapping[str, Any], seen: Mapping[str, Any]) -> list[dict[str, str]]:
    """What of ``seen`` is not as in ``good``: [{"what", "before", "after"}], by :data:`KINDS`."""
    found = []
    for kind in KINDS:
        if kind in good and kind in seen:
            pair = _DIFFERENCES[kind](good[kind], seen[kind])
            if pair:
                before, after = (text[:_LONGEST] for text in pair)
                found.append({"what": kind, "before": before, "after": after})
    return found


_Pair = tuple[str, str] | None


def _by_names(before: list[str], after: list[str]) -> _Pair:
    """Only the names that one of them has and the other one lacks."""
    gone = sorted(set(before) - set(after))
    come = sorted(set(after) - set(before))
    return (" ".join(gone), " ".join(come)) if gone or come else None


def _by_certificate(before: dict[str, Any], after: dict[str, Any]) -> _Pair:
    if before == after:
        return None
    return _certificate(before), _certificate(after)


def _certificate(facts: dict[str, Any]) -> str:
    return f"{facts['subject']} / {facts['issuer']} / {facts['until'][:10]}"


def _by_greeting(before: str, after: str) -> _Pair:
    """Only words that stay the same from one connection to the next are compared."""
    return (before, after) if _steady(before) != _steady(after) else None


def _steady(greeting: str) -> list[str]:
    name, *words = greeting.split() or [""]
    return [name.lower(), *(word for word in words if not _VARYING.search(word))]


def _by_address(before: dict[str, Any], after: dict[str, Any]) -> _Pair:
    """Names with many addresses give some of them, in turn: one in common means no change."""
    if set(before["all"]) & set(after["all"]):
        return None
    return before["used"], after["used"]


_DIFFERENCES: dict[str, Any] = {
    "certificate": _by_certificate,
    "capabilities": _by_names,
    "mechanisms": _by_names,
    "greeting": _by_greeting,
    "address": _by_address,
}


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- sums and counters ---------------------------------------------------------------------


def outcome_of(check: Any) -> str:
    """Of a finished check, or a row of one: "accepted", "failed", or "other": it says nothing."""
    if check.accepted:
        return "accepted"
    return "other" if check.stage == "policy" else "failed"


@dataclass
class _Sum:
    """What one transaction adds to a day of a server; ``times`` as in :class:`CheckDay`."""

    outcomes: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=dict)


def _add_to_day(check: Check, report: Report) -> None:
    """Note it for the end of the transaction: a worker keeps hundreds of checks in one."""
    key = (check.smtp_id, (check.finished or now()).astimezone(UTC).date())
    sums = db.session.info.setdefault(_DAYS, {}).setdefault(key, _Sum())
    sums.outcomes[outcome_of(check) if report.judges else "other"] += 1
    for stage, milliseconds in (check.times or {}).items():
        sums.times[stage] = _added(sums.times.get(stage), [1, milliseconds, milliseconds])


def _added(one: list[float] | None, other: list[float]) -> list[float]:
    if one is None:
        return other
    return [one[0] + other[0], round(one[1] + other[1], 1), max(one[2], other[2])]


@event.listens_for(Session, "before_commit")
def _write_days(session: Session) -> None:
    # Nobody else counts for these servers now: their rows are locked until the end
    noted: dict[tuple[str, date], _Sum] = session.info.pop(_DAYS, {})
    if not noted:
        return
    present = session.scalars(
        select(CheckDay).where(tuple_(CheckDay.smtp_id, CheckDay.day).in_(sorted(noted))),
        execution_options={"populate_existing": True},
    )
    days = {(day.smtp_id, day.day): day for day in present}
    for key, sums in noted.items():
        day = days.get(key)
        if day is None:
            day = CheckDay(smtp_id=key[0], day=key[1], accepted=0, failed=0, other=0, times={})
            session.add(day)
        for outcome, count in sums.outcomes.items():
            setattr(day, outcome, getattr(day, outcome) + count)
        day.times = day.times | {
            stage: _added(day.times.get(stage), taken) for stage, taken in sums.times.items()
        }


@event.listens_for(Session, "after_rollback")
def _forget_days(session: Session) -> None:
    session.info.pop(_DAYS, None)


def _count(check: Check, report: Report) -> None:
    outcome = outcome_of(check) if report.judges else "other"
    tally.add("checks", tally.label(outcome, report.stage.value, report.code, check.kind))
    for stage, milliseconds in (check.times or {}).items():
        tally.add("stage_count", stage)
        tally.add("stage_seconds", stage, milliseconds / 1000)
