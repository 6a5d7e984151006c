"""Metrics for operators: totals, read in a fixed number of statements.

They never name a host, app, account or id: metrics go to monitoring systems that many people can
read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from .. import installation
from ..database.models import App, Check, Smtp
from ..database.session import fetch, now

WINDOW = timedelta(hours=24)


@dataclass(frozen=True)
class Figures:
    """``checks`` counts those that finished in the last 24 hours, by (accepted, stage).

    ``last_check_age`` is in seconds, None if no check has finished yet.
    """

    smtps_enabled: int
    smtps_disabled: int
    apps: int
    checks: dict[tuple[bool, str], int]
    last_check_age: float | None
    stale_seals: int


def read() -> Figures:
    """Return the current figures."""
    moment = now()
    enabled, smtps, apps, last = fetch(
        select(
            select(func.count()).select_from(Smtp).where(Smtp.enabled).scalar_subquery(),
            select(func.count()).select_from(Smtp).scalar_subquery(),
            select(func.count()).select_from(App).scalar_subquery(),
            select(func.max(Check.finished)).scalar_subquery(),
        )
    )[0]
    checks = fetch(
        select(Check.accepted, Check.stage, func.count())
        .where(Check.finished > moment - WINDOW)
        .group_by(Check.accepted, Check.stage)
    )
    return Figures(
        smtps_enabled=enabled,
        smtps_disabled=smtps - enabled,
        apps=apps,
        checks={(bool(accepted), stage): count for accepted, stage, count in checks},
        # Clocks of different machines differ slightly: never return a negative age.
        last_check_age=max(0.0, (moment - last).total_seconds()) if last else None,
        stale_seals=installation.count_stale_seals(),
    )
