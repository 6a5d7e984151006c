"""Counters that every process adds to and any can read, at a cost that no figure changes.

A counter is the sum of its rows in ``tally``. What a transaction counts is written at its end, one
row for each counter, so that nobody waits for another one's lock. The rows are few: whoever finds
more than :data:`MOST` replaces them by their sums.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from sqlalchemy import delete, event, func, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ..database.models import Tally
from ..database.session import cause, db, fetch, writing

log = logging.getLogger(__name__)

MOST = 2000  # rows, before they are replaced by their sums
_BETWEEN = "|"
_KEY = "smtpweb_tally"


def label(*values: str) -> str:
    """The label of a counter that is told apart by several values."""
    return _BETWEEN.join(values)


def values_of(label: str) -> tuple[str, ...]:
    """The inverse."""
    return tuple(label.split(_BETWEEN))


def add(name: str, label: str = "", delta: float = 1) -> None:
    """Count in the transaction that is open, to be written when it is committed."""
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
    """Every counter that is not 0, by name and label."""
    rows = fetch(
        select(Tally.name, Tally.label, func.sum(Tally.delta), func.count()).group_by(
            Tally.name, Tally.label
        )
    )
    _compact_if_many(sum(count for *_counter, count in rows))
    return {(name, label): delta for name, label, delta, _count in rows if delta}


def compact() -> None:
    """Replace the rows of each counter by their sum, where there are many."""
    _compact_if_many(fetch(select(func.count()).select_from(Tally))[0][0])


def _compact_if_many(rows_now: int) -> None:
    """A storage that is busy is left as it is: whoever comes next does it."""
    if rows_now <= MOST:
        return
    try:
        with writing() as session:
            # What is deleted is what is summed up: rows that come meanwhile are in neither
            rows: list[Any] = list(
                session.execute(delete(Tally).returning(Tally.name, Tally.label, Tally.delta))
            )
            for name, label, delta in rows:
                add(name, label, delta)
    except DBAPIError as error:
        log.warning("the counters were not summed up: %s", cause(error))
