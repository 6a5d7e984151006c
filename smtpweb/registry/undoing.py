"""Undo an act of a user, whatever its kind."""

from __future__ import annotations

from typing import NamedTuple

from ..database.models import UndoableAct
from ..database.session import writing
from . import acts, order, removals, switches, transfers
from .acts import Act


class Undone(NamedTuple):
    """What was undone, and the app and SMTP server that show it; ids may be ""."""

    kind: Act
    app_id: str
    smtp_id: str = ""


def undo(user_id: str, act_id: str) -> Undone:
    """Undo an act in one transaction, or leave everything as it is.

    Raises :class:`NotFound` if it is too late or what it concerns is gone, :class:`EditConflict`
    if that was changed since, :class:`QuotaReached` if it does not fit any more.
    """
    with writing():
        return _undo(user_id, acts.take(user_id, act_id))


def _undo(user_id: str, act: UndoableAct) -> Undone:
    kind, facts = Act(act.kind), act.facts
    match kind:
        case Act.ORDER:
            before = {name: (pair[0], pair[1]) for name, pair in facts["before"].items()}
            order.restore(user_id, facts["app"], before)
            return Undone(kind, facts["app"])
        case Act.MOVE:
            smtp = transfers.undo_move(user_id, facts["smtp"], facts["version"], facts["before"])
            return Undone(kind, smtp.app_id, smtp.id)
        case Act.COPY:
            transfers.undo_copy(user_id, facts["smtp"], facts["version"])
            return Undone(kind, facts["app"])
        case Act.SWITCH:
            smtp = switches.undo_switch(user_id, facts["smtp"], facts["before"], facts["after"])
            return Undone(kind, smtp.app_id, smtp.id)
        case Act.PAUSE:
            app = switches.undo_hold(user_id, facts["app"], facts["before"], facts["after"])
            return Undone(kind, app.id)
        case Act.WINDOW:
            return Undone(kind, switches.undo_removal_of_window(user_id, facts["window"]).id)
        case Act.DELETE_SMTP:
            smtp = removals.restore_smtp(user_id, facts["smtp"], facts["holder"], facts["app"])
            return Undone(kind, smtp.app_id, smtp.id)
        case Act.DELETE_APP:
            app = removals.restore_app(user_id, facts["app"], facts["name"])
            return Undone(kind, app.id)
