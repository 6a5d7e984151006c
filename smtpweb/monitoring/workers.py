"""The worker processes, as their rows tell: each gives a sign of life every few seconds."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from .. import __version__
from ..database.models import Worker, new_id
from ..database.session import AnyRow, db, fetch, now, writing

BEAT = 5.0  # seconds between two signs of life
ALIVE = timedelta(seconds=30)  # after its last sign of life a worker counts as gone
_FORGOTTEN = timedelta(days=1)


def register() -> str:
    """Add a row for this process; gives its id."""
    worker = Worker(
        id=new_id(),
        name=f"{socket.gethostname()[:80]}:{os.getpid()}",
        version=__version__,
        seen=now(),
    )
    with writing() as session:
        session.add(worker)
    return worker.id


def beat(worker_id: str) -> None:
    """Give a sign of life."""
    with writing() as session:
        session.execute(update(Worker).where(Worker.id == worker_id).values(seen=now()))


def leave(worker_id: str) -> None:
    """Remove the row of a worker that ends in good order."""
    with writing() as session:
        session.execute(delete(Worker).where(Worker.id == worker_id))


def last_seen() -> datetime | None:
    """The newest sign of life of any worker."""
    seen: datetime | None = db.session.scalar(select(func.max(Worker.seen)))
    return seen


def is_any_alive() -> bool:
    """Whether a worker carries out what is queued."""
    rows = fetch(select(func.max(Worker.seen).label("seen")))
    seen = rows[0].seen
    return seen is not None and seen > now() - ALIVE


def find_all() -> list[AnyRow]:
    """All workers that were seen lately, the oldest first."""
    columns = Worker.__table__.columns
    return list(fetch(select(*columns).order_by(Worker.started, Worker.id)))


def forget() -> None:
    """Remove the rows of workers that are long gone; within the caller's transaction."""
    db.session.execute(
        delete(Worker).where(Worker.seen < now() - _FORGOTTEN),
        execution_options={"synchronize_session": False},
    )
