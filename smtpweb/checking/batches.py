"""Check many SMTPs of an app, one after the other, and tell from the rows how far that has come.

Nothing is remembered but the checks themselves: any worker can show how a batch stands. What a
worker left undone when it was stopped shows as not checked, and can be begun again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from flask import Flask, current_app
from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.exc import SQLAlchemyError

from ..accounts.tokens import Caller
from ..config import settings
from ..database.models import Check, Smtp
from ..database.session import AnyRow, cause, db, fetch, now
from ..errors import Busy, NotFound, SecretUnreadable, Sentence, TooMany
from ..mailcheck import Stage
from ..registry import apps
from . import limits, runner, service

log = logging.getLogger(__name__)

PATIENCE = 30  # seconds that a queue waits for room; without news for so long it has stopped
SHOWN = 500  # rows of a batch that are read for its page, and of each kind
_PACE = 0.3  # seconds between two looks at a check
_LONGEST = timedelta(minutes=6)  # no setting lets a check take so long


@dataclass(frozen=True)
class Batch:
    """SMTPs of an app, each to be checked once since a moment; no ids stand for all of them."""

    app_id: str
    since: datetime
    smtp_ids: tuple[str, ...] = ()

    def holds(self) -> ColumnElement[bool]:
        """The condition that an SMTP is one of them."""
        mine = Smtp.app_id == self.app_id
        return and_(mine, Smtp.id.in_(self.smtp_ids)) if self.smtp_ids else mine

    def counts(self) -> ColumnElement[bool]:
        """The condition that a check is one of the batch's, whoever began it."""
        return and_(
            Check.started > self.since - _LONGEST,  # so that the index on it is of use
            or_(
                Check.started >= self.since,
                Check.finished >= self.since,
                and_(Check.finished.is_(None), Check.ends_by > now()),
            ),
        )


# --- how it stands -------------------------------------------------------------------------


@dataclass(frozen=True)
class Standing:
    """How far a batch has come. ``rows``: the newest check of each SMTP that has one, in order.

    Rows are (smtp_id, host, port, id, started, finished, ends_by, accepted, stage, code, title).
    ``waiting``: (id, host, port) of SMTPs without one, at most ``SHOWN``. ``limited_for``: seconds
    until the user's share of checks allows one more, 0 if it does now.
    """

    total: int
    rows: Sequence[AnyRow]
    waiting: Sequence[AnyRow]
    going_on: bool
    limited_for: int

    @property
    def finished(self) -> int:
        """How many are not under way any more."""
        return sum(not service.is_under_way(row) for row in self.rows)

    @property
    def accepted(self) -> int:
        """How many were accepted."""
        return sum(bool(row.accepted) for row in self.rows)

    @property
    def without_result(self) -> int:
        """How many ended without one: they were refused by our own policy, or interrupted."""
        return sum(
            row.finished is None or row.stage == Stage.POLICY
            for row in self.rows
            if not row.accepted and not service.is_under_way(row)
        )

    @property
    def left(self) -> int:
        """How many have no check."""
        return self.total - len(self.rows)


def standing(user_id: str, batch: Batch, begun: datetime) -> Standing:
    """How far the batch has come, which was begun, or begun again, at ``begun``."""
    total = db.session.scalar(select(func.count()).select_from(Smtp).where(batch.holds())) or 0
    found = fetch(
        select(
            Check.smtp_id, Smtp.host, Smtp.port, Check.id, Check.started, Check.finished,
            Check.ends_by, Check.accepted, Check.stage, Check.code, Check.title, Check.arrived,
        )
        .join(Check.smtp)
        .where(batch.holds(), batch.counts())
        .order_by(Check.started, Check.id)
        .limit(SHOWN)
    )  # fmt: skip
    rows = list({row.smtp_id: row for row in found}.values())
    waiting = fetch(
        select(Smtp.id, Smtp.host, Smtp.port)
        .where(batch.holds(), _unchecked(batch))
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
        .limit(SHOWN)
    )
    under_way, limited_for = limits.used_share(user_id)
    moments = [begun, *(row.started for row in rows), *(row.finished for row in rows)]
    quiet = now() - max(moment for moment in moments if moment)
    going_on = any(map(service.is_under_way, rows)) or (
        len(rows) < total
        and not limited_for
        and (under_way > 0 or quiet < timedelta(seconds=PATIENCE))
    )
    return Standing(total, rows, waiting, going_on, limited_for)


