"""Turn SMTP servers off and on by hand, and pause the checks of an app.

A server that a person turned off stays off, whatever checks find, until a person enables it or
the given time has passed.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from .. import validators
from ..database.models import App, Smtp
from ..database.session import db, now, writing
from ..errors import BadInput, NotFound, Sentence
from . import apps, schedule, smtps, status
from .status import Reason


def disable(user_id: str, smtp_id: str, *, until: datetime | None = None, note: str = "") -> Smtp:
    """Turn an SMTP server off, until further notice or ``until`` a time.

    Raises :class:`NotFound`, and :class:`BadInput` for a time in the past.
    """
    _refuse_past(until)
    accepted = validators.accept(note=(validators.note, note))
    with writing():
        smtp = smtps.find_for_update(user_id, smtp_id)
        with status.changing(smtp, Reason.TURNED_OFF, by=user_id, note=accepted["note"] or None):
            smtp.off_since = smtp.off_since or now()
            smtp.off_until, smtp.off_by = until, user_id
            smtp.off_note = accepted["note"] or None
            smtp.enabled = False
        schedule.unplan(smtp)
        return smtp


def enable(user_id: str, smtp_id: str) -> Smtp:
    """Enable an SMTP server, whoever disabled it, and check it soon; raise :class:`NotFound`."""
    with writing():
        smtp = smtps.find_for_update(user_id, smtp_id)
        _enable(smtp, Reason.ENABLED, user_id)
        return smtp


def end_of_pause(smtp_id: str) -> None:
    """Enable an SMTP server that was turned off until a time that has passed."""
    with writing() as session:
        smtp = session.scalar(
            select(Smtp).where(Smtp.id == smtp_id).with_for_update(),
            execution_options={"populate_existing": True},
        )
        if smtp is not None and smtp.off_until is not None and smtp.off_until <= now():
            _enable(smtp, Reason.TIME_OVER, status.MACHINE)


def _enable(smtp: Smtp, reason: Reason, by: str) -> None:
    app = db.session.get_one(App, smtp.app_id)
    with status.changing(smtp, reason, by=by):
        smtp.off_since = smtp.off_until = smtp.off_by = smtp.off_note = None
        smtp.enabled = True
    schedule.plan(smtp, app)


def pause(user_id: str, app_id: str, *, until: datetime, note: str = "") -> App:
    """Pause the scheduled checks of an app's servers; raise as :func:`disable` does."""
    _refuse_past(until)
    accepted = validators.accept(note=(validators.note, note))
    with writing():
        app = _app_for_update(user_id, app_id)
        app.off_until, app.off_by, app.off_note = until, user_id, accepted["note"] or None
        return app


def resume(user_id: str, app_id: str) -> App:
    """End the pause of an app, and spread the checks of its servers over its interval."""
    with writing():
        app = _app_for_update(user_id, app_id)
        app.off_until = app.off_by = app.off_note = None
        schedule.replan(app)
        return app


def _app_for_update(user_id: str, app_id: str) -> App:
    app: App | None = db.session.scalar(
        apps.owned(user_id, app_id).with_for_update(),
        execution_options={"populate_existing": True},
    )
    if app is None:
        raise NotFound("App")
    return app


def _refuse_past(until: datetime | None) -> None:
    if until is not None and until <= now():
        raise BadInput({"until": [Sentence("Must be a time in the future.")]})
