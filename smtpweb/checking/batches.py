"""Check several SMTP servers of an app in sequence, and read the progress from the database.

A batch runs in the background until every server has been checked: limits delay it but never
stop it. Its row in ``check_queue`` says that a process is running it, so that any process can
show its progress, and take it over from one that has ended.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from flask import Flask, current_app
from sqlalchemy import ColumnElement, CursorResult, and_, delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ..accounts.tokens import Caller
from ..database.models import Check, CheckQueue, Smtp, new_id
from ..database.session import AnyRow, cause, db, fetch, now, writing
from ..errors import Busy, NotFound, SecretUnreadable, Sentence, TooMany
from ..extensions import services
from ..mailcheck import Stage
from ..registry import apps, names
from . import runner, service
from .limits import Slots

log = logging.getLogger(__name__)

ALIVE = timedelta(seconds=30)  # since its last heartbeat, before a queue may be taken over
_BEAT = 5.0  # seconds between two heartbeats
SHOWN = 500  # rows of a batch that are read for its page, of each kind
_PACE = 0.3  # seconds between two polls of a check
_LONGEST = timedelta(minutes=6)  # longer than any setting allows a check to take


@dataclass(frozen=True)
class Batch:
    """SMTP servers of an app, each to be checked once after ``since``; no ids means all of them."""

    app_id: str
    since: datetime
    smtp_ids: tuple[str, ...] = ()

    def holds(self) -> ColumnElement[bool]:
        """Return the condition that an SMTP server belongs to the batch."""
        mine = Smtp.app_id == self.app_id
        return and_(mine, Smtp.id.in_(self.smtp_ids)) if self.smtp_ids else mine

    def counts(self) -> ColumnElement[bool]:
        """Return the condition that a check counts for the batch, whoever started it."""
        return and_(
            Check.started > self.since - _LONGEST,  # so that its index can be used
            or_(
                Check.started >= self.since,
                Check.finished >= self.since,
                and_(Check.finished.is_(None), Check.ends_by > now()),
            ),
        )


# --- progress ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """Progress of a batch. ``rows``: the newest check of each server that has one, in order.

    Rows are (smtp_id, ``names.COLUMNS``, id, started, finished, ends_by, accepted, stage, code,
    title). ``waiting``: (id, ``names.COLUMNS``) of servers without a check, at most ``SHOWN``.
    ``queued``: a process is running it; ``abandoned``: a process did, and was stopped.
    ``delayed_for``: seconds for which a limit delays the next check.
    """

    total: int
    rows: Sequence[AnyRow]
    waiting: Sequence[AnyRow]
    queued: bool
    abandoned: bool
    delayed_for: int

    @property
    def going_on(self) -> bool:
        """Whether further progress is expected."""
        return any(map(service.is_under_way, self.rows)) or (self.queued and self.left > 0)

    @property
    def finished(self) -> int:
        """The number of checks that are no longer running."""
        return sum(not service.is_under_way(row) for row in self.rows)

    @property
    def accepted(self) -> int:
        """The number of accepted test emails."""
        return sum(bool(row.accepted) for row in self.rows)

    @property
    def without_result(self) -> int:
        """The number of checks without a result: refused by our own policy, or interrupted."""
        return sum(
            row.finished is None or row.stage == Stage.POLICY
            for row in self.rows
            if not row.accepted and not service.is_under_way(row)
        )

    @property
    def left(self) -> int:
        """The number of servers without a check."""
        return self.total - len(self.rows)


def standing(user_id: str, batch: Batch) -> Standing:
    """Return the progress of the batch."""
    total = db.session.scalar(select(func.count()).select_from(Smtp).where(batch.holds())) or 0
    found = fetch(
        select(
            Check.smtp_id, *names.COLUMNS, Check.id, Check.started, Check.finished,
            Check.ends_by, Check.accepted, Check.stage, Check.code, Check.title, Check.facts,
            Check.arrived,
        )
        .join(Check.smtp)
        .where(batch.holds(), batch.counts())
        .order_by(Check.started, Check.id)
        .limit(SHOWN)
    )  # fmt: skip
    waiting = fetch(
        select(Smtp.id, *names.COLUMNS)
        .where(batch.holds(), _unchecked(batch))
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
        .limit(SHOWN)
    )
    moment = now()
    queue = _queue_of(user_id)
    is_this = queue is not None and _batch_of(queue) == batch
    alive = is_this and queue is not None and queue.alive_until > moment
    delayed = 0.0
    if alive and queue is not None and queue.waits_until:
        delayed = (queue.waits_until - moment).total_seconds()
    return Standing(
        total=total,
        rows=list({row.smtp_id: row for row in found}.values()),
        waiting=waiting,
        queued=alive,
        abandoned=is_this and not alive,
        delayed_for=max(0, math.ceil(delayed)),
    )


def running(user_id: str) -> Batch | None:
    """Return the batch that is running for this user, if any."""
    queue = _queue_of(user_id)
    return _batch_of(queue) if queue is not None and queue.alive_until > now() else None


def _queue_of(user_id: str) -> AnyRow | None:
    columns = CheckQueue.__table__.columns
    return next(iter(fetch(select(*columns).where(CheckQueue.user_id == user_id))), None)


def _batch_of(queue: AnyRow) -> Batch:
    return Batch(queue.app_id, queue.since, tuple(queue.smtp_ids))


def _unchecked(batch: Batch) -> ColumnElement[bool]:
    return ~select(Check.id).where(Check.smtp_id == Smtp.id, batch.counts()).exists()


# --- execution -----------------------------------------------------------------------------


def start(caller: Caller, batch: Batch, base_url: str | None = None) -> None:
    """Start checking the servers of the batch that have no check yet, in order of use.

    Returns immediately. Raises :class:`NotFound`, and :class:`Busy` if this user's servers are
    already being checked, or too many servers of other users.
    """
    app_id = apps.find(caller.user_id, batch.app_id).id
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    queue = _Queue(app, caller, batch, base_url)
    _take_over(caller.user_id, app_id, batch, queue.owner)
    try:
        services(app).queues.run(queue)
    except Busy:
        queue.leave(for_good=True)
        raise


def _take_over(user_id: str, app_id: str, batch: Batch, owner: str) -> None:
    """Assign the user's row to this batch, unless a batch of the user is running."""
    busy = Busy(
        Sentence(
            "Several of your SMTP servers are already being checked. Wait until they are done."
        ),
        retry_after=30,
    )
    try:
        with writing() as session:
            row = session.get(CheckQueue, user_id, populate_existing=True, with_for_update=True)
            if row is None:
                row = CheckQueue(user_id=user_id)
                session.add(row)
            elif row.alive_until > now():
                raise busy
            row.owner, row.app_id, row.since = owner, app_id, batch.since
            row.smtp_ids = list(batch.smtp_ids)
            row.alive_until, row.waits_until = now() + ALIVE, None
    except IntegrityError:  # inserted at the same moment by another request
        raise busy from None


