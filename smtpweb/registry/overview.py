"""Data for lists: apps with their states, SMTP servers of an app with their latest checks.

A page of a list takes the same few statements, however long the list is.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    String,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal,
    or_,
    select,
)

from ..accounts.ownership import may_see_app, visible_apps, visible_smtps
from ..database.models import App, Check, Smtp
from ..database.session import AnyRow, AnySelect, UtcDateTime, db
from ..mailcheck import Stage
from ..mailcheck.core.once import once
from . import names, states
from .states import AppState, SmtpState

APP_STATES = ("", "problems")
APP_SORTS = ("name", "state", "created")
SMTP_STATES = ("", *(state.value for state in SmtpState))
SMTP_SORTS = ("priority", "name", "host", "checked")
MARKS = 30  # the number of latest checks that a bar shows for an SMTP server

# What a bar shows of a check; "other": running, interrupted, or not tried
_KIND = case(
    (or_(Check.finished.is_(None), Check.stage == Stage.POLICY.value), "other"),
    (Check.accepted.is_(True), "accepted"),
    else_="failed",
).label("kind")
_OF_STATE = (
    Check.accepted, Check.stage, Check.started, Check.ends_by, Check.queued, Check.finished,
    Check.arrived, Check.cancelled, Check.mode,
)  # fmt: skip
_BY_PRIORITY = (Smtp.priority, Smtp.created, Smtp.id)
_LONG_AGO = literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime)


@dataclass(frozen=True)
class Wanted:
    """The filters and sort order of a list: rows that contain ``text``, in a state."""

    text: str
    state: str
    sort: str

    @property
    def filters(self) -> bool:
        """Whether some rows may be excluded."""
        return bool(self.text or self.state)


ALL_SMTPS = Wanted("", SMTP_STATES[0], SMTP_SORTS[0])


def _holds(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    return func.lower(column).contains(text.lower(), autoescape=True)


# --- apps ----------------------------------------------------------------------------------


class Summary(NamedTuple):
    """State of an app with SMTP servers: the number in each state, and the server in use.

    ``in_use`` is its first enabled SMTP server as (id, name), if any.
    """

    total: int
    active: int
    disabled: int
    unchecked: int
    uncheckable: int
    off: int
    in_use: tuple[str, str] | None
    on_backup: bool  # an SMTP server before the one in use is not enabled

    @property
    def enabled(self) -> int:
        """The number of servers that the app may use."""
        return self.total - self.disabled - self.off

    @property
    def state(self) -> AppState:
        """The resulting state of the app."""
        return states.app_state(self.total, self.active, self.disabled, self.uncheckable, self.off)


def find_apps(user_id: str, wanted: Wanted, page: int, size: int) -> tuple[list[App], int]:
    """Return one page of the user's apps (``page`` from 0), and the number of matches."""
    statement = visible_apps(user_id)
    if wanted.text:
        statement = statement.where(_holds(App.name.expression, wanted.text))
    by_name = (App.sort_name, App.id)
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
    """Return the summary of each of these apps in one statement, omitting apps without servers."""
    rows = db.session.execute(_summed_up(), {"app_ids": app_ids})
    return {
        row.app_id: Summary(
            row.total,
            row.active,
            row.disabled,
            row.unchecked,
            row.uncheckable,
            row.off,
            (row.used, names.shown(row)) if row.used else None,
            on_backup=row.used is not None and row.used != row.first,
        )
        for row in rows
    }


