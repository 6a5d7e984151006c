"""How long checks and their history are kept: old ones go, a few at a time.

The newest check of each SMTP server never goes.
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

PORTION = 100  # checks; whoever finishes one waits for as many to go


def prune() -> int:
    """Remove checks older than ``SMTPWEB_KEEP_CHECKS`` days, at most a portion; returns how many.

    The newest check of each server stays, however old: it says how the server stands. A storage
    that cannot do it now is no fault of the check that has just ended.
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
        ids = [row.id for row in fetch(old)]  # mostly none: then nobody waits for a write
        if ids:
            with writing() as session:
                session.execute(delete(Check).where(Check.id.in_(ids)))
        return len(ids)
    except DBAPIError as error:
        log.warning("old checks could not be removed: %s", cause(error))
        return 0


def prune_history() -> int:
    """Remove sums of days and changes of state older than ``SMTPWEB_KEEP_DAYS``, a portion of each.

    The newest change of each server stays: it says since when its state is what it is.
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
