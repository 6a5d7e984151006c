"""When an SMTP server is checked next, stored in one row of ``due`` for each server.

Times vary randomly, so that servers that were registered together are not checked together.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Table,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    update,
)

from ..database.models import App, Due, Smtp
from ..database.session import UtcDateTime, db, now

LEAST_EVERY, MOST_EVERY = 15, 24 * 60  # minutes; 0 means never
USUAL_EVERY = (15, 30, 60, 120, 240, 480, 720, MOST_EVERY)  # minutes
DAY = timedelta(days=1)
SOON = timedelta(minutes=1)  # after a server was saved or enabled
# After a temporary failure, before it disables a server.
REPEATS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
AFTER_OUR_FAULT = timedelta(minutes=15)
# The furthest time ever set: one that is further ahead is the result of a wrong clock.
FURTHEST = DAY * 1.5
SPREAD = timedelta(hours=1)  # over which a backlog is spread

_JITTER = 0.1


def jittered(span: timedelta) -> timedelta:
    """Return the span, randomly shortened or lengthened by up to 10 %."""
    return span * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret


def interval(app: Any) -> timedelta | None:
    """Return the time between two scheduled checks of a server of this app; None if never."""
    return timedelta(minutes=app.checkevery) if app.checkevery else None


def back_off(span: timedelta, failures: int) -> timedelta:
    """Return the time until a disabled server is retried: doubled each time, at most a day."""
    doubled: timedelta = span * 2 ** min(max(failures - 1, 0), 10)
    return min(doubled, DAY)


def plan(smtp: Smtp, app: App, *, is_new: bool = False) -> None:
    """Schedule a check of a saved or enabled server soon; part of the caller's transaction."""
    moment = now()
    is_scheduled = app.checkevery and smtp.off_since is None
    values: dict[str, Any] = {
        "user_id": app.user_id,
        "host": smtp.host,
        "attempt": 0,
        "next_at": moment + jittered(SOON) if is_scheduled else None,
    }
    due = None if is_new else db.session.get(Due, smtp.id, populate_existing=True)
    if due is None:
        values |= {"smtp_id": smtp.id, "email_at": moment + DAY * random.random()}  # noqa: S311
        db.session.connection().execute(_NEW, values)
        return
    for name, value in values.items():
        setattr(due, name, value)


_NEW = insert(cast(Table, Due.__table__))


def unplan(smtp: Smtp) -> None:
    """Remove the scheduled check of a server that was turned off."""
    db.session.execute(
        update(Due).where(Due.smtp_id == smtp.id).values(next_at=None),
        execution_options={"synchronize_session": "fetch"},
    )


def replan(app: App) -> None:
    """Spread the checks of an app's servers over its new interval."""
    mine = select(Smtp.id).where(Smtp.app_id == app.id)
    every = interval(app)
    if every is None:
        db.session.execute(
            update(Due).where(Due.smtp_id.in_(mine)).values(next_at=None),
            execution_options={"synchronize_session": False},
        )
        return
    db.session.execute(
        update(Due)
        .where(Due.smtp_id.in_(mine.where(Smtp.off_since.is_(None))))
        .values(next_at=some_time(every, sooner_than=Due.next_at)),
        execution_options={"synchronize_session": False},
    )


def some_time(
    span: timedelta, *, start: datetime | None = None, sooner_than: Any = None
) -> ColumnElement[datetime]:
    """Return an expression for a random time within ``span`` of ``start`` (now), for each row.

    ``sooner_than``: a column whose time is kept if it is sooner.
    """
    start = start or now()
    seconds = int(span.total_seconds())
    if db.engine.dialect.name == "sqlite":
        moment: Any = func.strftime(
            "%Y-%m-%d %H:%M:%f000",
            start.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
            literal_column(f"'+' || (abs(random()) % {seconds * 1000 + 1} / 1000.0) || ' seconds'"),
        )
        least: Any = func.min
    else:
        share = func.random().op("*")(literal_column(f"interval '{seconds} seconds'"))
        moment = literal(start, UtcDateTime).op("+")(share)
        least = func.least
    if sooner_than is None:
        return moment  # type: ignore[no-any-return]
    return least(func.coalesce(sooner_than, moment), moment)  # type: ignore[no-any-return]


def is_due(moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a row is due and not claimed."""
    return (Due.next_at <= moment) & is_free(moment)


def is_free(moment: datetime) -> ColumnElement[bool]:
    """Return the condition that a row is not leased."""
    return or_(Due.lease_until.is_(None), Due.lease_until <= moment)
