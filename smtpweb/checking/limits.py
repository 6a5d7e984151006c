"""Limit expensive work: slots of a worker, shares of a user.

Slots are counted in the memory of a worker, and are lost with it. Shares apply across all workers
and machines: they are counted in rows of ``started_work``, which users cannot remove. A running
one is a lease, so that a dead worker locks nobody out. All limits are settings.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings, settings
from ..database.models import StartedWork, User, new_id
from ..database.session import cause, db, now, writing
from ..errors import Busy, Sentence, TooMany
from ..extensions import services

log = logging.getLogger(__name__)
T = TypeVar("T")

CHECK, SEARCH, ELSEWHERE, TOKEN = "check", "search", "elsewhere", "token"
ELSEWHERE_AT_MOST = 5  # emails to other addresses within ``SMTPWEB_CHECKS_MINUTES``
SEARCH_LEASE = timedelta(seconds=30)  # a search takes at most 13 s, see discovery.find
DNS_SLOTS = 4
_TOKENS_AT_ONCE = 4  # of a user in a worker: each may wait for its server for ten seconds
_MOST_KEYS = 10_000  # networks or users whose explanations are counted
_NEXT_LOOK = 5  # seconds after which a running one may have ended

_UNDER_WAY = {
    CHECK: Sentence("You already have %(number)s checks running. Wait until one of them is done."),
    SEARCH: Sentence(
        "You already have %(number)s searches running. Wait until one of them is done."
    ),
    ELSEWHERE: Sentence(
        "You already have %(number)s checks running. Wait until one of them is done."
    ),
}
_STARTED = {
    CHECK: Sentence("You can run at most %(number)s checks in %(minutes)s minutes."),
    SEARCH: Sentence("You can run at most %(number)s searches in %(minutes)s minutes."),
    ELSEWHERE: Sentence(
        "You can send at most %(number)s emails to other addresses in %(minutes)s minutes."
    ),
    TOKEN: Sentence(
        "At most %(number)s requests for access tokens are sent for you in %(minutes)s minutes."
    ),
}


# --- slots of a worker ---------------------------------------------------------------------


class Slots:
    """Limits on concurrent uses: in this process, and per user (0: no limit per user)."""

    def __init__(self, total: int, per_user: int = 0) -> None:
        self._total, self._per_user = total, per_user
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        """The number of slots in use."""
        return self._taken.total()

    def take(self, user_id: str) -> str:
        """Take a slot; return "", else whose slots are all in use: "user" or "worker"."""
        with self._lock:
            if self._per_user and self._taken[user_id] >= self._per_user:
                return "user"
            if self._taken.total() >= self._total:
                return "worker"
            self._taken[user_id] += 1
            return ""

    def give_back(self, user_id: str) -> None:
        """Release a slot."""
        with self._lock:
            self._taken[user_id] -= 1
            self._taken += Counter()  # removes entries that are zero


class Pool:
    """A fixed number of threads, and of callers that may wait for one; further ones are refused."""

    def __init__(self, slots: int, queue: int) -> None:
        self.slots, self.queue = slots, queue
        # Its threads start with the first task, which is after gunicorn's fork.
        self._threads = ThreadPoolExecutor(slots, "pool")
        self._places = threading.BoundedSemaphore(slots + queue)

    def run(self, work: Callable[[], T], refusal: TooMany) -> T:
        """Run ``work`` and return its result; raise ``refusal`` if the queue is full."""
        if not self._places.acquire(blocking=False):
            raise refusal
        try:
            return self._threads.submit(work).result()
        finally:
            self._places.release()

    @property
    def is_full(self) -> bool:
        """Whether the next caller would be refused."""
        if self._places.acquire(blocking=False):
            self._places.release()
            return False
        return True


class Allowance:
    """A maximum number of texts per time window for each network or user, in this process."""

    def __init__(self, most: int, seconds: int) -> None:
        self._most, self._seconds = most, seconds
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Count one more; raise :class:`TooMany`."""
        now = time.monotonic()
        with self._lock:
            taken = self._taken.pop(key, None) or deque()
            while taken and taken[0] <= now - self._seconds:
                taken.popleft()
            self._taken[key] = taken  # move to the end: the most recent
            if len(self._taken) > _MOST_KEYS:
                self._taken.popitem(last=False)
            if len(taken) >= self._most:
                raise TooMany(
                    Sentence(
                        "At most %(number)s texts are explained in %(minutes)s minutes.",
                        number=self._most,
                        minutes=self._seconds // 60,
                    ),
                    retry_after=int((taken[0] if taken else now) + self._seconds - now) + 1,
                )
            taken.append(now)


@dataclass(frozen=True)
class WorkerLimits:
    """The limits on concurrent work in this worker."""

    checks: threading.BoundedSemaphore
    tokens: Slots
    streams: Slots
    hashing: Pool
    explanations: Allowance
    dns: threading.BoundedSemaphore

    @classmethod
    def of(cls, config: Settings) -> WorkerLimits:
        """Create the limits from the settings."""
        return cls(
            threading.BoundedSemaphore(config.check_slots),
            Slots(config.check_slots, min(_TOKENS_AT_ONCE, config.check_slots)),
            Slots(config.stream_slots, config.streams_per_user),
            Pool(config.hash_slots, config.hash_queue),
            Allowance(config.explanations, config.explanations_minutes * 60),
            threading.BoundedSemaphore(DNS_SLOTS),
        )


