"""Messages of the next page that offer something to do."""

from __future__ import annotations

from typing import cast

from flask import flash


def tell(text: str, act_id: str, category: str = "success") -> None:
    """Say what was done, and offer to undo it if there is an act."""
    _flash({"text": text, "act_id": act_id} if act_id else text, category)


def lead_back(text: str, path: str) -> None:
    """Say what is kept, and link to the form that shows it."""
    _flash({"text": text, "path": path}, "info")


def _flash(message: str | dict[str, str], category: str) -> None:
    # A template gets what was flashed as it is, whatever the type hint says
    flash(cast(str, message), category)
