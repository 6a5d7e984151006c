"""Changes of an SMTP server's state: every change is made in here and recorded.

``listeners`` are called with each new row in its transaction, so that alarms are part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from ..database.models import Check, Smtp, StatusChange, new_id
from ..database.session import db, now
from .states import smtp_state

MACHINE = "machine"  # in place of a user's id

listeners: list[Callable[[StatusChange], None]] = []


class Reason(StrEnum):
    """Why a state changed."""

    CHECK_ACCEPTED = "check accepted"
    CHECK_FAILED = "check failed"
    FAILED_TEMPORARILY = "failed temporarily"
    CANNOT_BE_CHECKED = "cannot be checked"
    EDITED = "edited"
    TURNED_OFF = "turned off"
    ENABLED = "enabled"
    TIME_OVER = "time over"  # the end of a pause


@contextmanager
def changing(
    smtp: Smtp,
    reason: Reason,
    *,
    by: str = MACHINE,
    check: Check | None = None,
    note: str | None = None,
) -> Iterator[None]:
    """Record a change of state, if any, that the block makes to an SMTP server.

    ``by``: a user's id, or :data:`MACHINE`. Part of the caller's write transaction.
    """
    before = smtp_state(smtp)
    yield
    after = smtp_state(smtp)
    if after is before:
        return
    change = StatusChange(
        id=new_id(),
        smtp_id=smtp.id,
        app_id=smtp.app_id,
        at=now(),
        before=before.value,
        after=after.value,
        by=by,
        reason=reason.value,
        check_id=check.id if check else None,
        cause=check.code if check else smtp.uncheckable,
        note=note,
    )
    db.session.add(change)
    for listener in listeners:
        listener(change)