def stop(user_id: str, app_id: str) -> None:
    """Start no more checks of the user's batch in this app; let the running one finish."""
    with writing() as session:
        session.execute(
            delete(CheckQueue).where(CheckQueue.user_id == user_id, CheckQueue.app_id == app_id)
        )


class Queues:
    """The queues of this process: a limited number, one per user.

    ``slots``: one per queue, as each has a thread that mostly waits. ``is_over``: whether the
    worker is shutting down. It waits for running checks, but starts no new ones.
    """

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._lock = threading.Lock()
        self._running: set[_Queue] = set()
        self.stopped = threading.Event()
        self.is_over: Callable[[], bool] = lambda: not threading.main_thread().is_alive()

    def run(self, queue: _Queue) -> None:
        """Start the queue, unless there are too many; raise :class:`Busy`."""
        if self._slots.take(queue.owner):
            raise Busy(
                Sentence("Too many checks are running. Nothing was changed."), retry_after=30
            )
        with self._lock:
            try:
                queue.start()
            except RuntimeError:  # the system cannot start more threads
                self._slots.give_back(queue.owner)
                raise Busy(Sentence("Too many checks are running."), retry_after=5) from None
            self._running.add(queue)

    def remove(self, queue: _Queue) -> None:
        """Remove a queue that has ended."""
        with self._lock:
            self._running.discard(queue)
        self._slots.give_back(queue.owner)

    def stop(self) -> None:
        """Start no more checks, and return once every queue has ended."""
        self.stopped.set()
        with self._lock:
            queues = list(self._running)
        for queue in queues:
            queue.join()


