"""Messages of the next page that offer something to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from flask import flash, get_flashed_messages


def tell(text: str, act_id: str, category: str = "success") -> None:
    """Say what was done, and offer to undo it if there is an act."""
    _flash({"text": text, "act_id": act_id} if act_id else text, category)


def lead_back(text: str, path: str) -> None:
    """Say what is kept, and link to the form that shows it."""
    _flash({"text": text, "path": path}, "info")


def tell_at_row(text: str, act_id: str, row_id: str, tone: str) -> None:
    """Like :func:`tell`, in the row with this id of the list on the next page."""
    _flash({"text": text, "act_id": act_id} if act_id else text, f"row-{tone}-{row_id}")


def at_rows() -> Mapping[str, Sequence[tuple[str, object]]]:
    """Return (tone, message) of what was said by :func:`tell_at_row`, by the ids of the rows."""
    found: dict[str, list[tuple[str, object]]] = defaultdict(list)
    flashed = cast(Iterable[tuple[str, object]], get_flashed_messages(with_categories=True))
    for category, message in flashed:
        kind, _, place = category.partition("-")
        if kind == "row":
            tone, _, row_id = place.partition("-")
            found[row_id].append((tone, message))
    return found


def _flash(message: str | dict[str, str], category: str) -> None:
    # A template gets what was flashed as it is, whatever the type hint says
    flash(cast(str, message), category)