def _unchecked(batch: Batch) -> ColumnElement[bool]:
    return ~select(Check.id).where(Check.smtp_id == Smtp.id, batch.counts()).exists()


# --- working it off ------------------------------------------------------------------------


def start(caller: Caller, batch: Batch, base_url: str | None = None) -> None:
    """Begin to check those of the batch that have no check yet, in the order of their use.

    Returns at once. Raises :class:`NotFound`, and :class:`Busy` where this user's SMTPs are being
    checked already, or too many other people's.
    """
    app_id = apps.find(caller.user_id, batch.app_id).id
    rows = fetch(
        select(Smtp.id)
        .where(Smtp.app_id == app_id, batch.holds(), _unchecked(batch))
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
        .limit(settings().checks_per_user or None)  # more are not allowed at once
    )
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    queue = _Queue(app, caller, batch, [row.id for row in rows], base_url)
    cast(Queues, app.extensions["smtpweb.queues"]).run(queue)


class Queues:
    """The queues of this worker: a few, and one of each user.

    ``most``: how many, each with a thread that mostly waits. ``is_over``: whether the worker was
    told to end. It waits for its checks, not for new ones.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._of: dict[str, _Queue] = {}
        self.stopped = threading.Event()
        self.is_over: Callable[[], bool] = lambda: not threading.main_thread().is_alive()

    def run(self, queue: _Queue) -> None:
        """Start it, unless there are too many; raises :class:`Busy`."""
        with self._lock:
            if queue.user_id in self._of:
                raise Busy(
                    Sentence("Several of your SMTPs are being checked: wait until that has ended."),
                    retry_after=PATIENCE,
                )
            if len(self._of) >= self._most:
                raise Busy(
                    Sentence("Too many checks are under way: nothing was changed."),
                    retry_after=PATIENCE,
                )
            try:
                queue.start()
            except RuntimeError:  # the system gives no more threads
                raise Busy(Sentence("Too many checks are under way."), retry_after=5) from None
            self._of[queue.user_id] = queue

    def remove(self, queue: _Queue) -> None:
        """It has ended."""
        with self._lock:
            self._of.pop(queue.user_id, None)

    def stop(self) -> None:
        """Begin no more checks, and return when no queue works any more."""
        self.stopped.set()
        with self._lock:
            queues = list(self._of.values())
        for queue in queues:
            queue.join()


class _Queue(threading.Thread):
    """Starts one check after the other. A daemon: each check itself is ended before its worker."""

    def __init__(
        self, app: Flask, caller: Caller, batch: Batch, smtp_ids: list[str], base_url: str | None
    ) -> None:
        super().__init__(name=f"batch of {caller.user_id}", daemon=True)
        self.user_id = caller.user_id
        self._app, self._caller, self._batch = app, caller, batch
        self._smtp_ids, self._base_url = smtp_ids, base_url
        self._queues = cast(Queues, app.extensions["smtpweb.queues"])

    def run(self) -> None:
        """Work it off, as far as that is allowed."""
        try:
            with self._app.app_context():
                for smtp_id in self._smtp_ids:
                    if not self._check(smtp_id):
                        break
        except SQLAlchemyError as error:
            log.error("%s ended early: %s", self.name, cause(error))
        except Exception:
            log.exception("%s ended by a bug of ours", self.name)
        finally:
            self._queues.remove(self)

    def _check(self, smtp_id: str) -> bool:
        """Check this one; False where there is no sense in going on to the next."""
        until = time.monotonic() + PATIENCE
        while self._may_go_on():
            if self._has_check(smtp_id):
                return True
            try:
                check_id = runner.start(self._caller, smtp_id, self._base_url)
            except (NotFound, SecretUnreadable):
                return True
            except (Busy, TooMany) as error:
                if error.retry_after > PATIENCE or time.monotonic() > until:
                    return False
                self._queues.stopped.wait(1)
                continue
            self._wait_for(check_id)
            return True
        return False

    def _has_check(self, smtp_id: str) -> bool:
        return bool(
            fetch(select(Check.id).where(Check.smtp_id == smtp_id, self._batch.counts()).limit(1))
        )

    def _wait_for(self, check_id: str) -> None:
        while self._may_go_on():
            rows = fetch(select(Check.finished, Check.ends_by).where(Check.id == check_id))
            if not rows or not service.is_under_way(rows[0]):
                return
            self._queues.stopped.wait(_PACE)

    def _may_go_on(self) -> bool:
        return not (self._queues.stopped.is_set() or self._queues.is_over())
