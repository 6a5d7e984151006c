"""What an operator watches, at a cost that the number of SMTP servers does not change.

Counters are kept as things happen; what is asked of other tables is answered by an index, and
counted up to a limit. Nothing here names a host, an app, an account or an id: figures go to
monitoring systems, which many people read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import String, func, select, type_coerce

from .. import installation
from ..checking import tally
from ..database.models import Check, Due, Incident, Installation, Smtp, Worker
from ..database.session import fetch, now
from ..registry.states import SmtpState

MOST = 100_000  # that is counted of what waits; beyond it this figure is shown
WITHIN = (0, 1, 7, 21)  # days in which certificates end
ALIVE = timedelta(minutes=2)  # since its last heartbeat a worker counts as alive


@dataclass(frozen=True)
class Figures:
    """Counts, and ages in seconds, which are None where there is nothing to be measured.

    ``checks``: finished checks by (outcome, stage, code, kind). ``stages``: (how many, seconds)
    by stage. ``certificates``: how many end within so many days, those that have ended included.
    """

    apps: int
    smtps: dict[str, int]
    checks: dict[tuple[str, ...], int]
    stages: dict[str, tuple[int, float]]
    deliveries: dict[tuple[str, ...], int]
    certificates: dict[int, int]
    least_certificate_days: float | None
    queued: int
    oldest_queued_age: float | None
    due: int
    lag: float
    workers: int
    last_heartbeat_age: float | None
    incidents: int
    last_check_age: float | None
    stale_seals: int


def read() -> Figures:
    """The figures at this moment, in two statements."""
    moment = now()
    counters = tally.read()
    row = _of_tables(moment)
    prefix = installation.secret_box().seal_prefix
    stale = sum(int(count) for label, count in _named(counters, "seals").items() if label != prefix)
    seconds = _named(counters, "stage_seconds")
    return Figures(
        apps=int(counters.get(("apps", ""), 0)),
        smtps={state.value: int(counters.get(("smtps", state.value), 0)) for state in SmtpState},
        checks=_by_values(counters, "checks"),
        stages={
            stage: (int(count), seconds.get(stage, 0.0))
            for stage, count in _named(counters, "stage_count").items()
        },
        deliveries=_by_values(counters, "deliveries"),
        certificates={days: getattr(row, f"certificates_{days}") for days in WITHIN},
        least_certificate_days=(
            (row.least_certificate - moment).total_seconds() / 86400
            if row.least_certificate
            else None
        ),
        queued=row.queued,
        oldest_queued_age=_age(moment, row.oldest_queued),
        due=row.due,
        lag=_age(moment, row.oldest_due) or 0.0,
        workers=row.workers,
        last_heartbeat_age=_age(moment, row.heartbeat),
        incidents=row.incidents,
        last_check_age=_age(moment, row.last_check),
        stale_seals=stale + row.stale_canaries,
    )


def _of_tables(moment: datetime) -> Any:
    def most(statement: Any) -> Any:
        return select(func.count()).select_from(statement.limit(MOST).subquery())

    due = select(Due.smtp_id).where(Due.next_at <= moment)
    prefix = installation.secret_box().seal_prefix
    columns = {
        "queued": most(select(Check.id).where(Check.queued.is_not(None))),
        "oldest_queued": select(func.min(Check.queued)).where(Check.queued.is_not(None)),
        "due": most(due),
        "oldest_due": select(func.min(Due.next_at)).where(Due.next_at <= moment),
        "workers": select(func.count()).where(Worker.seen > moment - ALIVE),
        "heartbeat": select(func.max(Worker.seen)),
        "incidents": select(func.count()).where(Incident.ended.is_(None)),
        "last_check": select(func.max(Check.finished)),
        "least_certificate": select(func.min(Smtp.certificate_expires)),
        "stale_canaries": select(func.count()).where(
            type_coerce(Installation.canary, String).not_like(prefix + "%")
        ),
    }
    for days in WITHIN:
        until = moment + timedelta(days=days)
        columns[f"certificates_{days}"] = most(
            select(Smtp.id).where(Smtp.certificate_expires < until)
        )
    return fetch(select(*(one.scalar_subquery().label(name) for name, one in columns.items())))[0]


def _age(moment: datetime, then: datetime | None) -> float | None:
    # Clocks of several machines differ a little: never an age below zero.
    return max(0.0, (moment - then).total_seconds()) if then else None


def _named(counters: dict[tuple[str, str], float], name: str) -> dict[str, float]:
    return {label: value for (one, label), value in counters.items() if one == name}


def _by_values(counters: dict[tuple[str, str], float], name: str) -> dict[tuple[str, ...], int]:
    return {tally.values_of(label): int(value) for label, value in _named(counters, name).items()}
