"""Copy an SMTP server, and move it to another app of the same owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update

from .. import installation
from ..database.models import App, Smtp, StatusChange, new_id
from ..database.session import db, now, writing
from ..errors import BadInput, EditConflict, NotFound, Sentence
from ..validators import PRIORITIES
from . import acts, apps, checkability, connection, fields, grants, schedule, smtps, status
from .acts import Act
from .idempotency import Once, claim
from .status import Reason

# Kept beside the settings, see providers.credentials and grants
_NOTED = ("username_is_secret", "password_findings", "uses_oauth")


def copy(
    user_id: str, smtp_id: str, app_id: str, *, name: str | None = None, once: Once | None = None
) -> tuple[Smtp, str]:
    """Copy an SMTP server into an app, behind the others; return the copy and the id to undo it.

    ``name``: of the copy; by default the same. The password is sealed again, as it opens in its
    own row only; of a grant, see :func:`.grants.copy`. Raises :class:`NotFound`,
    :class:`QuotaReached`, :class:`SecretUnreadable`.
    """
    with writing() as session:
        app, original = _both(user_id, smtp_id, app_id)
        copy_id = new_id()
        if once is not None:
            first_id = claim(user_id, once, "smtps/copy", {"smtp": smtp_id, "app": app_id}, copy_id)
            if first_id != copy_id:
                return smtps.find(user_id, first_id), ""
        smtps.refuse_too_many(app)
        password = smtps.open_password(original)
        values = {
            field: getattr(original, field)
            for field in (*fields.SMTP, *_NOTED)
            if field not in ("password", "clientkey", "priority")
        }
        made = Smtp(id=copy_id, app_id=app.id, priority=_last(app.id, original), **values)
        made.name = name or original.name
        made.password_sealed = (
            None if password is None else installation.secret_box().seal(copy_id, password)
        )
        connection.copy_key(original, made)
        made.uncheckable = checkability.prevented_by(made, app.defaultfromemail)
        session.add(made)
        session.flush()
        grants.copy(original, made)
        schedule.plan(made, app, is_new=True)
        return made, acts.remember(
            user_id, Act.COPY, smtp=copy_id, version=made.version, app=original.app_id
        )


def move(user_id: str, smtp_id: str, app_id: str) -> tuple[Smtp, str]:
    """Move an SMTP server to another app, behind the others; return it and the id to undo it.

    Its password stays as it is sealed: it is still sent to the same server only. What its last
    check said does not apply any more, as test address and From may be others. Raises
    :class:`NotFound`, :class:`QuotaReached`, and :class:`BadInput` if it is in that app.
    """
    with writing():
        app, smtp = _both(user_id, smtp_id, app_id)
        if app.id == smtp.app_id:
            raise BadInput({"app": [Sentence("It is already in this app. Choose another.")]})
        smtps.refuse_too_many(app)
        before = {
            "app": smtp.app_id, "priority": smtp.priority, "judged": smtp.judged,
            "settings_version": smtp.settings_version,
        }  # fmt: skip
        priority = _last(app.id, smtp)
        _put(smtp, app, priority, user_id, None)
        return smtp, acts.remember(
            user_id, Act.MOVE, smtp=smtp.id, version=smtp.version, before=before
        )


def undo_copy(user_id: str, smtp_id: str, version: int) -> None:
    """Delete a copy, unless it was changed. Raises :class:`EditConflict`, :class:`NotFound`."""
    db.session.delete(_unchanged(user_id, smtp_id, version))


def undo_move(user_id: str, smtp_id: str, version: int, before: Mapping[str, Any]) -> Smtp:
    """Move an SMTP server back, unless it was changed, in the write that undoes the act.

    Raises :class:`EditConflict`, :class:`NotFound` and :class:`QuotaReached`.
    """
    app = apps.find_to_fill(user_id, before["app"])
    smtp = _unchanged(user_id, smtp_id, version)
    smtps.refuse_too_many(app)
    # The results of before apply again, unless a check in the other app came later
    _put(smtp, app, before["priority"], user_id, None if smtp.judged else before)
    return smtp


def _both(user_id: str, smtp_id: str, app_id: str) -> tuple[App, Smtp]:
    """Lock the app to fill and the SMTP server; they must have the same owner."""
    app = apps.find_to_fill(user_id, app_id)
    smtp = smtps.find_for_update(user_id, smtp_id)
    if app.user_id != smtp.app.user_id:
        raise NotFound("App")
    return app, smtp


def _put(
    smtp: Smtp, app: App, priority: int, user_id: str, before: Mapping[str, Any] | None
) -> None:
    """Put a server into an app, with its history; ``before``: which results apply there."""
    with status.changing(smtp, Reason.EDITED, by=user_id):
        smtp.app, smtp.priority, smtp.modified = app, priority, now()
        smtp.version += 1
        smtp.settings_version = before["settings_version"] if before else smtp.version
        smtp.judged = bool(before and before["judged"])
        smtp.degraded_since = None
        smtp.uncheckable = checkability.prevented_by(smtp, app.defaultfromemail)
    db.session.flush()
    db.session.execute(
        update(StatusChange).where(StatusChange.smtp_id == smtp.id).values(app_id=app.id),
        execution_options={"synchronize_session": False},
    )
    schedule.plan(smtp, app)


def _unchanged(user_id: str, smtp_id: str, version: int) -> Smtp:
    smtp = smtps.find_for_update(user_id, smtp_id)
    if smtp.version != version:
        raise EditConflict(Sentence("This SMTP server was changed since."))
    return smtp


def _last(app_id: str, smtp: Smtp) -> int:
    """Return the priority behind all others of the app; the server's own if there are none."""
    highest = db.session.scalar(select(func.max(Smtp.priority)).where(Smtp.app_id == app_id))
    return smtp.priority if highest is None else min(highest + 1, PRIORITIES[1])
