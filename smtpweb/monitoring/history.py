"""The history of one SMTP server: changes of state, uptime, and times of its stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import select

from ..checking import facts
from ..checking.facts import TOTAL
from ..config import settings
from ..database.models import Check, Smtp, StatusChange, User
from ..database.session import AnyRow, fetch, now
from ..mailcheck import Stage
from ..registry.states import SmtpState, smtp_state

DAYS = (1, 7, 30, 90)
COLUMNS = 30  # of a chart
SHOWN = 20  # changes of state
_MOST_ROWS = 20_000  # 90 days of a check every 15 minutes are 8,640

UP = frozenset({SmtpState.ACTIVE.value, SmtpState.DEGRADED.value})
DOWN = frozenset({SmtpState.DISABLED.value})


# --- states --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Uptime:
    """How long a server worked and did not work in the last ``days``, in seconds.

    Time in neither is unknown: the server was off, not checked yet, or could not be checked.
    """

    days: int
    up: float
    down: float

    @property
    def share(self) -> float | None:
        """Return the share of known time, 0 to 1, in which it worked; None if none is known."""
        known = self.up + self.down
        return self.up / known if known else None


def changes(smtp_id: str, days: int = DAYS[-1]) -> Sequence[AnyRow]:
    """Return the changes of state of the last days, newest first, with the names of users.

    Rows are (at, before, after, by, reason, check_id, cause, note, user_name).
    """
    return fetch(
        select(
            StatusChange.at, StatusChange.before, StatusChange.after, StatusChange.by,
            StatusChange.reason, StatusChange.check_id, StatusChange.cause, StatusChange.note,
            User.name.label("user_name"),
        )
        .outerjoin(User, User.id == StatusChange.by)
        .where(StatusChange.smtp_id == smtp_id, StatusChange.at > now() - timedelta(days=days))
        .order_by(StatusChange.at.desc(), StatusChange.id.desc())
        .limit(_MOST_ROWS)
    )  # fmt: skip


def known_since() -> datetime | None:
    """Return since when all changes of state are kept; None if they are kept for ever."""
    days = settings().keep_days
    return now() - timedelta(days=days) if days else None


def uptimes(smtp: Smtp, newest_first: Sequence[Any], since: datetime | None = None) -> list[Uptime]:
    """Compute the uptime for each of :data:`DAYS` from the changes of the longest of them.

    Changes before ``since`` may have been removed, so the states of that time are unknown.
    """
    moment = now()
    spans = list(_spans(smtp, newest_first, moment, since))
    return [_uptime(days, spans, moment - timedelta(days=days)) for days in DAYS]


_Span = tuple[datetime, datetime, str]


def _spans(
    smtp: Smtp, newest_first: Sequence[Any], moment: datetime, since: datetime | None
) -> Iterable[_Span]:
    """Yield (start, end, state), newest first, back to where the state is known."""
    until, state = moment, smtp_state(smtp).value
    for change in newest_first:
        yield change.at, until, state
        until, state = change.at, change.before
    first = smtp.created if since is None else max(smtp.created, since)
    yield min(first, until), until, state


def _uptime(days: int, spans: Iterable[_Span], since: datetime) -> Uptime:
    seconds = {True: 0.0, False: 0.0}
    for start, end, state in spans:
        if state in UP or state in DOWN:
            within = (end - max(start, since)).total_seconds()
            seconds[state in UP] += max(0.0, within)
    return Uptime(days, seconds[True], seconds[False])


# --- times ---------------------------------------------------------------------------------


def times(smtp_id: str, days: int) -> Sequence[AnyRow]:
    """Return the finished checks of the last days, oldest first.

    Rows are (id, started, accepted, stage, times).
    """
    moment = now()
    return checks_between(smtp_id, moment - timedelta(days=days), moment + timedelta(days=1))


def checks_between(smtp_id: str, since: datetime, until: datetime) -> Sequence[AnyRow]:
    """Return the finished checks that were started in this time, as :func:`times` does."""
    rows = fetch(
        select(Check.id, Check.started, Check.accepted, Check.stage, Check.times)
        .where(
            Check.smtp_id == smtp_id,
            Check.started >= since,
            Check.started < until,
            Check.finished.is_not(None),
        )
        .order_by(Check.started.desc(), Check.id)
        .limit(_MOST_ROWS)
    )
    return rows[::-1]


@dataclass(frozen=True)
class StageTime:
    """Times of a stage in milliseconds.

    ``typical``: the median of checks, or the average where they come from daily sums. Only with
    checks there is ``slowest_id``, the check with the slowest.
    """

    stage: str  # or "total"
    count: int
    typical: float
    slowest: float
    slowest_id: str | None


def stage_times(rows: Iterable[Any]) -> list[StageTime]:
    """Return the times of each completed stage, in the order of the stages.

    Failed stages are left out, because the length of a timeout says nothing about the server.
    """
    by_stage: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        for stage, milliseconds in facts.completed(row.times or {}, row).items():
            by_stage.setdefault(stage, []).append((milliseconds, row.id))
    return [
        StageTime(name, len(taken), median(milliseconds for milliseconds, _ in taken), *max(taken))
        for name in (*(stage.value for stage in Stage), TOTAL)
        if (taken := by_stage.get(name))
    ]


@dataclass(frozen=True)
class Typical:
    """The times of a column, with the check to link to, if it is kept."""

    id: str | None
    times: Mapping[str, float]


@dataclass(frozen=True)
class Failed:
    """The last failed check of a column, or only its period, if the check is not kept."""

    id: str | None
    stage: str | None
    started: datetime


@dataclass(frozen=True)
class Column:
    """A column of the chart: what an accepted check of its period took, and the last failed one.

    The typical check is the median by total time, so that its stages add up and the column can
    link to it. From daily sums, its times are averages.
    """

    since: datetime
    until: datetime
    typical: Typical | None
    failed: Failed | None
    checks: int
    failures: int
    is_average: bool = False


def columns(rows: Sequence[Any], days: int) -> list[Column]:
    """Divide the checks of the last days into :data:`COLUMNS` equal periods, oldest first."""
    end = now()
    width = timedelta(days=days) / COLUMNS
    parts: list[list[Any]] = [[] for _ in range(COLUMNS)]
    for row in rows:
        place = COLUMNS - 1 - int(max(timedelta(0), end - row.started) / width)
        if place >= 0:
            parts[place].append(row)
    return [
        _column(part, end - width * (COLUMNS - index), end - width * (COLUMNS - index - 1))
        for index, part in enumerate(parts)
    ]


def _column(rows: Sequence[Any], since: datetime, until: datetime) -> Column:
    accepted = sorted(
        (row for row in rows if row.accepted and (row.times or {}).get(TOTAL)),
        key=lambda row: row.times[TOTAL],
    )
    failed = [row for row in rows if not row.accepted and row.stage != Stage.POLICY]
    middle = accepted[(len(accepted) - 1) // 2] if accepted else None
    return Column(
        since,
        until,
        typical=Typical(middle.id, middle.times) if middle else None,
        failed=Failed(failed[-1].id, failed[-1].stage, failed[-1].started) if failed else None,
        checks=len(rows),
        failures=len(failed),
    )
