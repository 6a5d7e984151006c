"""Bound the work that reaches out into the network: slots of a worker, shares of a user.

Slots are counted in the memory of a worker, which dies with them. Shares hold for all workers and
machines: they are counted in rows of ``started_work`` that their user cannot remove, and one under
way is a lease, so that a worker that dies keeps nobody out. All figures are settings.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from flask import current_app
from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings, settings
from ..database.models import StartedWork, User, new_id
from ..database.session import cause, db, now, writing
from ..errors import Busy, Sentence, TooMany

log = logging.getLogger(__name__)

CHECK, SEARCH = "check", "search"
SEARCH_LEASE = timedelta(seconds=30)  # a search takes 13 s at most, see discovery.find
_NEXT_LOOK = 5  # seconds after which one of those under way may have ended

_UNDER_WAY = {
    CHECK: Sentence("You have %(number)s checks under way: wait for one of them."),
    SEARCH: Sentence("You have %(number)s searches under way: wait for one of them."),
}
_STARTED = {
    CHECK: Sentence("At most %(number)s checks in %(minutes)s minutes."),
    SEARCH: Sentence("At most %(number)s searches in %(minutes)s minutes."),
}


# --- slots of a worker ---------------------------------------------------------------------


class Slots:
    """So many of one kind at once in this process, and so many of each user; 0 means any."""

    def __init__(self, total: int, per_user: int = 0) -> None:
        self._total, self._per_user = total, per_user
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """How many are in use."""
        return self._taken.total()

    def take(self, user_id: str) -> str:
        """Take one: "" if it was taken, "user" or "worker" if theirs are in use."""
        with self._lock:
            if self._per_user and self._taken[user_id] >= self._per_user:
                return "user"
            if self._taken.total() >= self._total:
                return "worker"
            self._taken[user_id] += 1
            return ""

    def give_back(self, user_id: str) -> None:
        """Give back one that was taken."""
        with self._lock:
            self._taken[user_id] -= 1
            self._taken += Counter()  # forgets those with none


@dataclass(frozen=True)
class WorkerLimits:
    """What this worker does at the same time."""

    checks: threading.BoundedSemaphore
    streams: Slots

    @classmethod
    def of(cls, config: Settings) -> WorkerLimits:
        """The limits that the settings say."""
        return cls(
            threading.BoundedSemaphore(config.check_slots),
            Slots(config.stream_slots, config.streams_per_user),
        )


def of_worker() -> WorkerLimits:
    """The limits of the worker that serves the current application."""
    return cast(WorkerLimits, current_app.extensions["smtpweb.limits"])


def take_slot() -> threading.BoundedSemaphore:
    """Take one of the worker's slots, to be released after the check; raises :class:`Busy`."""
    slots = of_worker().checks
    if not slots.acquire(blocking=False):
        raise Busy(Sentence("Too many checks are under way: nothing was changed."), retry_after=5)
    return slots


# --- the share of a user -------------------------------------------------------------------


def used_share(user_id: str, kind: str = CHECK) -> tuple[int, int]:
    """How many of this user are under way; in how many seconds one more may start, 0 for now."""
    usage = _usage(user_id, kind)
    return usage.under_way, usage.wait


def room(user_id: str, kind: str = CHECK) -> int:
    """How many more queued checks of this user may begin now.

    One less than at once: a check by hand must not wait for those that nobody looks at.
    """
    config = settings()
    usage = _usage(user_id, kind)
    least = [1000]
    if config.checks_at_once:
        least.append(max(1, config.checks_at_once - 1) - usage.under_way)
    if config.checks_per_user:
        opened = now() - _window(config)
        started = db.session.scalar(
            select(func.count()).where(
                StartedWork.user_id == user_id,
                StartedWork.kind == kind,
                StartedWork.started > opened,
            )
        )
        least.append(config.checks_per_user - (started or 0))
    return max(0, min(least))


def take_share(user_id: str, kind: str, work_id: str, until: datetime) -> None:
    """Count one more, which ends at ``until`` at the latest; raises :class:`TooMany`.

    Part of the caller's write transaction: what is not begun does not count either.
    """
    config, moment = settings(), now()
    # On PostgreSQL the row lock serialises what one user starts at the same moment.
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update())
    usage = _usage(user_id, kind)
    if config.checks_at_once and usage.under_way >= config.checks_at_once:
        raise TooMany(Sentence(_UNDER_WAY[kind], number=usage.under_way), _NEXT_LOOK)
    if usage.wait:
        numbers = {"number": config.checks_per_user, "minutes": config.checks_minutes}
        raise TooMany(Sentence(_STARTED[kind], **numbers), usage.wait)
    if usage.outdated:
        db.session.execute(
            delete(StartedWork)
            .where(*_outdated(user_id, moment - _window(config), moment))
            .execution_options(synchronize_session=False)
        )
    db.session.add(StartedWork(id=work_id, user_id=user_id, kind=kind, started=moment, until=until))


@dataclass(frozen=True)
class _Usage:
    under_way: int
    wait: int  # seconds
    outdated: int  # rows of any kind that count no more


def _usage(user_id: str, kind: str) -> _Usage:
    config, moment = settings(), now()
    opened = moment - _window(config)
    mine = StartedWork.user_id == user_id, StartedWork.kind == kind
    under_way = select(func.count()).where(*mine, StartedWork.until > moment)
    outdated = select(func.count()).where(*_outdated(user_id, opened, moment))
    # The one that has to leave the window before there is room for one more
    blocking = (
        select(StartedWork.started)
        .where(*mine, StartedWork.started > opened)
        .order_by(StartedWork.started.desc())
        .offset(max(0, config.checks_per_user - 1))
        .limit(1)
    )
    row = db.session.execute(
        select(under_way.scalar_subquery(), blocking.scalar_subquery(), outdated.scalar_subquery())
    ).one()
    wait = int((row[1] - opened).total_seconds()) + 1 if row[1] else 0
    return _Usage(row[0], wait, row[2])


def _outdated(user_id: str, opened: datetime, moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        StartedWork.user_id == user_id,
        StartedWork.started <= opened,
        StartedWork.until <= moment,
    )


def give_back_share(work_id: str) -> None:
    """Note that this has ended: one more may be under way. It still counts as started."""
    db.session.execute(
        update(StartedWork)
        .where(StartedWork.id == work_id, StartedWork.until > now())
        .values(until=now())
        .execution_options(synchronize_session=False)
    )


@contextmanager
def search(user_id: str) -> Iterator[None]:
    """Count a search, which is under way in the block; raises :class:`TooMany`, :class:`Busy`."""
    slots = take_slot()
    try:
        work_id = new_id()
        with writing():
            take_share(user_id, SEARCH, work_id, now() + SEARCH_LEASE)
        try:
            yield
        finally:
            try:
                with writing():
                    give_back_share(work_id)
            except SQLAlchemyError as error:  # its lease ends soon
                log.warning("search %s: its end was not noted: %s", work_id, cause(error))
    finally:
        slots.release()


def _window(config: Settings) -> timedelta:
    """In which the work of a user is counted; none where its number has no limit."""
    return timedelta(minutes=config.checks_minutes if config.checks_per_user else 0)
