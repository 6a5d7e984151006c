"""The states of SMTP servers and apps: each rule once in Python and once in SQL, for lists.

Tests compare the two for every combination. The pages define the labels of the states.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal

from ..database.models import Smtp
from ..database.rows import SmtpStanding


class SmtpState(StrEnum):
    """The state of an SMTP server; the values appear in page URLs."""

    ACTIVE = "active"
    DEGRADED = "degraded"  # enabled, but its last scheduled checks failed temporarily
    OFF = "off"  # a person turned it off
    DISABLED = "disabled"
    UNCHECKED = "unchecked"
    UNCHECKABLE = "uncheckable"


class AppState(StrEnum):
    """The state of an app, worst first."""

    DOWN = "down"  # no SMTP server is enabled: all are disabled or off
    EMPTY = "empty"
    UNCHECKABLE = "uncheckable"  # none of the enabled servers can be checked
    PARTLY = "partly"  # some of its servers have a problem
    UNCHECKED = "unchecked"
    WORKING = "working"


SMTP_PROBLEMS = frozenset({SmtpState.DISABLED, SmtpState.UNCHECKABLE})
APP_PROBLEMS = frozenset({AppState.DOWN, AppState.EMPTY, AppState.UNCHECKABLE, AppState.PARTLY})


def smtp_state(smtp: SmtpStanding) -> SmtpState:
    """Return the state of an SMTP server or of a row of one."""
    if smtp.off_since is not None:
        return SmtpState.OFF
    if not smtp.enabled:
        return SmtpState.DISABLED
    if smtp.uncheckable is not None:
        return SmtpState.UNCHECKABLE
    if smtp.degraded_since is not None:
        return SmtpState.DEGRADED
    return SmtpState.ACTIVE if smtp.judged else SmtpState.UNCHECKED


SMTP_STATE: ColumnElement[str] = case(
    (Smtp.off_since.is_not(None), literal(SmtpState.OFF.value)),
    (~Smtp.enabled, literal(SmtpState.DISABLED.value)),
    (Smtp.uncheckable.is_not(None), literal(SmtpState.UNCHECKABLE.value)),
    (Smtp.degraded_since.is_not(None), literal(SmtpState.DEGRADED.value)),
    (Smtp.judged, literal(SmtpState.ACTIVE.value)),
    else_=literal(SmtpState.UNCHECKED.value),
)


def smtp_is(*states: SmtpState) -> ColumnElement[bool]:
    """Return the condition that an SMTP server is in one of these states."""
    return SMTP_STATE.in_([state.value for state in states])


def app_state(total: int, active: int, disabled: int, uncheckable: int, off: int) -> AppState:
    """Return the state of an app with these numbers of SMTP servers in each state."""
    if not total:
        return AppState.EMPTY
    if disabled + off == total:
        return AppState.DOWN
    if disabled + off + uncheckable == total:
        return AppState.UNCHECKABLE
    if disabled or uncheckable:
        return AppState.PARTLY
    return AppState.WORKING if active else AppState.UNCHECKED


def app_state_of(counts: Any) -> ColumnElement[str]:
    """Like :func:`app_state`, for the columns of :func:`tallies`; null: no server."""
    unused = counts.disabled + counts.off
    return case(
        (func.coalesce(counts.total, 0) == 0, literal(AppState.EMPTY.value)),
        (unused == counts.total, literal(AppState.DOWN.value)),
        (unused + counts.uncheckable == counts.total, literal(AppState.UNCHECKABLE.value)),
        (counts.disabled + counts.uncheckable > 0, literal(AppState.PARTLY.value)),
        (counts.active > 0, literal(AppState.WORKING.value)),
        else_=literal(AppState.UNCHECKED.value),
    )


def severity_of(state: ColumnElement[str]) -> ColumnElement[int]:
    """Return a number to sort app states by, worst first."""
    order = {one.value: literal(place) for place, one in enumerate(AppState)}
    return case(order, value=state, else_=literal(len(order)))


def tallies() -> tuple[ColumnElement[Any], ...]:
    """Return the columns that count the SMTP servers of a group by state.

    A degraded one counts as active: email is still sent through it.
    """
    working = (SmtpState.ACTIVE, SmtpState.DEGRADED)
    others = [state for state in SmtpState if state not in working]
    return (
        func.count().label("total"),
        func.count().filter(and_(smtp_is(*working))).label(SmtpState.ACTIVE.value),
        *(func.count().filter(and_(smtp_is(state))).label(state.value) for state in others),
    )
