"""Browser sessions: a row each, so that signing out or a new password ends them at once."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.orm import joinedload

from ..database.models import BrowserSession, User
from ..database.secret_box import digest_of
from ..database.session import db, note, now, writing

SESSION_IDLE = timedelta(hours=12)
SESSION_LIFE = timedelta(days=7)
LAST_USED_GRAIN = timedelta(minutes=5)  # so that being busy costs no write per request


def open_session(user: User) -> User:
    """Begin a browser session; the user returned carries its random id."""
    key = secrets.token_urlsafe(32)
    with writing() as session:
        session.execute(delete(BrowserSession).where(_session_is_over()))
        session.add(BrowserSession(digest=digest_of(key), user_id=user.id))
    user.session_key = key
    return user


def session_user(key: str) -> User | None:
    """The user of a browser session that is still good."""
    found = db.session.scalar(
        select(BrowserSession)
        .options(joinedload(BrowserSession.user))
        .where(BrowserSession.digest == digest_of(key), ~_session_is_over())
    )
    if found is None:
        return None
    user = found.user
    if found.seen < now() - LAST_USED_GRAIN:
        note(update(BrowserSession).where(BrowserSession.digest == found.digest).values(seen=now()))
    user.session_key = key
    return user


def close_session(key: str) -> None:
    """End a browser session: its cookie is worth nothing from now on."""
    with writing() as session:
        session.execute(delete(BrowserSession).where(BrowserSession.digest == digest_of(key)))


def _session_is_over() -> ColumnElement[bool]:
    return or_(
        BrowserSession.seen < now() - SESSION_IDLE, BrowserSession.created < now() - SESSION_LIFE
    )
