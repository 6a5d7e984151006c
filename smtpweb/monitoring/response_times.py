"""Response times and outcomes of an SMTP server, from its checks or from their daily sums.

Sums are kept for years and checks perhaps for days; and 90 days have thousands of checks. So more
than a week is read from sums, and less if the checks are not kept so long. Days of sums are those
of UTC, and the last one is today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import reduce
from typing import Any

from sqlalchemy import select, union_all

from ..checking import facts
from ..checking.facts import TOTAL
from ..config import settings
from ..database.models import Check, CheckDay, Smtp
from ..database.session import fetch, now
from ..mailcheck import Stage
from . import history
from .history import COLUMNS, Column, Failed, StageTime, Typical

TALLIED = 30  # days
_FROM_CHECKS = 7  # days at most
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Sums:
    """The checks of a time; ``times`` is as in :class:`CheckDay`."""

    accepted: int = 0
    failed: int = 0
    other: int = 0
    times: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __add__(self, more: Sums) -> Sums:
        """Return the sums of both."""
        times = dict(self.times)
        for stage, (count, total, slowest) in more.times.items():
            before = times.get(stage, (0, 0, 0))
            times[stage] = (before[0] + count, before[1] + total, max(before[2], slowest))
        return Sums(
            self.accepted + more.accepted, self.failed + more.failed, self.other + more.other, times
        )

    @property
    def averages(self) -> dict[str, float]:
        """Return the average milliseconds of each stage and in total."""
        return {
            stage: round(total / count, 1) for stage, (count, total, _slowest) in self.times.items()
        }


@dataclass(frozen=True)
class ResponseTimes:
    """The chart and the table of the last days. ``is_average``: from sums, which have no median."""

    columns: list[Column]
    stages: list[StageTime]
    is_average: bool


def of(smtp: Smtp, days: int) -> ResponseTimes:
    """Return the response times of a server in the last days."""
    keep = settings().keep_checks
    if days <= _FROM_CHECKS and (days <= keep or not keep):
        checks = history.times(smtp.id, days)
        return ResponseTimes(history.columns(checks, days), history.stage_times(checks), False)
    by_day = read(smtp, days)
    return ResponseTimes(
        _columns(smtp.id, by_day, days), _stage_times(total(by_day.values())), True
    )


def tally(smtp: Smtp) -> tuple[int, int]:
    """Return how many checks of the last ``TALLIED`` days were accepted, and were conclusive."""
    sums = total(read(smtp, TALLIED).values())
    return sums.accepted, sums.accepted + sums.failed


def read(smtp: Smtp, days: int) -> dict[date, Sums]:
    """Return the sums of the last days that have any.

    Days before the first sums, as before an upgrade, are summed up from their checks.
    """
    start = now().date() - _DAY * (days - 1)
    rows = fetch(
        select(
            CheckDay.day, CheckDay.accepted, CheckDay.failed, CheckDay.other, CheckDay.times
        )
        .where(CheckDay.smtp_id == smtp.id, CheckDay.day >= start)
        .order_by(CheckDay.day)
    )  # fmt: skip
    found: dict[date, Sums] = {}
    since = max(_midnight(start), smtp.created)
    until = _midnight(rows[0].day if rows else now().date() + _DAY)
    if since < until:
        for check in history.checks_between(smtp.id, since, until):
            day = check.started.astimezone(UTC).date()
            found[day] = found.get(day, Sums()) + _of_check(check)
    return found | {row.day: Sums(*row[1:]) for row in rows}


def _of_check(check: Any) -> Sums:
    times = facts.completed(check.times or {}, check).items()
    return Sums(
        **{facts.outcome_of(check): 1},
        times={stage: (1, taken, taken) for stage, taken in times},
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time_of_day(), UTC)


def total(sums: Iterable[Sums]) -> Sums:
    """Return the sums of all."""
    return reduce(Sums.__add__, sums, Sums())


def _stage_times(sums: Sums) -> list[StageTime]:
    """Return the average and slowest time of each stage, in the order of the stages."""
    return [
        StageTime(name, int(sums.times[name][0]), average, sums.times[name][2], None)
        for name in (*(stage.value for stage in Stage), TOTAL)
        if (average := sums.averages.get(name)) is not None
    ]


def _columns(smtp_id: str, by_day: Mapping[date, Sums], days: int) -> list[Column]:
    """Divide the last days into columns of whole days, oldest first.

    A column links to its newest accepted and its newest failed check while these are kept.
    """
    width = max(1, days // COLUMNS)
    start = now().date() - _DAY * (days - 1)
    periods = [
        (first, total(by_day.get(first + _DAY * offset, Sums()) for offset in range(width)))
        for first in (start + _DAY * place for place in range(0, days, width))
    ]
    kept = _kept_checks(smtp_id, periods, width)
    return [
        Column(
            since=_midnight(first),
            until=_midnight(first + _DAY * width),
            typical=Typical(_id_of(kept.get((first, True))), sums.averages)
            if TOTAL in sums.times
            else None,
            failed=_failed(kept.get((first, False)), first) if sums.failed else None,
            checks=sums.accepted + sums.failed + sums.other,
            failures=sums.failed,
            is_average=True,
        )
        for first, sums in periods
    ]


def _id_of(check: Any) -> str | None:
    return None if check is None else check.id


def _failed(check: Any, first: date) -> Failed:
    if check is None:
        return Failed(None, None, _midnight(first))
    return Failed(check.id, check.stage, check.started)


def _kept_checks(
    smtp_id: str, periods: Sequence[tuple[date, Sums]], width: int
) -> dict[tuple[date, bool], Any]:
    """Return the newest accepted and the newest failed check of each period, one row for each."""
    keep = settings().keep_checks
    oldest = now() - _DAY * (keep + 1) if keep else None
    selects, keys = [], []
    for first, sums in periods:
        since, until = _midnight(first), _midnight(first + _DAY * width)
        if oldest is not None and until < oldest:
            continue
        for accepted, count in ((True, sums.accepted), (False, sums.failed)):
            if count:
                newest = (
                    select(Check.id, Check.started, Check.stage, Check.accepted)
                    .where(
                        Check.smtp_id == smtp_id,
                        Check.started >= since,
                        Check.started < until,
                        Check.accepted.is_(accepted),
                        Check.stage != Stage.POLICY.value,
                    )
                    .order_by(Check.started.desc(), Check.id)
                    .limit(1)
                    .subquery()
                )
                selects.append(select(newest))
                keys.append((first, since, until))
    if not selects:
        return {}
    found = {}
    for check in fetch(union_all(*selects)):  # type: ignore[arg-type]
        first = next(first for first, since, until in keys if since <= check.started < until)
        found[first, bool(check.accepted)] = check
    return found
