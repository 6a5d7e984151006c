"""Metrics of the installation, at a cost that does not depend on the number of SMTP servers.

Counters are updated as events happen; other tables are queried by index and counted up to
a limit. Metrics contain no hosts, apps, accounts or ids, because monitoring systems have many
readers.
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

MOST = 100_000  # rows that are counted at most
WITHIN = (0, 1, 7, 21)  # days within which certificates expire
ALIVE = timedelta(minutes=2)  # for which a worker counts as alive after its last heartbeat


@dataclass(frozen=True)
class Figures:
    """Counts, and ages in seconds, which are None if there is nothing to measure.

    ``checks``: finished checks by (outcome, stage, code, kind). ``stages``: (count, seconds)
    by stage. ``certificates``: how many expire within so many days, including expired ones.
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
    """Read the current figures, in two statements."""
    moment = now()
    counters = tally.read()
    row = _table_counts(moment)
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


def _table_counts(moment: datetime) -> Any:
    def counted(statement: Any) -> Any:
        return select(func.count()).select_from(statement.limit(MOST).subquery())

    due = select(Due.smtp_id).where(Due.next_at <= moment)
    prefix = installation.secret_box().seal_prefix
    columns = {
        "queued": counted(select(Check.id).where(Check.queued.is_not(None))),
        "oldest_queued": select(func.min(Check.queued)).where(Check.queued.is_not(None)),
        "due": counted(due),
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
        columns[f"certificates_{days}"] = counted(
            select(Smtp.id).where(Smtp.certificate_expires < until)
        )
    counts = (query.scalar_subquery().label(name) for name, query in columns.items())
    return fetch(select(*counts))[0]


def _age(moment: datetime, then: datetime | None) -> float | None:
    # The clocks of several machines differ slightly, and an age must not be negative.
    return max(0.0, (moment - then).total_seconds()) if then else None


def _named(counters: dict[tuple[str, str], float], name: str) -> dict[str, float]:
    return {label: value for (counter, label), value in counters.items() if counter == name}


def _by_values(counters: dict[tuple[str, str], float], name: str) -> dict[tuple[str, ...], int]:
    return {tally.values_of(label): int(value) for label, value in _named(counters, name).items()}
