"""The history of one SMTP server: changes of state, uptime, how long its stages took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import select

from ..database.models import Check, Smtp, StatusChange, User
from ..database.session import AnyRow, fetch, now
from ..mailcheck import Stage
from ..registry.states import SmtpState, smtp_state

DAYS = (1, 7, 30, 90)
COLUMNS = 30  # of a chart
SHOWN = 20  # changes of state
_MOST_ROWS = 20_000  # 90 days of a check every 15 minutes are 8,640
TOTAL = "total"

UP = frozenset({SmtpState.ACTIVE.value, SmtpState.DEGRADED.value})
DOWN = frozenset({SmtpState.DISABLED.value})


# --- states --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Uptime:
    """For how long a server worked and did not, in seconds, in the last ``days``.

    What is in neither was not known: it was off, not checked yet, or could not be checked.
    """

    days: int
    up: float
    down: float

    @property
    def share(self) -> float | None:
        """From 0 to 1; None where nothing is known."""
        known = self.up + self.down
        return self.up / known if known else None


def changes(smtp_id: str, days: int = DAYS[-1]) -> Sequence[AnyRow]:
    """The changes of state of the last days, newest first, each with the name of its user.

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


def uptimes(smtp: Smtp, newest_first: Sequence[Any]) -> list[Uptime]:
    """The uptime of each of :data:`DAYS`, from the changes of the longest of them."""
    moment = now()
    spans = list(_spans(smtp, newest_first, moment))
    return [_uptime(days, spans, moment - timedelta(days=days)) for days in DAYS]


_Span = tuple[datetime, datetime, str]


def _spans(smtp: Smtp, newest_first: Sequence[Any], moment: datetime) -> Iterable[_Span]:
    """From when to when it was in which state, the newest first, back to its creation."""
    until, state = moment, smtp_state(smtp).value
    for change in newest_first:
        yield change.at, until, state
        until, state = change.at, change.before
    yield min(smtp.created, until), until, state


def _uptime(days: int, spans: Iterable[_Span], since: datetime) -> Uptime:
    seconds = {True: 0.0, False: 0.0}
    for start, end, state in spans:
        if state in UP or state in DOWN:
            within = (end - max(start, since)).total_seconds()
            seconds[state in UP] += max(0.0, within)
    return Uptime(days, seconds[True], seconds[False])


# --- times ---------------------------------------------------------------------------------


def times(smtp_id: str, days: int) -> Sequence[AnyRow]:
    """The finished checks of the last days, oldest first: (id, started, accepted, stage, times)."""
    rows = fetch(
        select(Check.id, Check.started, Check.accepted, Check.stage, Check.times)
        .where(
            Check.smtp_id == smtp_id,
            Check.started > now() - timedelta(days=days),
            Check.finished.is_not(None),
        )
        .order_by(Check.started.desc(), Check.id)
        .limit(_MOST_ROWS)
    )
    return rows[::-1]


@dataclass(frozen=True)
class StageTime:
    """How long a stage took, in milliseconds; ``slowest_id`` is the check of the slowest."""

    stage: str  # or "total"
    count: int
    median: float
    slowest: float
    slowest_id: str


def stage_times(rows: Iterable[Any]) -> list[StageTime]:
    """Of each stage that came to its end in any of the checks, in the order of the stages.

    A stage that failed is left out: how long a timeout is says nothing about the server.
    """
    found: dict[str, list[tuple[float, str]]] = {}
    for row in rows:
        for stage, milliseconds in (row.times or {}).items():
            if row.accepted or stage not in (row.stage, TOTAL):
                found.setdefault(stage, []).append((milliseconds, row.id))
    return [
        StageTime(stage, len(taken), median(one for one, _ in taken), *max(taken))
        for stage in (*(one.value for one in Stage), TOTAL)
        if (taken := found.get(stage))
    ]


@dataclass(frozen=True)
class Column:
    """A part of the time that a chart shows: its typical good check, and its last failed one.

    Both are rows of :func:`times` or None. The typical one is the median by its total, so that
    its stages add up, and it can be looked at.
    """

    since: datetime
    until: datetime
    typical: Any
    failed: Any
    checks: int


def columns(rows: Sequence[Any], days: int) -> list[Column]:
    """The checks of the last days in :data:`COLUMNS` parts of the same length, the oldest first."""
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
    good = sorted(
        (row for row in rows if row.accepted and (row.times or {}).get(TOTAL)),
        key=lambda row: row.times[TOTAL],
    )
    failed = [row for row in rows if not row.accepted and row.stage != Stage.POLICY]
    return Column(
        since,
        until,
        typical=good[(len(good) - 1) // 2] if good else None,
        failed=failed[-1] if failed else None,
        checks=len(rows),
    )
