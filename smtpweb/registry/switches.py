"""Turn SMTP servers off and on by hand, and pause the checks of an app.

A server that a person turned off stays off, whatever checks find, until a person enables it or
the given time has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from .. import validators
from ..database.models import App, MaintenanceWindow, Smtp
from ..database.session import db, now, writing
from ..errors import BadInput, EditConflict, NotFound, Sentence
from . import acts, apps, schedule, smtps, status
from .acts import Act
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


# --- undoably ------------------------------------------------------------------------------

_OF_SMTP = ("enabled", "off_since", "off_until", "off_by", "off_note")
_OF_APP = ("off_until", "off_by", "off_note")
_OF_WINDOW = ("id", "app_id", "smtp_id", "starts", "ends", "repeat", "by", "note", "created")
_TIMES = ("off_since", "off_until", "starts", "ends", "created")


def disable_undoably(
    user_id: str, smtp_id: str, *, until: datetime | None = None, note: str = ""
) -> tuple[Smtp, str]:
    """Like :func:`disable`; also return the id to undo it."""
    return _switch(user_id, smtp_id, lambda: disable(user_id, smtp_id, until=until, note=note))


def enable_undoably(user_id: str, smtp_id: str) -> tuple[Smtp, str]:
    """Like :func:`enable`; also return the id to undo it."""
    return _switch(user_id, smtp_id, lambda: enable(user_id, smtp_id))


def pause_undoably(user_id: str, app_id: str, *, until: datetime, note: str = "") -> str:
    """Like :func:`pause`; return the id to undo it."""
    return _hold(user_id, app_id, lambda: pause(user_id, app_id, until=until, note=note))


def resume_undoably(user_id: str, app_id: str) -> str:
    """Like :func:`resume`; return the id to undo it."""
    return _hold(user_id, app_id, lambda: resume(user_id, app_id))


def _switch(user_id: str, smtp_id: str, switch: Callable[[], Smtp]) -> tuple[Smtp, str]:
    with writing():
        before = _plain(smtps.find_for_update(user_id, smtp_id), _OF_SMTP)
        smtp = switch()
        after = _plain(smtp, _OF_SMTP)
        return smtp, acts.remember(user_id, Act.SWITCH, smtp=smtp_id, before=before, after=after)


def _hold(user_id: str, app_id: str, hold: Callable[[], App]) -> str:
    with writing():
        before = _plain(_app_for_update(user_id, app_id), _OF_APP)
        after = _plain(hold(), _OF_APP)
        return acts.remember(user_id, Act.PAUSE, app=app_id, before=before, after=after)


def remember_window(user_id: str, window: MaintenanceWindow) -> str:
    """Write down the removal of a maintenance window, in the transaction that removes it."""
    return acts.remember(user_id, Act.WINDOW, window=_plain(window, _OF_WINDOW))


def undo_switch(
    user_id: str, smtp_id: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Smtp:
    """Turn a server off or on as it was, in the write that undoes the act.

    Raises :class:`EditConflict` if a check or a person has switched it since, :class:`NotFound`.
    """
    smtp = smtps.find_for_update(user_id, smtp_id)
    _refuse_changed(smtp, after)
    reason = Reason.ENABLED if before["enabled"] else Reason.TURNED_OFF
    with status.changing(smtp, reason, by=user_id):
        _set(smtp, before)
    if smtp.off_since is None:
        schedule.plan(smtp, db.session.get_one(App, smtp.app_id))
    else:
        schedule.unplan(smtp)
    return smtp


def undo_hold(
    user_id: str, app_id: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> App:
    """Pause or resume an app as it was; like :func:`undo_switch`."""
    app = _app_for_update(user_id, app_id)
    _refuse_changed(app, after)
    _set(app, before)
    schedule.replan(app)
    return app


def undo_removal_of_window(user_id: str, window: Mapping[str, Any]) -> App:
    """Add a maintenance window again, in the write that undoes its removal; return its app."""
    made = MaintenanceWindow()
    _set(made, window)
    if made.smtp_id:
        app = smtps.find(user_id, made.smtp_id).app
    else:
        app = apps.find(user_id, made.app_id or "")
    db.session.add(made)
    return app


def _plain(row: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return these columns of a row as plain JSON values."""
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }


def _set(row: Any, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        is_time = name in _TIMES and value is not None
        setattr(row, name, datetime.fromisoformat(value) if is_time else value)


def _refuse_changed(row: Any, after: Mapping[str, Any]) -> None:
    if _plain(row, tuple(after)) != after:
        raise EditConflict(Sentence("It was switched on or off again since."))
