"""Repair the times that a clock which was ahead has left in the future, once it is right again.

Otherwise whatever waits for them is silent as long as the clock was ahead: repeated alarms, weekly
reports, the release of limits. The schedule is repaired by :mod:`.schedule`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update

from ..database.models import (
    AlarmChannel,
    AlarmDelivery,
    AlarmEvent,
    AlarmSweep,
    Check,
    Due,
    FailedLogin,
    Incident,
    StartedWork,
    Worker,
)
from ..database.session import Base, now, writing
from ..registry import schedule as rule
from . import schedule
from .alarms import quiet_hours

_SKEW = timedelta(hours=1)  # by which the clocks of several machines may differ
# The furthest that each of these is ever set.
_ALARM = timedelta(days=1)
_REPORT = timedelta(days=7)
_EMAIL = rule.DAY * 1.1
_CHECK = timedelta(minutes=10)


def repair() -> None:
    """Bring all of them back, in one transaction, and the schedule in others."""
    schedule.bring_forward()
    moment = now()
    alarm, skewed = moment + _ALARM + _SKEW, moment + _SKEW
    interrupted = Check.finished.is_(None) & (Check.ends_by > skewed + _CHECK)
    changes: list[tuple[type[Base], Any, dict[str, Any]]] = [
        (AlarmSweep, AlarmSweep.next_at > skewed + _SKEW, {"next_at": moment}),
        (AlarmEvent, AlarmEvent.again_at > alarm, {"again_at": moment}),
        (AlarmDelivery, AlarmDelivery.due_at > alarm, {"due_at": moment}),
        (Due, Due.email_at > skewed + _EMAIL, {"email_at": rule.some_time(rule.DAY)}),
        (Incident, Incident.last_at > skewed, {"last_at": moment}),
        (Check, interrupted, {"ends_by": moment}),
    ]
    # What was counted then would lock users out, and a worker that died then would seem alive.
    counted: list[tuple[type[Base], Any]] = [
        (StartedWork, StartedWork.started > skewed),
        (FailedLogin, FailedLogin.at > skewed),
        (Worker, Worker.seen > skewed),
    ]
    with writing() as session:
        for table, is_wrong, values in changes:
            session.execute(
                update(table).where(is_wrong).values(values),
                execution_options={"synchronize_session": False},
            )
        for table, is_wrong in counted:
            session.execute(
                delete(table).where(is_wrong), execution_options={"synchronize_session": False}
            )
        for channel in session.scalars(
            select(AlarmChannel).where(AlarmChannel.weekly_at > skewed + _REPORT)
        ):
            channel.weekly_at = quiet_hours.next_report(moment, channel.timezone)
