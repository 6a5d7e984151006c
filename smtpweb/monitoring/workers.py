"""Worker processes and their heartbeats, stored in the database."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from .. import __version__
from ..database.models import Worker, new_id
from ..database.session import AnySelect, db, fetch, now, writing
from ..mailcheck.core.once import once

BEAT = 5.0  # seconds between two heartbeats
ALIVE = timedelta(seconds=30)  # for which a worker counts as alive after its last heartbeat
_FORGOTTEN = timedelta(days=1)


def register() -> str:
    """Add a row for this process and return its id."""
    worker_id = new_id()
    beat(worker_id)
    return worker_id


def beat(worker_id: str) -> None:
    """Store a heartbeat, in a new row if there is none, as after the restore of a backup."""
    with writing() as session:
        updated = session.execute(update(Worker).where(Worker.id == worker_id).values(seen=now()))
        if not updated.rowcount:  # type: ignore[attr-defined]
            name = f"{socket.gethostname()[:80]}:{os.getpid()}"
            session.add(Worker(id=worker_id, name=name, version=__version__, seen=now()))


def leave(worker_id: str) -> None:
    """Remove the row of a worker that shuts down."""
    with writing() as session:
        session.execute(delete(Worker).where(Worker.id == worker_id))


def last_seen() -> datetime | None:
    """Return the newest heartbeat of any worker."""
    seen: datetime | None = db.session.scalar(select(func.max(Worker.seen)))
    return seen


@once
def _newest() -> AnySelect:
    return select(func.max(Worker.seen).label("seen"))


def is_any_alive() -> bool:
    """Check if at least one worker is running."""
    seen = fetch(_newest())[0].seen
    return seen is not None and seen > now() - ALIVE


def forget() -> None:
    """Remove rows of workers without a heartbeat for a day; part of the caller's transaction."""
    db.session.execute(
        delete(Worker).where(Worker.seen < now() - _FORGOTTEN),
        execution_options={"synchronize_session": False},
    )
