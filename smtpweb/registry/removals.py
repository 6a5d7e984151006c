"""Delete apps and SMTP servers so that it can be undone for ten minutes.

A deleted app stays with all that belongs to it, sealed as it was, but marked: no user sees it, see
``accounts.ownership``. An SMTP server that is deleted alone moves into such an app of its own.
"""

from __future__ import annotations

from sqlalchemy import Select, delete, select, update

from ..accounts.ownership import apps_of_owner, removed_apps
from ..database.models import App, Check, Due, Smtp, User, new_id
from ..database.session import db, now, writing
from ..errors import NotFound
from . import acts, apps, fields, names, schedule, smtps
from .acts import Act


def remove_smtp(user_id: str, smtp_id: str) -> str:
    """Delete an SMTP server; return the id to undo it. Raises :class:`NotFound`."""
    with writing() as session:
        smtp = smtps.find_for_update(user_id, smtp_id)
        app = smtp.app
        holder_id = new_id()
        holder = App(
            id=holder_id, user_id=app.user_id, name=_unused(holder_id), testemail=app.testemail,
            removed=now(), **fields.defaults(fields.APP) | {"checkevery": 0},
        )  # fmt: skip
        session.add(holder)
        session.flush()
        smtp.app = holder
        _rest(select(Smtp.id).where(Smtp.id == smtp.id))
        return acts.remember(
            user_id, Act.DELETE_SMTP, smtp=smtp.id, holder=holder_id, app=app.id,
            name=names.shown(smtp),
        )  # fmt: skip


def remove_app(user_id: str, app_id: str) -> str:
    """Delete an app with its SMTP servers; return the id to undo it. Raises :class:`NotFound`."""
    with writing():
        app = apps.find_for_update(user_id, app_id)
        name = app.name
        app.removed, app.name = now(), _unused(app.id)
        _rest(select(Smtp.id).where(Smtp.app_id == app.id))
        return acts.remember(user_id, Act.DELETE_APP, app=app.id, name=name)


def restore_smtp(user_id: str, smtp_id: str, holder_id: str, app_id: str) -> Smtp:
    """Put an SMTP server back into its app, in the write that undoes its deletion.

    Raises :class:`NotFound` if the app is gone, and :class:`QuotaReached`.
    """
    app = apps.find_to_fill(user_id, app_id)
    holder = _removed(user_id, holder_id)
    smtp = db.session.scalar(
        select(Smtp).where(Smtp.id == smtp_id, Smtp.app_id == holder.id).with_for_update()
    )
    if smtp is None:
        raise NotFound("SMTP")
    smtps.refuse_too_many(app)
    smtp.app = app
    db.session.flush()
    db.session.execute(delete(App).where(App.id == holder.id))
    schedule.plan(smtp, app)
    return smtp


def restore_app(user_id: str, app_id: str, name: str) -> App:
    """Bring an app back, in the write that undoes its deletion.

    It gets a number if another app has its name by now. Raises :class:`NotFound` and
    :class:`QuotaReached`.
    """
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update())
    app = _removed(user_id, app_id)
    apps.refuse_too_many(user_id)
    taken = set(db.session.scalars(apps_of_owner(app).with_only_columns(App.name)))
    number, free = 1, name
    while free in taken:
        number += 1
        suffix = f" ({number})"
        free = name[: 100 - len(suffix)] + suffix
    app.removed, app.name = None, free
    db.session.flush()
    schedule.replan(app)
    return app


def forget_old() -> None:
    """Delete for good what can no longer be restored, in the caller's write transaction."""
    db.session.execute(
        delete(App).where(App.removed < now() - acts.KEPT),
        execution_options={"synchronize_session": False},
    )


def _rest(smtp_ids: Select[str]) -> None:
    """Schedule no more checks of these servers, and drop those that are queued."""
    for statement in (
        update(Due).where(Due.smtp_id.in_(smtp_ids)).values(next_at=None),
        delete(Check).where(Check.smtp_id.in_(smtp_ids), Check.queued.is_not(None)),
    ):
        db.session.execute(statement, execution_options={"synchronize_session": False})


def _removed(user_id: str, app_id: str) -> App:
    app: App | None = db.session.scalar(
        removed_apps(user_id).where(App.id == app_id).with_for_update(),
        execution_options={"populate_existing": True},
    )
    if app is None:
        raise NotFound("App")
    return app


def _unused(app_id: str) -> str:
    """Return a name for an app that is deleted, so that its own can be used again."""
    return f"deleted {app_id}"
