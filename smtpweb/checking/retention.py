"""Retention of checks and their history: delete old rows in small portions.

The newest check of each SMTP server is never deleted.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import delete, exists, select, tuple_
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import aliased

from ..config import settings
from ..database.models import Check, CheckDay, StatusChange
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


def prune_history() -> int:
    """Delete daily sums and changes of state older than ``SMTPWEB_KEEP_DAYS``, a portion of each.

    Return how many. The newest change of each server is kept, as the start of its current state.
    """
    days = settings().keep_days
    if not days:
        return 0
    before = now() - timedelta(days=days)
    newer = aliased(StatusChange)
    old_days = (
        select(CheckDay.smtp_id, CheckDay.day).where(CheckDay.day < before.date()).limit(PORTION)
    )
    old_changes = (
        select(StatusChange.id)
        .where(
            StatusChange.at < before,
            exists().where(newer.smtp_id == StatusChange.smtp_id, newer.at > StatusChange.at),
        )
        .limit(PORTION)
    )
    try:
        keys = [(row.smtp_id, row.day) for row in fetch(old_days)]
        ids = [row.id for row in fetch(old_changes)]
        if keys or ids:
            with writing() as session:
                session.execute(
                    delete(CheckDay).where(tuple_(CheckDay.smtp_id, CheckDay.day).in_(keys))
                )
                session.execute(delete(StatusChange).where(StatusChange.id.in_(ids)))
        return len(keys) + len(ids)
    except DBAPIError as error:
        log.warning("old history could not be removed: %s", cause(error))
        return 0
