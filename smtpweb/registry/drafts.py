"""What somebody typed into a form whose session had ended: kept for minutes, for the same user.

Only values that the caller hands over are kept, and never a password; they are sealed all the
same. Whoever signs in as another user does not get them.
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
MOST = 5  # of one user
MOST_CHARACTERS = 5000  # of one draft, sealed in a column of 8192

Values = Mapping[str, list[str]]


def keep(user_id: str, path: str, values: Values) -> bool:
    """Keep what was typed into the form at ``path``; False where it is too long, or nobody's."""
    plain = json.dumps(values)
    if len(plain) > MOST_CHARACTERS or len(path) > 200:
        return False
    mine = FormDraft.user_id == user_id
    try:
        with writing() as session:
            if session.get(User, user_id) is None:
                return False
            session.execute(delete(FormDraft).where(FormDraft.created < now() - KEPT))
            session.execute(delete(FormDraft).where(mine, FormDraft.path == path))
            newest = select(FormDraft.id).where(mine).order_by(FormDraft.created.desc())
            others = list(session.scalars(newest.offset(MOST - 1)))
            session.execute(delete(FormDraft).where(FormDraft.id.in_(others)))
            draft_id = new_id()
            sealed = installation.secret_box().seal(draft_id, plain)
            session.add(FormDraft(id=draft_id, user_id=user_id, path=path, sealed=sealed))
    except IntegrityError:  # the same form was sent twice at the same moment
        return False
    return True


def take(user_id: str, path: str) -> Values | None:
    """What this user typed into the form at ``path``, once; None where nothing is kept."""
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
    except SecretUnreadable:  # the keys were changed meanwhile
        return None
    return cast(Values, json.loads(plain))
