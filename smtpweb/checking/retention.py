"""Retention of checks: delete old ones in small portions, never a server's newest one."""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from ..config import settings
from ..database.models import Check
from ..database.session import cause, fetch, now, writing

log = logging.getLogger(__name__)

PORTION = 100  # checks; whoever finishes a check waits for at most this many deletions


def prune() -> int:
    """Delete checks older than ``SMTPWEB_KEEP_CHECKS`` days, at most ``PORTION``; return how many.

    The newest check of each server is kept regardless of age: it gives the state of the server.
    A database error here must not affect the check that has just ended.
    """
    days = settings().keep_checks
    if not days:
        return 0
    newer = aliased(Check)
    old = (
        select(Check.id)
        .where(
            Check.started < now() - timedelta(days=days),
            exists().where(newer.smtp_id == Check.smtp_id, newer.started > Check.started),
        )
        .order_by(Check.started)
        .limit(PORTION)
    )
    try:
        ids = [row.id for row in fetch(old)]  # usually none, so nobody waits for a write
        if ids:
            with writing() as session:
                session.execute(delete(Check).where(Check.id.in_(ids)))
        return len(ids)
    except DBAPIError as error:
        log.warning("old checks could not be removed: %s", cause(error))
        return 0
