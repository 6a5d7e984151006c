"""What a user did on a page and can undo for ten minutes.

An act is written down in the transaction that does it. Its facts name what it takes to undo it,
with the version that it left: whatever was changed since is not overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, bindparam, delete, select

from ..database.models import UndoableAct, new_id
from ..database.session import db, now
from ..errors import NotFound
from ..mailcheck.core.once import once

KEPT = timedelta(minutes=10)


class Act(StrEnum):
    """The kinds of acts that can be undone."""

    ORDER = "order"  # of the SMTP servers of an app
    MOVE = "move"  # of an SMTP server to another app
    COPY = "copy"  # of an SMTP server
    SWITCH = "switch"  # an SMTP server off or on
    PAUSE = "pause"  # the schedule of an app, or resume it
    WINDOW = "window"  # remove a maintenance window
    DELETE_SMTP = "delete smtp"
    DELETE_APP = "delete app"


DELETIONS = (Act.DELETE_SMTP, Act.DELETE_APP)


def remember(user_id: str, kind: Act, **facts: Any) -> str:
    """Write an act down, in the caller's write transaction; return its id."""
    act_id = new_id()
    db.session.add(
        UndoableAct(id=act_id, user_id=user_id, kind=kind.value, facts=facts, created=now())
    )
    return act_id


def take(user_id: str, act_id: str) -> UndoableAct:
    """Return and delete an act that is to be undone; raise :class:`NotFound` if it is too late.

    Call it in the write transaction that undoes it: one that fails leaves the act.
    """
    act = db.session.scalar(
        select(UndoableAct)
        .where(
            UndoableAct.id == act_id,
            UndoableAct.user_id == user_id,
            UndoableAct.created > now() - KEPT,
        )
        .with_for_update(),
        execution_options={"populate_existing": True},
    )
    if act is None:
        raise NotFound("Act")
    db.session.delete(act)
    return act


def deletions(user_id: str, app_id: str | None = None) -> Sequence[UndoableAct]:
    """Return the user's deletions that can be undone, newest first, or those in this app."""
    acts = db.session.scalars(_deletions(), {"user_id": user_id, "since": now() - KEPT})
    return [act for act in acts if app_id is None or act.facts["app"] == app_id]


@once
def _deletions() -> Select[UndoableAct]:
    """Select a user's deletions since a time: built once, as every list shows them."""
    return (
        select(UndoableAct)
        .where(
            UndoableAct.user_id == bindparam("user_id"),
            UndoableAct.kind.in_(DELETIONS),
            UndoableAct.created > bindparam("since"),
        )
        .order_by(UndoableAct.created.desc(), UndoableAct.id)
    )


def forget_old() -> None:
    """Delete the acts that can no longer be undone, in the caller's write transaction."""
    db.session.execute(
        delete(UndoableAct).where(UndoableAct.created < now() - KEPT),
        execution_options={"synchronize_session": False},
    )
