"""Maintenance tasks that any worker runs every minute; running them twice does no harm."""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import select, update

from ..checking import retention, tally, verdict
from ..database.models import Check, Smtp
from ..database.session import db, now, writing
from ..registry import switches
from . import incidents, schedule, workers

log = logging.getLogger(__name__)

_REMOVED = 100  # maximum portions of old checks, so that one run ends soon
_PASSED = timedelta(seconds=5)


def tidy() -> None:
    """Repair the schedule, end pauses, queue lost checks again, prune and compact."""
    schedule.reconcile()
    enable_in_time()
    queue_lost_checks_again()
    with writing():
        incidents.end()
        workers.forget()
    for _ in range(_REMOVED):
        if retention.prune() < retention.PORTION:
            break
    for _ in range(_REMOVED):
        if not retention.prune_history():
            break
    tally.compact()


def enable_in_time() -> None:
    """Enable the servers that were turned off until a time that has passed."""
    ids = db.session.scalars(
        select(Smtp.id).where(Smtp.off_until.is_not(None), Smtp.off_until <= now()).limit(1000)
    ).all()
    for smtp_id in ids:
        switches.end_of_pause(smtp_id)


def queue_lost_checks_again() -> None:
    """Queue bulk checks again whose worker has died; scheduled ones are due when leases end.

    The test email of such a check may already have been sent, and is then sent twice.
    """
    moment = now()
    lost = (Check.finished.is_(None), Check.queued.is_(None), Check.kind == verdict.BULK)
    busy = select(Check.smtp_id).where(Check.queued.is_not(None))
    with writing() as session:
        session.execute(
            update(Check)
            .where(*lost, Check.ends_by < moment - _PASSED, Check.smtp_id.not_in(busy))
            .values(queued=moment, progress=None),
            execution_options={"synchronize_session": False},
        )
