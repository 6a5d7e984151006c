"""What lists show: apps and how each stands, SMTPs of an app and how their last checks went.

However long a list is, a page of it takes the same few statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, and_, case, cast, func, literal, or_, select

from ..accounts.ownership import may_see_app, visible_apps, visible_smtps
from ..database.models import App, Check, Smtp
from ..database.session import AnyRow, UtcDateTime, db, now
from ..mailcheck import Stage
from . import states
from .states import AppState, SmtpState

APP_STATES = ("", "problems")
APP_SORTS = ("name", "state", "created")
SMTP_STATES = ("", *(state.value for state in SmtpState))
SMTP_SORTS = ("priority", "host", "checked")
TALLIED = timedelta(days=30)
MARKS = 30  # how many of the last checks of an SMTP a bar shows

_BY_PRIORITY = (Smtp.priority, Smtp.created, Smtp.id)
_LONG_AGO = literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime)


@dataclass(frozen=True)
class Wanted:
    """What of a list is asked for: rows that hold ``text``, in a state, in an order."""

    text: str
    state: str
    sort: str

    @property
    def filters(self) -> bool:
        """Whether some rows are left out."""
        return bool(self.text or self.state)


ALL_SMTPS = Wanted("", SMTP_STATES[0], SMTP_SORTS[0])


def _holds(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    return func.lower(column).contains(text.lower(), autoescape=True)


# --- apps ----------------------------------------------------------------------------------


class Summary(NamedTuple):
    """How an app with SMTP servers stands: how many it has in each state, and which one is used.

    ``in_use`` is its first enabled SMTP server as (id, "host:port"), if it has one.
    """

    total: int
    active: int
    disabled: int
    unchecked: int
    uncheckable: int
    off: int
    in_use: tuple[str, str] | None
    on_backup: bool  # an SMTP server that comes before the one in use is not enabled

    @property
    def enabled(self) -> int:
        """How many the app may use."""
        return self.total - self.disabled - self.off

    @property
    def state(self) -> AppState:
        """What it comes to."""
        return states.app_state(self.total, self.active, self.disabled, self.uncheckable, self.off)


def find_apps(user_id: str, wanted: Wanted, page: int, size: int) -> tuple[list[App], int]:
    """One page of the user's apps (``page`` counts from 0), and how many fit what is wanted."""
    statement = visible_apps(user_id)
    if wanted.text:
        statement = statement.where(_holds(App.name.expression, wanted.text))
    by_name = (func.lower(App.name), App.id)
    order: tuple[Any, ...] = by_name
    if wanted.sort == "created":
        order = (App.created.desc(), App.id)
    if wanted.state or wanted.sort == "state":
        counts = (
            select(Smtp.app_id, *states.tallies())
            .join(Smtp.app)
            .where(may_see_app(user_id))
            .group_by(Smtp.app_id)
            .subquery()
        )
        statement = statement.outerjoin(counts, counts.c.app_id == App.id)
        state = states.app_state_of(counts.c)
        if wanted.state:
            statement = statement.where(state.in_([one.value for one in states.APP_PROBLEMS]))
        if wanted.sort == "state":
            order = (states.severity_of(state), *by_name)
    counted = statement.with_only_columns(App.id).subquery()
    total = db.session.scalar(select(func.count()).select_from(counted)) or 0
    rows = db.session.scalars(statement.order_by(*order).offset(page * size).limit(size))
    return list(rows), total


def summaries(app_ids: Sequence[str]) -> dict[str, Summary]:
    """How each of these apps stands, in one statement; apps without SMTPs are left out."""
    first = select(Smtp.id).where(Smtp.app_id == App.id).order_by(*_BY_PRIORITY).limit(1)
    counts = (
        select(Smtp.app_id, *states.tallies())
        .where(Smtp.app_id.in_(app_ids))
        .group_by(Smtp.app_id)
        .subquery()
    )
    standing = (
        select(
            counts,
            first.correlate(App).scalar_subquery().label("first"),
            first.where(Smtp.enabled).correlate(App).scalar_subquery().label("used"),
        )
        .join(App, App.id == counts.c.app_id)
        .subquery()
    )
    rows = db.session.execute(
        select(standing, Smtp.host, Smtp.port).outerjoin(Smtp, Smtp.id == standing.c.used)
    )
    return {
        row.app_id: Summary(
            row.total,
            row.active,
            row.disabled,
            row.unchecked,
            row.uncheckable,
            row.off,
            (row.used, f"{row.host}:{row.port}") if row.used else None,
            on_backup=row.used is not None and row.used != row.first,
        )
        for row in rows
    }


def count_problems(user_id: str) -> int:
    """How many of the user's SMTP servers have a problem: what the icon of every page tells."""
    problems = visible_smtps(user_id).where(states.smtp_is(*states.SMTP_PROBLEMS))
    counted = problems.with_only_columns(func.count(), maintain_column_froms=True)
    return db.session.scalar(counted) or 0