def of_worker() -> WorkerLimits:
    """Return the limits of the worker that serves the current application."""
    return services().limits


def take_dns_slot() -> threading.BoundedSemaphore:
    """Take a slot for looking up many records at once; raise :class:`Busy`."""
    slots = of_worker().dns
    if not slots.acquire(blocking=False):
        raise Busy(Sentence("Too many DNS records are being looked up."), retry_after=5)
    return slots


def take_slot() -> threading.BoundedSemaphore:
    """Take one of the worker's slots, to be released after the check; raise :class:`Busy`."""
    slots = of_worker().checks
    if not slots.acquire(blocking=False):
        raise Busy(Sentence("Too many checks are running. Nothing was changed."), retry_after=5)
    return slots


# --- the share of a user -------------------------------------------------------------------


def wait(user_id: str, kind: str = CHECK) -> int:
    """Return the seconds until this user may start one more; 0: now."""
    return _usage(user_id, kind).wait


def room(user_id: str, kind: str = CHECK) -> int:
    """Return how many more queued checks of this user may start now.

    One of those at once is kept free: a check by hand must not wait for queued ones.
    """
    config = settings()
    usage = _usage(user_id, kind)
    least = [1000]
    if config.checks_at_once:
        least.append(max(1, config.checks_at_once - 1) - usage.under_way)
    if config.checks_per_user:
        opened = now() - _window(config, kind)
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
    """Count one more, which ends at ``until`` at the latest; raise :class:`TooMany`.

    Part of the caller's write transaction: if the work is not started, it is not counted either.
    """
    config, moment = settings(), now()
    # On PostgreSQL the row lock serialises the work that one user starts at the same moment.
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update())
    usage = _usage(user_id, kind)
    if config.checks_at_once and usage.under_way >= config.checks_at_once:
        raise TooMany(Sentence(_UNDER_WAY[kind], number=usage.under_way), _NEXT_LOOK)
    if usage.wait:
        numbers = {"number": _most(kind), "minutes": config.checks_minutes}
        raise TooMany(Sentence(_STARTED[kind], **numbers), usage.wait)
    if usage.outdated:
        db.session.execute(
            delete(StartedWork)
            .where(*_outdated(user_id, moment - _longest_window(config), moment))
            .execution_options(synchronize_session=False)
        )
    # Written at once, whether or not the session flushes before it counts again
    db.session.execute(
        insert(StartedWork).values(
            id=work_id, user_id=user_id, kind=kind, started=moment, until=until
        )
    )


@dataclass(frozen=True)
class _Usage:
    under_way: int
    wait: int  # seconds
    outdated: int  # rows of any kind that no longer count


def _usage(user_id: str, kind: str) -> _Usage:
    config, moment = settings(), now()
    opened = moment - _window(config, kind)
    mine = StartedWork.user_id == user_id, StartedWork.kind == kind
    under_way = select(func.count()).where(*mine, StartedWork.until > moment)
    outdated = select(func.count()).where(
        *_outdated(user_id, moment - _longest_window(config), moment)
    )
    # The one that must leave the window before another may start
    blocking = (
        select(StartedWork.started)
        .where(*mine, StartedWork.started > opened)
        .order_by(StartedWork.started.desc())
        .offset(max(0, _most(kind) - 1))
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
    """Record that this has ended, so that another may run. It still counts as started."""
    db.session.execute(
        update(StartedWork)
        .where(StartedWork.id == work_id, StartedWork.until > now())
        .values(until=now())
        .execution_options(synchronize_session=False)
    )


@contextmanager
def search(user_id: str) -> Iterator[None]:
    """Count a search that runs in the block; raise :class:`TooMany`, :class:`Busy`."""
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
            except SQLAlchemyError as error:  # its lease expires soon
                log.warning("search %s: its end was not noted: %s", work_id, cause(error))
    finally:
        slots.release()


@contextmanager
def token_requests(user_id: str) -> Iterator[Callable[[], None]]:
    """Allow requests to authorization servers in the block; raise :class:`TooMany`, :class:`Busy`.

    Yields what counts one: to be called in a write transaction before each request that is really
    sent. It raises :class:`TooMany`, too.
    """
    slots = of_worker().tokens
    if taken := slots.take(user_id):
        message = Sentence("Too many access tokens are being requested. Nothing was changed.")
        raise TooMany(message, _NEXT_LOOK) if taken == "user" else Busy(message, _NEXT_LOOK)

    def count() -> None:
        take_share(user_id, TOKEN, new_id(), now())

    try:
        yield count
    finally:
        slots.give_back(user_id)


def _window(config: Settings, kind: str) -> timedelta:
    """Return the period in which a user's work is counted; zero if its number has no limit."""
    limited = config.tokens_per_user if kind == TOKEN else config.checks_per_user
    return timedelta(minutes=config.checks_minutes if limited else 0)


def _longest_window(config: Settings) -> timedelta:
    """Return the period after which no kind of work is counted any more."""
    return max(_window(config, CHECK), _window(config, TOKEN))


def _most(kind: str) -> int:
    """Return how much of this kind a user may start within the window."""
    config = settings()
    if kind == TOKEN:
        return config.tokens_per_user
    most = config.checks_per_user
    return min(most, ELSEWHERE_AT_MOST) if kind == ELSEWHERE else most
