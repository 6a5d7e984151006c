"""Apps: save, find, list, remove. Every query starts from the owner."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import Select, bindparam, func
from sqlalchemy.exc import IntegrityError

from .. import validators
from ..accounts.ownership import visible_apps
from ..config import settings
from ..database.models import App, User, new_id
from ..database.session import db, now, writing
from ..errors import EditConflict, NameTaken, NotFound, QuotaReached, Sentence
from . import checkability, fields, schedule
from .idempotency import Once, claim


class AppChanges(TypedDict, total=False):
    """The fields of an app to change, named as in ``fields.APP``.

    On an edit, fields left out keep their values.
    """

    name: str
    testemail: str
    defaultfromemail: str | None
    defaultfromname: str | None
    strategy: str
    timebetweenemails: int
    retaindata: bool
    useblacklist: bool
    useautoblacklist: bool
    checkevery: int
    emailevery: str


def defaults(owner: User) -> AppChanges:
    """Return the default values of a new app of this account."""
    try:
        from_name: str | None = validators.display_name(owner.name)
    except ValueError:  # valid for an account, but not in a header
        from_name = None
    return {
        "testemail": owner.email,
        "defaultfromemail": owner.email,
        "defaultfromname": from_name,
        "strategy": fields.APP["strategy"].default,
    }


def owned(user_id: str, app_id: str) -> Select[App]:
    """Select the app if it belongs to this user."""
    return visible_apps(user_id).where(App.id == app_id)


def find(user_id: str, app_id: str) -> App:
    """Return the user's app; raise :class:`NotFound`."""
    app = db.session.scalar(owned(user_id, app_id))
    if app is None:
        raise NotFound("App")
    return app


def find_to_fill(user_id: str, app_id: str) -> App:
    """Like :func:`find`, but lock the app so that it cannot be removed until this write ends."""
    app = db.session.scalar(_TO_FILL, {"user_id": user_id, "app_id": app_id})
    if app is None:
        raise NotFound("App")
    return app


_TO_FILL = (
    visible_apps(bindparam("user_id", type_=App.id.type))
    .where(App.id == bindparam("app_id"))
    .with_for_update(read=True, key_share=True)
)


def find_all(user_id: str, page: int, size: int) -> tuple[list[App], int]:
    """Return one page of the user's apps by name (``page`` counts from 0), and the total number."""
    total = count(user_id)
    if page * size >= total:
        return [], total
    rows = db.session.scalars(
        visible_apps(user_id).order_by(App.sort_name, App.id).offset(page * size).limit(size)
    )
    return list(rows), total


def save(
    user_id: str,
    changes: AppChanges,
    app_id: str | None = None,
    *,
    version: int | None = None,
    once: Once | None = None,
) -> App:
    """Create an app (name required, see :func:`defaults`), or edit the given one.

    ``version``: refuse with :class:`EditConflict` unless the app still has this version. ``once``:
    if the same request has already created an app, return that one. Raises :class:`NotFound`,
    :class:`NameTaken`, :class:`QuotaReached` and, with ``once``, :class:`KeyReused`.
    """
    with writing() as session:
        if app_id is None:
            app_id = new_id()
            if once is not None:
                first_id = claim(user_id, once, "apps/save", changes, app_id)
                if first_id != app_id:
                    return find(user_id, first_id)
            moment = now()
            owner = session.get_one(User, user_id, with_for_update=bool(settings().max_apps))
            refuse_too_many(user_id)
            app = App(
                id=app_id, user_id=user_id, version=0, created=moment, modified=moment,
                **fields.defaults(fields.APP),
            )  # fmt: skip
            for name, value in defaults(owner).items():
                setattr(app, name, value)
            session.add(app)
        else:
            app = find_for_update(user_id, app_id)
            if version is not None and app.version != version:
                raise EditConflict(Sentence("This app was changed after you opened the form."))
            app.modified = now()
        sender_before, every_before = app.defaultfromemail, app.checkevery
        for name, value in changes.items():
            setattr(app, name, value)
        app.version += 1
        try:
            session.flush()
        except IntegrityError:
            raise NameTaken(
                Sentence("You have another app named '%(name)s'.", name=changes.get("name"))
            ) from None
        if app.defaultfromemail != sender_before:
            checkability.renew(app)
        if every_before not in (None, app.checkevery):
            schedule.replan(app)
        return app


def refuse_too_many(user_id: str) -> None:
    """Refuse one app more than ``SMTPWEB_MAX_APPS``; the owner's row must be locked."""
    most = settings().max_apps
    if most and count(user_id) >= most:
        raise QuotaReached(Sentence("An account can have at most %(number)s apps.", number=most))


def count(user_id: str) -> int:
    """Return the number of the user's apps."""
    counted = visible_apps(user_id).with_only_columns(func.count(), maintain_column_froms=True)
    return db.session.scalar(counted) or 0


def remove(user_id: str, app_id: str) -> None:
    """Remove the app with its SMTP servers and their history; raise :class:`NotFound`."""
    with writing() as session:
        session.delete(find_for_update(user_id, app_id))


def find_for_update(user_id: str, app_id: str) -> App:
    """Like :func:`find`, but in its current state, and locked until this write ends."""
    app = db.session.scalar(
        owned(user_id, app_id).with_for_update(), execution_options={"populate_existing": True}
    )
    if app is None:
        raise NotFound("App")
    return app
