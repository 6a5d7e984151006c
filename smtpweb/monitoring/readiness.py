"""Readiness: whether the database, a worker and, if configured, Redis can be used."""

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
_SECONDS = 2  # for a response of Redis


def problems(parts: tuple[str, ...] = PARTS) -> list[str]:
    """Return the problems of these parts as sentences without host names; [] if there are none."""
    checks = {DATABASE: _database, WORKER: _worker, REDIS: _redis}
    sentences = []
    for part in parts:
        try:
            problem = checks[part]()
        except (DBAPIError, PoolTimeout) as error:
            # Messages of drivers can contain host names and paths, so they are only logged.
            log.error("not ready: %s", cause(error))
            problem = "The database cannot be reached."
        if problem and problem not in sentences:
            sentences.append(problem)
    return sentences


def _database() -> str | None:
    return installation.schema_problem()


def _worker() -> str | None:
    """Report a missing worker, unless none was ever started: checks by hand need none."""
    seen = fetch(select(func.max(Worker.seen)))[0][0]
    if seen is None or seen > now() - ALIVE:
        return None
    minutes = int((now() - seen).total_seconds() // 60)
    return f"No worker has been seen for {minutes} minutes: no scheduled check runs."


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
        return "Redis cannot be reached."
    return None
