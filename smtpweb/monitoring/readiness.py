"""Whether what smtpweb needs is there: the database, a worker, Redis where it is configured."""

from __future__ import annotations

import logging

import redis
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from .. import installation
from ..config import settings
from ..database.models import Worker
from ..database.session import cause, fetch, now
from .metrics import ALIVE

log = logging.getLogger(__name__)

DATABASE, WORKER, REDIS = "database", "worker", "redis"
PARTS = (DATABASE, WORKER, REDIS)
_SECONDS = 2  # that Redis may take


def problems(parts: tuple[str, ...] = PARTS) -> list[str]:
    """What is missing, each in a sentence that names no place; empty where all is there."""
    checks = {DATABASE: _database, WORKER: _worker, REDIS: _redis}
    found = []
    for part in parts:
        try:
            problem = checks[part]()
        except (DBAPIError, PoolTimeout) as error:
            # What a driver says can hold host names and paths: it goes to the log only.
            log.error("not ready: %s", cause(error))
            problem = "The storage cannot be reached at this moment."
        if problem and problem not in found:
            found.append(problem)
    return found


def _database() -> str | None:
    return installation.schema_problem()


def _worker() -> str | None:
    """A worker that was never there is not missed: checks by hand need none."""
    seen = fetch(select(func.max(Worker.seen)))[0][0]
    if seen is None or seen > now() - ALIVE:
        return None
    minutes = int((now() - seen).total_seconds() // 60)
    return f"No worker has been seen for {minutes} minutes: no scheduled check is made."


def _redis() -> str | None:
    url = settings().redis_url
    if url is None:
        return None
    options = {"socket_timeout": _SECONDS, "socket_connect_timeout": _SECONDS}
    try:
        with redis.Redis.from_url(url, **options) as client:
            client.ping()
    except (redis.RedisError, OSError) as error:
        log.error("not ready: Redis: %s", type(error).__name__)
        return "Redis cannot be reached at this moment."
    return None
