"""The worker process: Huey runs the jobs, and the database stores what is due.

Jobs carry no data and claim their work with leases, so a job that is lost or delivered twice does
no harm: the next tick creates another one.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from types import FrameType
from typing import Any

import redis
from flask import Flask
from huey import Huey, RedisHuey, SqliteHuey
from huey.consumer import Consumer, Scheduler
from huey.serializer import SignedSerializer
from sqlalchemy.exc import SQLAlchemyError

from ..config import Settings
from ..database.models import new_id
from ..database.session import cause, db, make_private, now
from . import alarms, claims, clock, housekeeping, schedule, workers
from .carrier import Carrier

log = logging.getLogger(__name__)

NAME = "smtpweb"
TICK = 1  # seconds between two queries for due checks
TIDY_EVERY = 60.0  # seconds
THREADS = 4  # one for checks, one for alarms, the others for short jobs
END_WITHIN = 28  # seconds after SIGTERM
_REDIS_WAITS = 10  # seconds for a response
_CLOCK_JUMP = 120.0  # seconds by which wall clock and monotonic clock may drift apart


def make_huey(settings: Settings) -> Huey:
    """Create the engine, stored in Redis if configured, otherwise in an SQLite file."""
    serializer = SignedSerializer(secret=settings.secret_key, salt="smtpweb jobs")
    options: dict[str, Any] = {"results": False, "serializer": serializer}
    if settings.redis_url:
        pool = redis.ConnectionPool.from_url(
            settings.redis_url,
            socket_timeout=_REDIS_WAITS,
            socket_connect_timeout=_REDIS_WAITS,
            health_check_interval=30,
        )
        return RedisHuey(NAME, connection_pool=pool, **options)
    settings.queue_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    make_private(settings.queue_file)
    return SqliteHuey(NAME, filename=str(settings.queue_file), **options)


class _RedisErrors(logging.Filter):
    """Reduces Huey's traceback for each attempt to use Redis to a line a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._not_before = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Edit or drop the record of an error of Redis; leave others."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, redis.RedisError):
            return True
        if time.monotonic() < self._not_before:
            return False
        self._not_before = time.monotonic() + TIDY_EVERY
        record.msg, record.args = "Redis is unavailable: %s", (type(error).__name__,)
        record.exc_info = None
        return True


_redis_errors = _RedisErrors()
for _name in ("huey", "huey.consumer", "huey.consumer.Worker", "huey.consumer.Scheduler"):
    logging.getLogger(_name).addFilter(_redis_errors)


def every(seconds: float) -> Callable[[datetime], bool]:
    """Return a rule for Huey's periodic tasks: true at first, then again every so many seconds."""
    last = [0.0]

    def is_time(_moment: datetime) -> bool:
        if last[0] and time.monotonic() - last[0] < seconds:
            return False
        last[0] = time.monotonic()
        return True

    return is_time


