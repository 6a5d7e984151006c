"""The order in which an app uses its SMTP servers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import JSON, Integer, cast, func, literal, select, update

from ..database.models import Smtp
from ..database.session import AnyRow, db, now, writing
from ..errors import EditConflict, NotFound, Sentence
from . import acts, apps, names, priorities
from .acts import Act


class Reordered(NamedTuple):
    """All SMTP servers of the app in their new order, and the id to undo it; "": same order.

    Rows are (id, priority, created, version, ``names.COLUMNS``) from before the change.
    """

    line: list[AnyRow]
    undo_id: str


def reorder(user_id: str, app_id: str, seen: Mapping[str, int]) -> Reordered:
    """Rearrange these SMTP servers, in the order of ``seen``, among their current positions.

    ``seen``: the displayed version of each server. Raises :class:`EditConflict` unless all still
    have the version seen, and :class:`NotFound`.
    """
    with writing():
        line = _line(user_id, app_id, seen)
        by_id = {smtp.id: smtp for smtp in line}
        turn = iter(seen)
        line = [by_id[next(turn)] if smtp.id in seen else smtp for smtp in line]
        return _renumber(user_id, app_id, line)


def move(user_id: str, app_id: str, seen: Mapping[str, int], smtp_id: str, step: int) -> Reordered:
    """Move one server of ``seen`` by ``step`` positions in its app; else like :func:`reorder`."""
    with writing():
        line = _line(user_id, app_id, seen)
        here = next(index for index, smtp in enumerate(line) if smtp.id == smtp_id)
        there = min(max(here + step, 0), len(line) - 1)
        line.insert(there, line.pop(here))
        return _renumber(user_id, app_id, line)


def _line(user_id: str, app_id: str, seen: Mapping[str, int]) -> list[AnyRow]:
    """Lock and return the app's servers in order of use; refuse outdated versions in ``seen``."""
    # Serialise reordering; servers may be added meanwhile, as they have no position yet.
    if db.session.scalar(apps.owned(user_id, app_id).with_for_update(key_share=True)) is None:
        raise NotFound("App")
    # Rows, not entities: there may be ten thousand, only a few of which change.
    locked = db.session.execute(
        select(Smtp.id, Smtp.priority, Smtp.created, Smtp.version, *names.COLUMNS)
        .where(Smtp.app_id == app_id)
        .order_by(Smtp.id)
        .with_for_update()
    )
    line = sorted(locked, key=lambda smtp: (smtp.priority, smtp.created, smtp.id))
    versions = {smtp.id: smtp.version for smtp in line}
    if any(versions.get(smtp_id) != version for smtp_id, version in seen.items()):
        raise EditConflict(Sentence("These SMTP servers were changed after you opened the page."))
    return line


def _renumber(user_id: str, app_id: str, line: list[AnyRow]) -> Reordered:
    changed = priorities.renumber(
        [priorities.Place(smtp.priority, smtp.created, smtp.id) for smtp in line]
    )
    if not changed:
        return Reordered(line, "")
    _set_priorities(changed)
    before = {smtp.id: [smtp.priority, smtp.version + 1] for smtp in line if smtp.id in changed}
    undo_id = acts.remember(user_id, Act.ORDER, app=app_id, before=before)
    return Reordered(line, undo_id)


def _set_priorities(new: Mapping[str, int]) -> None:
    """Assign priorities by id.

    This counts as an edit for open forms, but does not invalidate check results: the settings
    that a check tests stay the same.
    """
    # One statement and one parameter for any number: both databases can read JSON as a table
    name = "json_each" if db.engine.dialect.name == "sqlite" else "json_each_text"
    table = getattr(func, name)(literal(new, JSON)).table_valued("key", "value", name="new")
    db.session.execute(
        update(Smtp)
        .where(Smtp.id == table.c.key)
        .values(priority=cast(table.c.value, Integer), version=Smtp.version + 1, modified=now()),
        execution_options={"synchronize_session": False},
    )


def restore(user_id: str, app_id: str, before: Mapping[str, tuple[int, int]]) -> None:
    """Give SMTP servers their earlier priorities back, in the write that undoes the act.

    ``before``: priority and the version since the act, by id. Raises :class:`EditConflict` unless
    all still have that version, and :class:`NotFound`.
    """
    _line(user_id, app_id, {smtp_id: version for smtp_id, (_, version) in before.items()})
    _set_priorities({smtp_id: priority for smtp_id, (priority, _) in before.items()})
