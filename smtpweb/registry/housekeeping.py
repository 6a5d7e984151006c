"""Delete for good what is kept for minutes only: drafts of forms, deleted apps, undoable acts."""

from __future__ import annotations

import logging

from sqlalchemy import exists, or_, select
from sqlalchemy.exc import SQLAlchemyError

from ..database.models import App, FormDraft, UndoableAct
from ..database.session import cause, fetch, now, writing
from . import acts, drafts, removals

log = logging.getLogger(__name__)


def tidy() -> None:
    """Delete what has expired. A database error must not affect what the caller has just done."""
    moment = now()
    expired = or_(
        exists().where(FormDraft.created < moment - drafts.KEPT),
        exists().where(App.removed < moment - acts.KEPT),
        exists().where(UndoableAct.created < moment - acts.KEPT),
    )
    try:
        if not fetch(select(expired))[0][0]:  # usually, so nobody waits for a write
            return
        with writing():
            drafts.forget_old()
            removals.forget_old()
            acts.forget_old()
    except SQLAlchemyError as error:
        log.warning("expired rows could not be deleted: %s", cause(error))
