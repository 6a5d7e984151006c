"""What is stored of a check besides its report: times, facts of the server, sums, counters.

Facts are compared with those of the last accepted check of the same settings, to answer what an
administrator asks first when a server stops working: is it still the same server?
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
_MOST = 60  # names stored of each kind
_LONGEST = 200  # characters shown of a change
_GREETING = re.compile(r"220[ -]")
# Words of a greeting that vary: with digits, as in times, queue ids and versions, or of dates.
_VARYING = re.compile(r"\d|^(mon|tue|wed|thu|fri|sat|sun),?$|^[a-z]{3}$", re.IGNORECASE)


def keep(smtp: Smtp, check: Check, report: Report) -> None:
    """Store all of them in the transaction that stores the outcome; the server is locked."""
    check.times = times_of(report)
    seen = facts_of(report)
    is_current = check.smtp_version >= smtp.settings_version
    if is_current and report.tls is not None:
        smtp.certificate_expires = _moment(report.tls.not_after)
    if is_current and seen:
        settings = f"{smtp.host}:{smtp.port} {smtp.encryption}"
        before = smtp.good_facts or {}
        if before.get("settings") == settings:
            check.changes = differences(before, seen) or None
        if report.accepted:
            smtp.good_facts = seen | {"settings": settings}
    _add_to_day(check, report)
    _count(check, report)


def times_of(report: Report) -> dict[str, float]:
    """Return the milliseconds of each stage that was begun, in order, and in total."""
    times = {
        step.stage.value: round(step.milliseconds, 1)
        for step in report.steps
        if step.milliseconds is not None
    }
    return times | {TOTAL: round(report.milliseconds, 1)} if times else {}


# --- facts ---------------------------------------------------------------------------------


def facts_of(report: Report) -> dict[str, Any]:
    """Return the facts of the server by kind, without kinds that the check did not reach."""
    facts: dict[str, Any] = {}
    addresses = sorted(attempt.address for attempt in report.addresses)
    if addresses:
        used = [attempt.address for attempt in report.addresses if attempt.outcome == CONNECTED]
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
            code = _GREETING.match(line.text)
            return line.text[code.end() :][:_LONGEST] if code else ""
    return ""


def differences(good: Mapping[str, Any], seen: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what differs in ``seen``: [{"what", "before", "after"}], by :data:`KINDS`."""
    changes = []
    for kind in KINDS:
        if kind in good and kind in seen:
            pair = _DIFFERENCES[kind](good[kind], seen[kind])
            if pair:
                before, after = (text[:_LONGEST] for text in pair)
                changes.append({"what": kind, "before": before, "after": after})
    return changes


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
    """Compare only words that do not vary from one connection to the next."""
    return (before, after) if _steady(before) != _steady(after) else None


def _steady(greeting: str) -> list[str]:
    name, *words = greeting.split() or [""]
    return [name.lower(), *(word for word in words if not _VARYING.search(word))]


def _by_address(before: dict[str, Any], after: dict[str, Any]) -> _Pair:
    """Compare addresses; one in common means no change, as DNS may return a part of them."""
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
    """Return the outcome of a finished check or row: "accepted", "failed" or "other"."""
    if check.accepted:
        return "accepted"
    return "other" if check.stage == "policy" else "failed"


def completed(times: Mapping[str, float], check: Any) -> dict[str, float]:
    """Return the times of a finished check or row without those of what failed.

    The length of a timeout says nothing about the server.
    """
    if check.accepted:
        return dict(times)
    return {stage: taken for stage, taken in times.items() if stage not in (check.stage, TOTAL)}


@dataclass
class _Sum:
    """What one transaction adds to a day of a server; ``times`` is as in :class:`CheckDay`."""

    outcomes: Counter[str] = field(default_factory=Counter)
    times: dict[str, list[float]] = field(default_factory=dict)


def _add_to_day(check: Check, report: Report) -> None:
    """Collect sums until the end of the transaction, in which a worker stores many checks."""
    key = (check.smtp_id, (check.finished or now()).astimezone(UTC).date())
    sums = db.session.info.setdefault(_DAYS, {}).setdefault(key, _Sum())
    sums.outcomes[outcome_of(check) if report.judges else "other"] += 1
    for stage, milliseconds in completed(check.times or {}, check).items():
        sums.times[stage] = _added(sums.times.get(stage), [1, milliseconds, milliseconds])


def _added(one: list[float] | None, other: list[float]) -> list[float]:
    if one is None:
        return other
    return [one[0] + other[0], round(one[1] + other[1], 1), max(one[2], other[2])]


@event.listens_for(Session, "before_commit")
def _write_days(session: Session) -> None:
    # No other transaction counts for these servers, because their rows are locked.
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
