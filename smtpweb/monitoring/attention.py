"""The data of the overview page: problems of all apps, what expires, the queue.

The number of statements does not depend on the number of SMTP servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import case, func, select

from ..accounts.ownership import may_see_app, visible_smtps
from ..database.models import App, Check, Due, Smtp
from ..database.session import db, now
from ..registry import expiry, states
from ..registry.states import SmtpState

SHOWN = 20  # problems
EXPIRING = 5
EXPIRES_SOON = timedelta(days=30)
NEEDS_SOMEBODY = (SmtpState.DISABLED, SmtpState.UNCHECKABLE, SmtpState.DEGRADED)


@dataclass(frozen=True)
class Totals:
    """Counts of a user's apps, and of the SMTP servers by state."""

    apps: int
    smtps: dict[SmtpState, int]

    @property
    def all(self) -> int:
        """Return the number of SMTP servers."""
        return sum(self.smtps.values())

    @property
    def needing(self) -> int:
        """Return the number of SMTP servers that need attention."""
        return sum(self.smtps[state] for state in NEEDS_SOMEBODY)


@dataclass(frozen=True)
class Expiry:
    """What of an SMTP server expires: "certificate", "password" or "client secret"."""

    smtp: Smtp
    what: str
    at: datetime


@dataclass(frozen=True)
class Queue:
    """Counts of a user's queued and running checks, and the time of the next scheduled one."""

    waiting: int
    running: int
    next_at: datetime | None


@dataclass(frozen=True)
class Problem:
    """A server that needs attention. ``app_is_down``: no server of its app is enabled."""

    smtp: Smtp
    app_is_down: bool


def totals(user_id: str) -> Totals:
    """Count the user's apps, and SMTP servers by state."""
    apps = select(func.count()).select_from(App).where(may_see_app(user_id)).scalar_subquery()
    rows = db.session.execute(
        visible_smtps(user_id)
        .with_only_columns(states.SMTP_STATE.label("state"), func.count(), apps)
        .group_by(states.SMTP_STATE)
    ).all()
    counts = dict.fromkeys(SmtpState, 0) | {SmtpState(state): count for state, count, _ in rows}
    if rows:
        return Totals(rows[0][2], counts)
    return Totals(db.session.scalar(select(apps)) or 0, counts)


def problems(user_id: str, most: int = SHOWN) -> list[Problem]:
    """Return servers that need attention, worst first.

    Servers of apps that cannot send come first, then disabled, uncheckable and degraded ones.
    """
    enabled = (
        select(Smtp.app_id, func.count().filter(Smtp.enabled).label("enabled"))
        .join(Smtp.app)
        .where(may_see_app(user_id))
        .group_by(Smtp.app_id)
        .subquery()
    )
    is_down = case((enabled.c.enabled == 0, 0), else_=1)
    order = {state.value: place for place, state in enumerate(NEEDS_SOMEBODY)}
    rows = db.session.execute(
        visible_smtps(user_id)
        .add_columns(is_down)
        .join(enabled, enabled.c.app_id == Smtp.app_id)
        .where(states.smtp_is(*NEEDS_SOMEBODY))
        .order_by(
            is_down,
            case(order, value=states.SMTP_STATE, else_=len(order)),
            func.lower(App.name),
            App.id,
            Smtp.priority,
            Smtp.created,
            Smtp.id,
        )
        .limit(most)
    )
    return [Problem(smtp, app_is_down=down == 0) for smtp, down in rows]


def expiring(user_id: str) -> Sequence[Expiry]:
    """Return the certificates, passwords and the like that expire first, soonest first.

    They expire within :data:`EXPIRES_SOON`, or have expired.
    """
    soon = now() + EXPIRES_SOON
    found = [
        Expiry(smtp, expiry.named(what, smtp), getattr(smtp, column.key))
        for what, column in expiry.COLUMNS.items()
        for smtp in db.session.scalars(
            visible_smtps(user_id)
            .where(column < soon, Smtp.off_since.is_(None))
            .order_by(column, Smtp.id)
            .limit(EXPIRING)
        )
    ]
    return sorted(found, key=lambda one: (one.at, one.smtp.id))[:EXPIRING]


def queue(user_id: str) -> Queue:
    """Count queued and running checks, and find the next scheduled one."""
    moment = now()
    mine = select(Smtp.id).join(Smtp.app).where(may_see_app(user_id))
    waiting = (
        select(func.count())
        .select_from(Check)
        .where(Check.queued.is_not(None), Check.smtp_id.in_(mine))
    )
    running = visible_smtps(user_id).where(Smtp.checking_until > moment)
    next_at = select(func.min(Due.next_at)).where(Due.smtp_id.in_(mine))
    row = db.session.execute(
        select(
            waiting.scalar_subquery(),
            running.with_only_columns(func.count(), maintain_column_froms=True).scalar_subquery(),
            next_at.scalar_subquery(),
        )
    ).one()
    return Queue(*row)
