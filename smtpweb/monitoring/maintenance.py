"""Maintenance windows: times during which no check is scheduled."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from .. import validators
from ..database.models import MaintenanceWindow, Smtp
from ..database.session import db, now, writing
from ..errors import BadInput, NotFound, Sentence
from ..registry import apps, smtps

REPEATS = ("once", "daily", "weekly")
LONGEST = timedelta(days=7)
_PERIOD = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}


def ends(window: MaintenanceWindow, moment: datetime) -> datetime | None:
    """Return the end of the window if it is open at this moment, otherwise None."""
    starts, over = window.starts, window.ends
    period = _PERIOD.get(window.repeat)
    if period is not None and moment >= starts:
        passed = (moment - starts) // period
        starts, over = starts + passed * period, over + passed * period
    return over if starts <= moment < over else None


def windows_of(smtps_or_apps: Iterable[str]) -> list[MaintenanceWindow]:
    """Return all windows of these servers and apps, given by their ids."""
    ids = list(smtps_or_apps)
    return list(
        db.session.scalars(
            select(MaintenanceWindow)
            .where(or_(MaintenanceWindow.smtp_id.in_(ids), MaintenanceWindow.app_id.in_(ids)))
            .order_by(MaintenanceWindow.starts, MaintenanceWindow.id)
        )
    )


def closed_until(
    smtp: Smtp, windows: Iterable[MaintenanceWindow], moment: datetime
) -> datetime | None:
    """Return until when no check of this server is scheduled; None if there is no such time."""
    untils = [
        until
        for window in windows
        if smtp.id == window.smtp_id or smtp.app_id == window.app_id
        if (until := ends(window, moment)) is not None
    ]
    if smtp.app.off_until is not None and smtp.app.off_until > moment:
        untils.append(smtp.app.off_until)
    return max(untils, default=None)


def add(
    user_id: str,
    *,
    app_id: str | None = None,
    smtp_id: str | None = None,
    starts: datetime,
    ends: datetime,
    repeat: str = "once",
    note: str = "",
) -> MaintenanceWindow:
    """Add a window to an app or a server; raise :class:`NotFound` or :class:`BadInput`."""
    errors: dict[str, list[str]] = {}
    if repeat not in REPEATS:
        errors["repeat"] = [Sentence("Must be once, daily or weekly.")]
    most = min(_PERIOD.get(repeat, LONGEST), LONGEST)
    if ends <= starts:
        errors["ends"] = [Sentence("Must be after the start.")]
    elif ends - starts > most:
        errors["ends"] = [Sentence("A window can last at most %(days)s days.", days=most.days)]
    elif repeat == "once" and ends <= now():
        errors["ends"] = [Sentence("Must not be in the past.")]
    if errors:
        raise BadInput(errors)
    accepted = validators.accept(note=(validators.note, note))
    with writing() as session:
        if smtp_id is not None:
            smtp_id = smtps.find_for_update(user_id, smtp_id).id
        else:
            app_id = apps.find_to_fill(user_id, app_id or "").id
        window = MaintenanceWindow(
            app_id=None if smtp_id else app_id,
            smtp_id=smtp_id,
            starts=starts,
            ends=ends,
            repeat=repeat,
            by=user_id,
            note=accepted["note"],
        )
        session.add(window)
        return window


def remove(user_id: str, window_id: str) -> MaintenanceWindow:
    """Remove a window of one of the user's apps; raise :class:`NotFound`."""
    with writing() as session:
        window = session.get(MaintenanceWindow, window_id)
        if window is None:
            raise NotFound("Window")
        try:
            if window.smtp_id:
                smtps.find(user_id, window.smtp_id)
            else:
                apps.find(user_id, window.app_id or "")
        except NotFound:
            raise NotFound("Window") from None
        session.delete(window)
        return window