@once
def _summed_up() -> AnySelect:
    first = select(Smtp.id).where(Smtp.app_id == App.id).order_by(*_BY_PRIORITY).limit(1)
    counts = (
        select(Smtp.app_id, *states.tallies())
        .where(Smtp.app_id.in_(bindparam("app_ids", expanding=True)))
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
    return select(standing, *names.COLUMNS).outerjoin(Smtp, Smtp.id == standing.c.used)


def count_problems(user_id: str) -> int:
    """Return the number of the user's SMTP servers with a problem, for the icon on every page."""
    values = {"user_id": user_id, "very_many": _VERY_MANY_APPS}
    return db.session.scalar(_problems_counted(), values) or 0


@once
def _problems_counted() -> AnySelect:
    """For almost all users, the fastest way is from their apps to the servers of these.

    For one with very many apps it is from all servers that have a problem, which are few, to their
    apps.
    """
    user_id: BindParameter[str] = bindparam("user_id")
    very_many: BindParameter[int] = bindparam("very_many")
    some = visible_apps(user_id).with_only_columns(App.id).limit(very_many).subquery()
    from_apps = visible_smtps(user_id).where(states.HAS_PROBLEM)
    # A subquery in a condition, unlike a join, leaves a planner no other way.
    is_visible = select(may_see_app(user_id)).where(App.id == Smtp.app_id).correlate(Smtp)
    from_problems = select(Smtp.id).where(states.HAS_PROBLEM, is_visible.scalar_subquery())
    count = func.count()
    return select(
        case(
            (
                select(count).select_from(some).scalar_subquery() == very_many,
                from_problems.with_only_columns(
                    count, maintain_column_froms=True
                ).scalar_subquery(),
            ),
            else_=from_apps.with_only_columns(count, maintain_column_froms=True).scalar_subquery(),
        )
    )


_VERY_MANY_APPS = 5000


class Losses(NamedTuple):
    """What is deleted along with an app or an SMTP server."""

    smtps: int
    passwords: int
    checks: int
    active: int


def losses(app_id: str, smtp_id: str | None = None) -> Losses:
    """Return what removing the app, or one of its SMTP servers, also deletes; in one statement."""
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


# --- SMTP servers --------------------------------------------------------------------------


def find_smtps(app: App, wanted: Wanted, page: int, size: int) -> tuple[list[Smtp], int]:
    """Return one page of the app's SMTP servers (``page`` from 0), and the number of matches."""
    statement = select(Smtp).where(Smtp.app_id == app.id)
    if wanted.text:
        columns = (
            Smtp.host + ":" + cast(Smtp.port, String),
            # Never search secret user names, or they could be guessed letter by letter
            case((Smtp.username_is_secret.is_(False), Smtp.username)),
            Smtp.defaultfromemail.expression,
            Smtp.defaultfromname.expression,
            Smtp.name.expression,
            Smtp.note.expression,
            Smtp.tags.expression,
        )
        statement = statement.where(or_(*(_holds(column, wanted.text) for column in columns)))
    if wanted.state:
        statement = statement.where(states.smtp_is(SmtpState(wanted.state)))
    order: tuple[Any, ...] = _BY_PRIORITY
    if wanted.sort == "name":
        order = (func.lower(func.coalesce(Smtp.name, Smtp.host)), Smtp.port, *_BY_PRIORITY)
    elif wanted.sort == "host":
        order = (func.lower(Smtp.host), Smtp.port, *_BY_PRIORITY)
    elif wanted.sort == "checked":
        last = select(func.max(Check.started)).where(Check.smtp_id == Smtp.id).correlate(Smtp)
        order = (func.coalesce(last.scalar_subquery(), _LONG_AGO).desc(), *_BY_PRIORITY)
    counted = statement.with_only_columns(Smtp.id).subquery()
    total = db.session.scalar(select(func.count()).select_from(counted)) or 0
    rows = db.session.scalars(statement.order_by(*order).offset(page * size).limit(size))
    return list(rows), total


def positions(app_id: str, smtp_ids: Sequence[str]) -> dict[str, int]:
    """Return the positions of these SMTP servers, from 1, in the app's order of use."""
    rows = db.session.execute(_positioned(), {"app_id": app_id, "smtp_ids": smtp_ids})
    return {row.id: row.position for row in rows}


@once
def _positioned() -> AnySelect:
    line = (
        select(Smtp.id, func.row_number().over(order_by=_BY_PRIORITY).label("position"))
        .where(Smtp.app_id == bindparam("app_id"))
        .subquery()
    )
    wanted = line.c.id.in_(bindparam("smtp_ids", expanding=True))
    return select(line.c.id, line.c.position).where(wanted)


def marks(smtp_ids: Sequence[str], *, with_states: bool = False) -> Mapping[str, Sequence[AnyRow]]:
    """Return the last ``MARKS`` checks of each SMTP server, newest first, in one statement.

    Rows have what a bar is drawn from (``id``, ``kind``): lists have hundreds of them.
    ``with_states``: also what the state of each check follows from. Every requested SMTP server
    has an entry.
    """
    rows = db.session.execute(_drawn(with_states), {"smtp_ids": smtp_ids, "servers": len(smtp_ids)})
    found: dict[str, list[AnyRow]] = {smtp_id: [] for smtp_id in smtp_ids}
    for smtp_id, checks in groupby(rows, itemgetter(0)):
        found[smtp_id] = list(islice(checks, MARKS))  # more began at the same time as the oldest
    return found


@functools.cache
def _drawn(with_states: bool) -> AnySelect:
    # Only the index (smtp_id, started) is used to find where each bar begins, and the same index
    # is read from there on: a window over all checks would read years of history.
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
        .where(Smtp.id.in_(bindparam("smtp_ids", expanding=True)))
        .limit(bindparam("servers"))  # else PostgreSQL repeats the lookup for each of their checks
        .subquery()
    )
    return (
        select(Check.smtp_id, Check.id, _KIND, *(_OF_STATE if with_states else ()))
        .select_from(bars)
        .join(Check, and_(Check.smtp_id == bars.c.id, Check.started >= bars.c.oldest))
        .order_by(Check.smtp_id, Check.started.desc(), Check.id)
    )


def newest(marks: Mapping[str, Sequence[AnyRow]]) -> dict[str, AnyRow]:
    """Return the newest of these checks of each SMTP server, with its cause but not its report."""
    ids = [checks[0].id for checks in marks.values() if checks]
    return {row.smtp_id: row for row in db.session.execute(_said_of(), {"ids": ids})}


@once
def _said_of() -> AnySelect:
    return select(
            Check.id, Check.smtp_id, Check.smtp_version, Check.started, Check.ends_by,
            Check.queued, Check.finished, Check.accepted, Check.stage, Check.code, Check.title,
            Check.facts, Check.arrived, Check.cancelled, Check.recipient, Check.mode,
        ).where(Check.id.in_(bindparam("ids", expanding=True)))  # fmt: skip
