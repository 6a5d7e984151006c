"""The current state of an app or server, for monitoring systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ..database.models import Check, Smtp
from ..database.session import fetch
from ..registry import overview


@dataclass(frozen=True)
class Standing:
    """The state of an app. ``working``: servers that are active by a check of current settings.

    ``in_use``: the id of the server that the app uses first; None if none is enabled.
    """

    total: int
    working: int
    in_use: str | None


def of_app(app_id: str) -> Standing:
    """Return the state of an app."""
    summary = overview.summaries([app_id]).get(app_id)
    if summary is None:
        return Standing(0, 0, None)
    return Standing(summary.total, summary.active, summary.in_use[0] if summary.in_use else None)


def last_check(smtp: Smtp) -> Any:
    """Return the newest finished check as (finished, accepted, stage, code, times), or None."""
    rows = fetch(
        select(Check.finished, Check.accepted, Check.stage, Check.code, Check.times)
        .where(Check.smtp_id == smtp.id, Check.finished.is_not(None))
        .order_by(Check.started.desc(), Check.id)
        .limit(1)
    )
    return rows[0] if rows else None
