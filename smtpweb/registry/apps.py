"""Apps: save, find, find all, remove. Every query starts from the owner."""

from __future__ import annotations

from typing import TypedDict

from sqlalchemy import Select, func, select
from sqlalchemy.exc import IntegrityError

from ..database.models import App, User
from ..database.session import db, now, writing
from ..errors import EditConflict, NameTaken, NotFound, Sentence
from . import checkability


class AppChanges(TypedDict, total=False):
    """What is to be said of an app; on an edit, what is left out stays as it is."""

    name: str
    testemail: str
    defaultfromemail: str | None
    defaultfromname: str | None
    strategy: str


def owned(user_id: str, app_id: str) -> Select[App]:
    """Select the app if it is this user's."""
    return select(App).where(App.id == app_id, App.user_id == user_id)


def find(user_id: str, app_id: str) -> App:
    """The user's app; raises :class:`NotFound`."""
    app = db.session.scalar(owned(user_id, app_id))
    if app is None:
        raise NotFound("App")
    return app


def find_to_fill(user_id: str, app_id: str) -> App:
    """The user's app, which nobody can remove until the end of this write; else as :func:`find`."""
    app = db.session.scalar(owned(user_id, app_id).with_for_update(read=True, key_share=True))
    if app is None:
        raise NotFound("App")
    return app


def find_all(user_id: str, page: int, size: int) -> tuple[list[App], int]:
    """One page of the user's apps by name (``page`` counts from 0), and how many there are."""
    total = db.session.scalar(select(func.count()).where(App.user_id == user_id)) or 0
    if page * size >= total:
        return [], total
    rows = db.session.scalars(
        select(App)
        .where(App.user_id == user_id)
        .order_by(func.lower(App.name), App.id)
        .offset(page * size)
        .limit(size)
    )
    return list(rows), total


def save(
    user_id: str, changes: AppChanges, app_id: str | None = None, *, version: int | None = None
) -> App:
    """Create an app (name needed; test mails go to the account's address), or edit this one.

    ``version``: refuse with :class:`EditConflict` unless the app is still at it. Raises
    :class:`NotFound` and :class:`NameTaken`.
    """
    with writing() as session:
        if app_id is None:
            moment = now()
            owner = session.get_one(User, user_id)
            app = App(
                user_id=user_id, testemail=owner.email, strategy="PRIORITY", version=0,
                created=moment, modified=moment,
            )  # fmt: skip
            session.add(app)
        else:
            app = _for_update(user_id, app_id)
            if version is not None and app.version != version:
                raise EditConflict(Sentence("This app was changed after you opened the form."))
            app.modified = now()
        sender_before = app.defaultfromemail
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
        return app


def remove(user_id: str, app_id: str) -> None:
    """Remove the app with its SMTPs and their history; raises :class:`NotFound`."""
    with writing() as session:
        session.delete(_for_update(user_id, app_id))


def _for_update(user_id: str, app_id: str) -> App:
    app = db.session.scalar(
        owned(user_id, app_id).with_for_update(), execution_options={"populate_existing": True}
    )
    if app is None:
        raise NotFound("App")
    return app
