"""Maintain the schedule: add missing rows, repair wrong times, spread a backlog."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, insert, literal, null, or_, select, update

from ..accounts.ownership import owner_id
from ..database.models import App, Due, Smtp
from ..database.session import db, fetch, now, writing
from ..errors import NotFound
from ..registry import schedule as rule
from . import maintenance

log = logging.getLogger(__name__)

PORTION = 10_000  # rows that one transaction changes
NOBODY_WORKED = timedelta(minutes=10)  # without a worker, after which a backlog is spread
_LATE = timedelta(minutes=5)
_LATEST = 1.2  # times the interval; jitter only takes it to 1.1
_LONGEST_LEASE = timedelta(minutes=10)  # no setting lets a check take so long


def next_check(smtp: Smtp) -> datetime | None:
    """Return when this server is checked next, or None if no check is scheduled.

    Maintenance windows and pauses are taken into account.
    """
    due = db.session.get(Due, smtp.id)
    if due is None or due.next_at is None or smtp.off_since is not None:
        return None
    at = max(due.next_at, now())
    windows = maintenance.windows_of((smtp.id, smtp.app_id))
    return maintenance.closed_until(smtp, windows, at) or at


def make_due(app_id: str | None = None) -> int:
    """Make every scheduled check due now, or those of one app; return how many.

    The limits per host and user still apply. Raises :class:`NotFound`.
    """
    which: list[Any] = [Due.next_at > now()]
    if app_id is not None:
        if db.session.get(App, app_id) is None:
            raise NotFound("App")
        which.append(Due.smtp_id.in_(select(Smtp.id).where(Smtp.app_id == app_id)))
    return _in_portions(which, {"next_at": now()})


def spread_backlog() -> int:
    """Spread overdue checks over the next hour; return how many.

    After a time without workers, running all of them at once would be a stampede.
    """
    count = _in_portions([Due.next_at < now() - _LATE], {"next_at": rule.some_time(rule.SPREAD)})
    if count:
        log.warning("spread %s overdue checks over the next hour", count)
    return count


def bring_forward() -> int:
    """Bring forward the checks of working servers planned later than their interval permits.

    A clock that was ahead for hours left them there; return how many. Those of disabled servers
    wait up to a day by rule, so :func:`reconcile` repairs only what is later than any rule permits.
    """
    moment, shorter, total = now(), 0, 0
    for minutes in rule.USUAL_EVERY:
        every = timedelta(minutes=minutes)
        is_of_these = (
            select(Smtp.id)
            .join(Smtp.app)
            .where(
                Due.smtp_id == Smtp.id, Smtp.enabled, App.checkevery.between(shorter + 1, minutes)
            )
            .exists()
        )
        total += _in_portions(
            [Due.next_at > moment + every * _LATEST, is_of_these],
            {"next_at": rule.some_time(min(every, rule.SPREAD))},
        )
        shorter = minutes
    if total:
        log.warning("brought forward %s checks that were planned too late", total)
    reconcile()
    return total


def reconcile() -> None:
    """Add missing rows, and repair times that were set by a wrong clock."""
    _add_missing()
    moment = now()
    _in_portions([Due.next_at > moment + rule.FURTHEST], {"next_at": rule.some_time(rule.SPREAD)})
    _in_portions(
        [Due.lease_until > moment + _LONGEST_LEASE], {"lease_until": None, "leased_by": None}
    )
    with writing() as session:
        session.execute(
            update(Smtp)
            .where(Smtp.checking_until > moment + _LONGEST_LEASE)
            .values(checking_until=None),
            execution_options={"synchronize_session": False},
        )


def _add_missing() -> None:
    """Add rows for servers without one, such as those older than the schedule."""
    moment = now()
    is_missing = ~select(Due.smtp_id).where(Due.smtp_id == Smtp.id).exists()
    while True:
        ids = select(Smtp.id).where(is_missing).limit(PORTION)
        with writing() as session:
            added = session.execute(
                insert(Due).from_select(
                    ["smtp_id", "user_id", "host", "attempt", "next_at", "email_at"],
                    select(
                        Smtp.id,
                        owner_id,
                        Smtp.host,
                        literal(0),
                        _first(moment),
                        rule.some_time(rule.DAY, start=moment),
                    )
                    .join(Smtp.app)
                    .where(Smtp.id.in_(ids)),
                )
            )
            if added.rowcount < PORTION:  # type: ignore[attr-defined]
                return


def _first(moment: datetime) -> ColumnElement[Any]:
    never = or_(App.checkevery == 0, Smtp.off_since.is_not(None))
    return case((never, null()), else_=rule.some_time(rule.SPREAD, start=moment))


def _in_portions(which: list[Any], values: dict[str, Any]) -> int:
    """Update rows of ``due`` in short transactions; return how many."""
    total = 0
    while True:
        some = select(Due.smtp_id).where(*which).limit(PORTION)
        with writing() as session:
            changed = session.execute(
                update(Due).where(Due.smtp_id.in_(some)).values(values),
                execution_options={"synchronize_session": False},
            )
            count = int(changed.rowcount)  # type: ignore[attr-defined]
        total += count
        if count < PORTION:
            return total


def lag() -> float:
    """Return for how many seconds the oldest unclaimed check is overdue; 0 if there is none."""
    moment = now()
    oldest = fetch(select(func.min(Due.next_at).label("at")).where(rule.is_due(moment)))[0].at
    return max(0.0, (moment - oldest).total_seconds()) if oldest else 0.0


def under_way() -> int:
    """Return the number of checks running in workers."""
    leased = select(func.count()).select_from(Due).where(Due.lease_until > now())
    return int(fetch(leased)[0][0])
