"""Counters that every process adds to and any can read, at a constant cost.

A counter is the sum of its rows in ``tally``. A transaction writes its counts at its end, one row
for each counter, so that no transaction waits for another. More than :data:`MOST` rows are
replaced by their sums.
"""

from __future__ import annotations

import logging
from collections import Counter

from sqlalchemy import delete, event, func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..database.models import Tally
from ..database.session import cause, db, fetch, writing

log = logging.getLogger(__name__)

MOST = 2000  # rows, before they are replaced by their sums
PORTION = 10_000  # rows summed up in one transaction
_BETWEEN = "|"
_KEY = "smtpweb_tally"


def label(*values: str) -> str:
    """Return the label of a counter with several values."""
    return _BETWEEN.join(values)


def values_of(label: str) -> tuple[str, ...]:
    """Return the values in a label, the inverse of :func:`label`."""
    return tuple(label.split(_BETWEEN))


def add(name: str, label: str = "", delta: float = 1) -> None:
    """Count in the current transaction, to be written when it is committed."""
    db.session.info.setdefault(_KEY, Counter())[name, label[:200]] += delta


@event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    counted = session.info.pop(_KEY, None)
    if counted:
        session.execute(
            insert(Tally),
            [
                {"name": name, "label": label, "delta": delta}
                for (name, label), delta in counted.items()
            ],
        )


@event.listens_for(Session, "after_rollback")
def _forget(session: Session) -> None:
    session.info.pop(_KEY, None)


def read() -> dict[tuple[str, str], float]:
    """Return all counters that are not 0, by name and label."""
    rows = fetch(
        select(Tally.name, Tally.label, func.sum(Tally.delta), func.count()).group_by(
            Tally.name, Tally.label
        )
    )
    if sum(count for *_counter, count in rows) > MOST:
        _compact_portion()
    return {(name, label): delta for name, label, delta, _count in rows if delta}


def compact() -> None:
    """Replace the rows of each counter by their sum if there are many."""
    count = fetch(select(func.count()).select_from(Tally))[0][0]
    if count > MOST:
        for _ in range(count // PORTION + 1):
            if not _compact_portion():
                break


def _compact_portion() -> bool:
    """Replace the oldest rows by their sums; return whether there may be more of them.

    Rows that another process sums up are skipped, and all are left to the next caller if the
    database is busy.
    """
    oldest = select(Tally.id).order_by(Tally.id).limit(PORTION).with_for_update(skip_locked=True)
    try:
        with writing() as session:
            # Sum exactly the deleted rows, so that concurrent inserts are not lost.
            rows = session.execute(
                delete(Tally)
                .where(Tally.id.in_(oldest))
                .returning(Tally.name, Tally.label, Tally.delta)
            ).all()
            for name, label, delta in rows:
                add(name, label, delta)
    except DBAPIError as error:
        log.warning("the counters were not summed up: %s", cause(error))
        return False
    return len(rows) == PORTION