class Losses(NamedTuple):
    """What goes when an app or an SMTP is removed."""

    smtps: int
    passwords: int
    checks: int
    active: int


def losses(app_id: str, smtp_id: str | None = None) -> Losses:
    """What a removal of the app, or of one SMTP of it, takes with it; in one statement."""
    which = [Smtp.app_id == app_id] + ([Smtp.id == smtp_id] if smtp_id else [])
    checks = select(func.count()).select_from(Check).join(Check.smtp).where(*which)
    row = db.session.execute(
        select(
            func.count(),
            func.count(Smtp.password_sealed),
            checks.correlate(None).scalar_subquery(),
            func.count().filter(Smtp.enabled),
        ).where(*which)
    ).one()
    return Losses(*row)


# --- SMTPs ---------------------------------------------------------------------------------


def find_smtps(app: App, wanted: Wanted, page: int, size: int) -> tuple[list[Smtp], int]:
    """One page of the app's SMTPs (``page`` counts from 0), and how many fit what is wanted."""
    statement = select(Smtp).where(Smtp.app_id == app.id)
    if wanted.text:
        columns = (
            Smtp.host + ":" + cast(Smtp.port, String),
            # Else its letters could be guessed one by one
            case((Smtp.username_is_secret.is_(False), Smtp.username)),
            Smtp.defaultfromemail.expression,
            Smtp.defaultfromname.expression,
        )
        statement = statement.where(or_(*(_holds(column, wanted.text) for column in columns)))
    if wanted.state:
        statement = statement.where(states.smtp_is(SmtpState(wanted.state)))
    order: tuple[Any, ...] = _BY_PRIORITY
    if wanted.sort == "host":
        order = (func.lower(Smtp.host), Smtp.port, *_BY_PRIORITY)
    elif wanted.sort == "checked":
        last = select(func.max(Check.started)).where(Check.smtp_id == Smtp.id).correlate(Smtp)
        order = (func.coalesce(last.scalar_subquery(), _LONG_AGO).desc(), *_BY_PRIORITY)
    counted = statement.with_only_columns(Smtp.id).subquery()
    total = db.session.scalar(select(func.count()).select_from(counted)) or 0
    rows = db.session.scalars(statement.order_by(*order).offset(page * size).limit(size))
    return list(rows), total


def positions(app_id: str, smtp_ids: Sequence[str]) -> dict[str, int]:
    """The places of these SMTP servers, from 1, in the order in which the app uses all of its."""
    line = (
        select(Smtp.id, func.row_number().over(order_by=_BY_PRIORITY).label("position"))
        .where(Smtp.app_id == app_id)
        .subquery()
    )
    rows = db.session.execute(select(line.c.id, line.c.position).where(line.c.id.in_(smtp_ids)))
    return {row.id: row.position for row in rows}


def marks(smtp_ids: Sequence[str]) -> Mapping[str, Sequence[AnyRow]]:
    """The last checks of each of these SMTPs, newest first, at most ``MARKS``, in one statement.

    Rows without the report: (id, smtp_id, smtp_version, started, ends_by, queued, finished,
    accepted, stage, code, title). Every SMTP that was asked for has an entry.
    """
    # Where its bar begins is looked up in the index (smtp_id, started) alone, and from there on
    # the same index is read: a window over all checks would read histories of years.
    oldest = (
        select(Check.started)
        .where(Check.smtp_id == Smtp.id)
        .order_by(Check.started.desc())
        .offset(MARKS - 1)
        .limit(1)
        .correlate(Smtp)
        .scalar_subquery()
    )
    bars = (
        select(Smtp.id, func.coalesce(oldest, _LONG_AGO).label("oldest"))
        .where(Smtp.id.in_(smtp_ids))
        .limit(len(smtp_ids))  # else PostgreSQL looks that up again for each of their checks
        .subquery()
    )
    rows = db.session.execute(
        select(
            Check.id, Check.smtp_id, Check.smtp_version, Check.started, Check.ends_by,
            Check.queued, Check.finished, Check.accepted, Check.stage, Check.code, Check.title,
            Check.facts,
            Check.arrived,
        )
        .select_from(bars)
        .join(Check, and_(Check.smtp_id == bars.c.id, Check.started >= bars.c.oldest))
        .order_by(Check.smtp_id, Check.started.desc(), Check.id)
    )  # fmt: skip
    found: dict[str, list[AnyRow]] = {smtp_id: [] for smtp_id in smtp_ids}
    for row in rows:
        if len(found[row.smtp_id]) < MARKS:
            found[row.smtp_id].append(row)
    return found


def tally(smtp_id: str) -> tuple[int, int]:
    """How many checks of the SMTP were accepted, and how many said anything, in ``TALLIED``."""
    accepted, judging = db.session.execute(
        select(
            func.count().filter(Check.accepted.is_(True)),
            func.count().filter(or_(Check.accepted.is_(True), Check.stage != Stage.POLICY)),
        ).where(
            Check.smtp_id == smtp_id, Check.started > now() - TALLIED, Check.finished.is_not(None)
        )
    ).one()
    return accepted, judging
