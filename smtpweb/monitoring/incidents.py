"""Incidents: causes on our side, such as a DNS server that does not answer.

However many checks a cause affects, it is one incident.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from ..database.models import Incident
from ..database.session import db, now

QUIET = timedelta(minutes=20)  # without another affected check, until an incident ends

# Called with each new incident, in the transaction that stores it.
listeners: list[Callable[[Incident], None]] = []


def note(cases: Mapping[str, int]) -> None:
    """Add numbers of affected checks by cause; part of the caller's transaction."""
    moment = now()
    for cause, count in sorted(cases.items()):
        if _count(cause, count):
            continue
        incident = Incident(cause=cause, began=moment, last_at=moment, checks=count)
        try:
            with db.session.begin_nested():
                db.session.add(incident)
        except IntegrityError:  # another worker created it at the same time
            _count(cause, count)
            continue
        for listener in listeners:
            listener(incident)


def _count(cause: str, count: int) -> bool:
    counted = db.session.execute(
        update(Incident)
        .where(Incident.cause == cause, Incident.ended.is_(None))
        .values(checks=Incident.checks + count, last_at=now()),
        execution_options={"synchronize_session": False},
    )
    return bool(counted.rowcount)  # type: ignore[attr-defined]


def end() -> None:
    """End incidents without a recently affected check; part of the caller's transaction."""
    db.session.execute(
        update(Incident)
        .where(Incident.ended.is_(None), Incident.last_at < now() - QUIET)
        .values(ended=Incident.last_at),
        execution_options={"synchronize_session": False},
    )


def lasting() -> list[Incident]:
    """Return the open incidents, oldest first."""
    return list(
        db.session.scalars(
            select(Incident).where(Incident.ended.is_(None)).order_by(Incident.began)
        )
    )
