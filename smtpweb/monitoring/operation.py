"""The state of the whole installation for administrators: workers, rates, incidents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from ..database.models import Check, Incident, Worker
from ..database.session import AnyRow, db, fetch, now
from . import metrics, schedule
from .metrics import ALIVE, Figures

FORGOTTEN = timedelta(days=1)  # after which an absent worker is no longer shown
RATED = timedelta(minutes=10)  # for which rates are computed
_MOST = 50


@dataclass(frozen=True)
class Operation:
    """The state of the installation. ``rates``: finished checks per minute, by kind."""

    figures: Figures
    workers: Sequence[Worker]
    rates: dict[str, float]
    incidents: Sequence[Incident]
    under_way: int  # checks in workers

    def is_alive(self, worker: Worker) -> bool:
        """Check if the worker's heartbeat is recent."""
        return worker.seen > now() - ALIVE

    def rate(self, worker: Worker) -> float:
        """Return the worker's checks per minute since its start."""
        minutes = (worker.seen - worker.started).total_seconds() / 60
        return worker.checks / minutes if minutes > 0 else 0.0


def read() -> Operation:
    """Read the current state of the installation."""
    since = now() - RATED
    rows: Sequence[AnyRow] = fetch(
        select(Check.kind, func.count()).where(Check.finished > since).group_by(Check.kind)
    )
    workers = db.session.scalars(
        select(Worker)
        .where(Worker.seen > now() - FORGOTTEN)
        .order_by(Worker.seen.desc())
        .limit(_MOST)
    ).all()
    incidents = db.session.scalars(
        select(Incident).order_by(Incident.ended.is_not(None), Incident.began.desc()).limit(10)
    ).all()
    minutes = RATED.total_seconds() / 60
    return Operation(
        metrics.read(),
        workers,
        {kind: count / minutes for kind, count in rows},
        incidents,
        schedule.under_way(),
    )
