"""Browser sessions: a row each, so that signing out or a new password ends them immediately."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, delete, or_, select, update
from sqlalchemy.orm import joinedload

from ..database.models import BrowserSession, User
from ..database.secret_box import digest_of
from ..database.session import db, note, now, writing
from ..mailcheck.core.once import once

SESSION_IDLE = timedelta(hours=12)
SESSION_LIFE = timedelta(days=7)
LAST_USED_GRAIN = timedelta(minutes=5)  # avoids a write per request


def open_session(user: User) -> User:
    """Start a browser session; the returned user carries its random id in ``session_key``."""
    key = secrets.token_urlsafe(32)
    with writing() as session:
        session.execute(delete(BrowserSession).where(_is_over(*_limits())))
        session.add(BrowserSession(digest=digest_of(key), user_id=user.id))
    user.session_key = key
    return user


def session_user(key: str) -> User | None:
    """The user of a browser session that has not ended, or None."""
    idle_since, begun_before = _limits()
    browser_session = db.session.scalar(
        _open_session(),
        {"digest": digest_of(key), "idle_since": idle_since, "begun_before": begun_before},
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


@once
def _open_session() -> Select[BrowserSession]:
    """Select the session with a digest: built once, as every page asks for its own."""
    over = _is_over(bindparam("idle_since"), bindparam("begun_before"))
    return (
        select(BrowserSession)
        .options(joinedload(BrowserSession.user))
        .where(BrowserSession.digest == bindparam("digest"), ~over)
    )


def _limits() -> tuple[datetime, datetime]:
    return now() - SESSION_IDLE, now() - SESSION_LIFE


def _is_over(
    idle_since: datetime | BindParameter[datetime], begun_before: datetime | BindParameter[datetime]
) -> ColumnElement[bool]:
    return or_(BrowserSession.seen < idle_since, BrowserSession.created < begun_before)