class WorkerProcess:
    """A worker: its jobs, its heartbeat and its shutdown."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self.app = app
        self.huey = make_huey(settings)
        self.worker_id = new_id()
        self._carrying, self._delivering = threading.Lock(), threading.Lock()
        self._consumer: _Consumer | None = None
        self._catching_up = threading.Lock()
        self._caught_up_at: float | None = None  # by the monotonic clock
        self._clock = time.time() - time.monotonic()
        self._add_jobs()

    def _add_jobs(self) -> None:
        huey = self.huey

        @huey.task(name="carry")  # type: ignore[untyped-decorator]
        def carry() -> None:
            self.carry()

        @huey.periodic_task(every(TICK), name="tick")  # type: ignore[untyped-decorator]
        def tick() -> None:
            if self._inside(claims.is_anything_due) and huey.pending_count() < THREADS:
                carry()

        @huey.periodic_task(every(TICK), name="deliver")  # type: ignore[untyped-decorator]
        def deliver() -> None:
            self.deliver_alarms()

        @huey.periodic_task(every(TIDY_EVERY), name="tidy")  # type: ignore[untyped-decorator]
        def tidy() -> None:
            self._inside(housekeeping.tidy)

    def run(self) -> None:
        """Run jobs until SIGTERM; then end within 30 seconds."""
        self._inside(clock.repair)  # the clock may have been wrong before the start
        self._inside(self.beat)
        self._consumer = _Consumer(
            self.huey,
            workers=THREADS,
            scheduler_interval=TICK,
            initial_delay=0.1,
            max_delay=1.0,
            graceful_signal="TERM",
            shutdown_timeout=END_WITHIN,
        )
        ended = threading.Event()
        heart = threading.Thread(target=self._beat, args=(ended,), name="heartbeat", daemon=True)
        heart.start()
        try:
            self._consumer.run()
        finally:
            ended.set()
            self._inside(lambda: workers.leave(self.worker_id))

    def carry(self) -> int:
        """Run due checks, unless this process is already doing so; return how many."""
        if not self._carrying.acquire(blocking=False):
            return 0
        try:
            return Carrier(self.app, self.worker_id, self.is_over, may_claim=self.may_claim).run()
        finally:
            self._carrying.release()

    def deliver_alarms(self) -> int:
        """Deliver due alarms, unless this process is already doing so; return how many."""
        if not self._delivering.acquire(blocking=False):
            return 0
        try:
            return self._inside(lambda: alarms.deliver_due(is_over=self.is_over)) or 0
        finally:
            self._delivering.release()

    def is_over(self) -> bool:
        """Check if this process is shutting down."""
        return self._consumer is not None and self._consumer.stop_flag.is_set()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(workers.BEAT):
            self._inside(self.beat)

    def beat(self) -> None:
        """Store a heartbeat, after spreading what nobody could check in the meantime.

        The database may have been unavailable when this process started, or for days since.
        """
        with self._catching_up:
            self._watch_clock()
            seen = workers.last_seen()
            if seen is not None and seen < now() - schedule.NOBODY_WORKED:
                schedule.spread_backlog()
            workers.beat(self.worker_id)
            self._caught_up_at = time.monotonic()

    def may_claim(self) -> bool:
        """Check if the schedule can be relied on; repair it after a jump of the clock.

        Without this, the first checks after an outage would run before the backlog is spread.
        """
        with self._catching_up:
            self._watch_clock()
            if self._caught_up_at is None:
                return False
            idle = time.monotonic() - self._caught_up_at
            return idle < schedule.NOBODY_WORKED.total_seconds()

    def _watch_clock(self) -> None:
        """Spread the schedule after the clock has jumped ahead; repair it after a jump back."""
        offset = time.time() - time.monotonic()
        jump = offset - self._clock
        if abs(jump) > _CLOCK_JUMP:
            log.warning("the clock has jumped by %s", timedelta(seconds=round(jump)))
            if jump > 0:
                schedule.spread_backlog()
            else:
                clock.repair()
        self._clock = offset  # not before: the database may have been unavailable

    def _inside(self, operation: Callable[[], Any]) -> Any:
        """Call in the app context; log and return None if the database is unavailable."""
        with self.app.app_context():
            try:
                return operation()
            except SQLAlchemyError as error:
                log.warning("the database is unavailable: %s", cause(error))
                return None
            finally:
                db.session.remove()


def end_with_parent() -> None:
    """End this process when its parent has died, for example by kill -9."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


class _Scheduler(Scheduler):  # type: ignore[misc]
    periodic_task_seconds = TICK


class _Consumer(Consumer):  # type: ignore[misc]
    scheduler_class = _Scheduler

    def _handle_signal(self, _signum: int, frame: FrameType | None) -> None:
        """Shut down gracefully after Ctrl-C, too, which all processes of a terminal receive."""
        super()._handle_signal(signal.SIGTERM, frame)
        # A supervisor may signal the process and its group: a second signal must not abort.
        signal.signal(signal.SIGTERM, self._handle_signal)
