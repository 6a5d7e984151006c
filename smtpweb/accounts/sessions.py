"""Browser sessions: a row each, so that signing out or a new password ends them immediately."""

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
LAST_USED_GRAIN = timedelta(minutes=5)  # avoids a write per request


def open_session(user: User) -> User:
    """Start a browser session; the returned user carries its random id in ``session_key``."""
    key = secrets.token_urlsafe(32)
    with writing() as session:
        session.execute(delete(BrowserSession).where(_session_is_over()))
        session.add(BrowserSession(digest=digest_of(key), user_id=user.id))
    user.session_key = key
    return user


def session_user(key: str) -> User | None:
    """The user of a browser session that has not ended, or None."""
    browser_session = db.session.scalar(
        select(BrowserSession)
        .options(joinedload(BrowserSession.user))
        .where(BrowserSession.digest == digest_of(key), ~_session_is_over())
    )
    if browser_session is None:
        return None
    user = browser_session.user
    if browser_session.seen < now() - LAST_USED_GRAIN:
        same = BrowserSession.digest == browser_session.digest
        note(update(BrowserSession).where(same).values(seen=now()))
    user.session_key = key
    return user


def close_session(key: str) -> None:
    """End a browser session; its cookie is no longer valid."""
    with writing() as session:
        session.execute(delete(BrowserSession).where(BrowserSession.digest == digest_of(key)))


def _session_is_over() -> ColumnElement[bool]:
    return or_(
        BrowserSession.seen < now() - SESSION_IDLE, BrowserSession.created < now() - SESSION_LIFE
    )
