"""Changes of an SMTP server's state: whatever changes one does it in here, and leaves a row.

``listeners`` are called with each row, in the transaction that writes it: alarms are rows, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from ..database.models import Check, Smtp, StatusChange, new_id
from ..database.session import db, now
from .states import smtp_state

MACHINE = "machine"  # who changed it, where nobody did

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
    TIME_OVER = "time over"  # it was off until now


@contextmanager
def changing(
    smtp: Smtp,
    reason: Reason,
    *,
    by: str = MACHINE,
    check: Check | None = None,
    note: str | None = None,
) -> Iterator[None]:
    """Change the columns of an SMTP server in the block: a row is written if its state changed.

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
