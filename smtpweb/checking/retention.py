"""How long checks are kept: old ones go, a few at a time, the newest of each SMTP server never."""

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
