"""What an administrator sees of the whole installation: workers, rates, causes on our side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from ..database.models import Check, Incident, Worker
from ..database.session import AnyRow, db, fetch, now
from . import metrics
from .metrics import ALIVE, Figures

FORGOTTEN = timedelta(days=1)  # a worker that was not seen for so long is not shown
RATED = timedelta(minutes=10)
_MOST = 50


@dataclass(frozen=True)
class Operation:
    """``rates``: checks that finished in a minute, by kind, over the last ten."""

    figures: Figures
    workers: Sequence[Worker]
    rates: dict[str, float]
    incidents: Sequence[Incident]

    def is_alive(self, worker: Worker) -> bool:
        """Whether its heartbeat is recent."""
        return worker.seen > now() - ALIVE

    def rate(self, worker: Worker) -> float:
        """Checks a minute since its start."""
        minutes = (worker.seen - worker.started).total_seconds() / 60
        return worker.checks / minutes if minutes > 0 else 0.0


def read() -> Operation:
    """How the installation runs at this moment."""
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
        metrics.read(), workers, {kind: count / minutes for kind, count in rows}, incidents
    )