class _Queue(threading.Thread):
    """Run checks in sequence. A daemon: the worker waits only for the checks themselves."""

    def __init__(self, app: Flask, caller: Caller, batch: Batch, base_url: str | None) -> None:
        super().__init__(name=f"batch of {caller.user_id}", daemon=True)
        self.owner = new_id()
        self._app, self._caller, self._batch, self._base_url = app, caller, batch, base_url
        self._skipped: list[str] = []  # removed in the meantime, or with an unreadable password
        self._is_mine = True
        self._beat = 0.0  # time of the last heartbeat
        self._queues = services(app).queues

    def run(self) -> None:
        """Process the queue, waiting when a limit requires it."""
        try:
            with self._app.app_context():
                self._work()
        except SQLAlchemyError as error:  # its row stays: the next page view takes it over
            log.error("%s ended early: %s", self.name, cause(error))
        finally:
            self._queues.remove(self)

    def _work(self) -> None:
        finished = False
        try:
            while self._goes_on():
                smtp_id = self._next()
                if smtp_id is None:
                    finished = True
                    break
                self._check(smtp_id)
        except SQLAlchemyError:
            raise
        except Exception:
            log.exception("%s ended by a bug of ours", self.name)
            finished = True  # after a takeover it would end in the same way
        if self._is_mine:
            self.leave(for_good=finished)

    def leave(self, *, for_good: bool) -> None:
        """Release the row; unless ``for_good``, another process may take it over immediately."""
        which = (CheckQueue.user_id == self._caller.user_id, CheckQueue.owner == self.owner)
        with writing() as session:
            if for_good:
                session.execute(delete(CheckQueue).where(*which))
            else:
                ended = {"alive_until": now(), "waits_until": None}
                session.execute(update(CheckQueue).where(*which).values(ended))

    def _next(self) -> str | None:
        rows = fetch(
            select(Smtp.id)
            .where(self._batch.holds(), _unchecked(self._batch), Smtp.id.not_in(self._skipped))
            .order_by(Smtp.priority, Smtp.created, Smtp.id)
            .limit(1)
        )
        return rows[0].id if rows else None

    def _check(self, smtp_id: str) -> None:
        """Start this check and wait until it ends, or until a limit may allow another attempt."""
        try:
            check_id = runner.start(self._caller, smtp_id, self._base_url)
        except (NotFound, SecretUnreadable):
            self._skipped.append(smtp_id)
        except (Busy, TooMany) as error:
            self._wait(error.retry_after)
        else:
            while self._goes_on() and self._is_under_way(check_id):
                self._queues.stopped.wait(_PACE)

    def _is_under_way(self, check_id: str) -> bool:
        rows = fetch(select(Check.finished, Check.ends_by).where(Check.id == check_id))
        return bool(rows) and service.is_under_way(rows[0])

    def _wait(self, seconds: float) -> None:
        waits_until = now() + timedelta(seconds=seconds)
        self._show_life(waits_until)
        while self._goes_on(waits_until) and (left := (waits_until - now()).total_seconds()) > 0:
            self._queues.stopped.wait(min(left, 1))
        self._show_life()

    def _goes_on(self, waits_until: datetime | None = None) -> bool:
        """Check that the worker is running, and that nobody stopped or took over this batch."""
        if self._queues.stopped.is_set() or self._queues.is_over():
            return False
        if time.monotonic() - self._beat > _BEAT:
            self._show_life(waits_until)
        return self._is_mine

    def _show_life(self, waits_until: datetime | None = None) -> None:
        with writing() as session:
            found = session.execute(
                update(CheckQueue)
                .where(CheckQueue.user_id == self._caller.user_id, CheckQueue.owner == self.owner)
                .values(alive_until=now() + ALIVE, waits_until=waits_until)
            )
        self._is_mine = cast(CursorResult[Any], found).rowcount > 0
        self._beat = time.monotonic()
