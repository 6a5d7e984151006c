"""Input of a form whose session had expired: kept for a few minutes, for the same user.

Only values that the caller passes are kept, never a password; they are sealed nevertheless.
Another user who signs in does not get them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import cast

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from .. import installation
from ..database.models import FormDraft, User, new_id
from ..database.session import db, now, writing
from ..errors import SecretUnreadable

KEPT = timedelta(minutes=10)
MOST = 5  # per user
MOST_CHARACTERS = 5000  # per draft, sealed in a column of 8192

Values = Mapping[str, list[str]]


def keep(user_id: str, path: str, values: Values) -> bool:
    """Keep the input of the form at ``path``; return False if it is too long or has no user."""
    plain = json.dumps(values)
    if len(plain) > MOST_CHARACTERS or len(path) > 200:
        return False
    mine = FormDraft.user_id == user_id
    try:
        with writing() as session:
            if session.get(User, user_id) is None:
                return False
            forget_old()
            session.execute(delete(FormDraft).where(mine, FormDraft.path == path))
            newest = select(FormDraft.id).where(mine).order_by(FormDraft.created.desc())
            others = list(session.scalars(newest.offset(MOST - 1)))
            session.execute(delete(FormDraft).where(FormDraft.id.in_(others)))
            draft_id = new_id()
            sealed = installation.secret_box().seal(draft_id, plain)
            session.add(FormDraft(id=draft_id, user_id=user_id, path=path, sealed=sealed))
    except IntegrityError:  # the same form was submitted twice at the same moment
        return False
    return True


def forget_old() -> None:
    """Delete the drafts that are too old to be restored, in the caller's write transaction."""
    db.session.execute(delete(FormDraft).where(FormDraft.created < now() - KEPT))


def take(user_id: str, path: str) -> Values | None:
    """Return and delete this user's input for the form at ``path``; None if nothing is kept."""
    which = (FormDraft.user_id == user_id, FormDraft.path == path)
    draft = db.session.scalar(select(FormDraft).where(*which))
    if draft is None:
        return None
    with writing() as session:
        session.execute(delete(FormDraft).where(FormDraft.id == draft.id))
    if draft.created < now() - KEPT:
        return None
    try:
        plain = installation.secret_box().open(draft.id, draft.sealed)
    except SecretUnreadable:  # the keys have changed since
        return None
    return cast(Values, json.loads(plain))
