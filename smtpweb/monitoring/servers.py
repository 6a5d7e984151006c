"""Search the SMTP servers of all apps of a user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, case, cast, func, or_, select

from ..accounts.ownership import may_see_app, visible_smtps
from ..database.models import App, Smtp
from ..database.session import db, now
from ..providers import presets
from ..registry import states
from ..registry.states import SmtpState
from .attention import NEEDS_SOMEBODY

PROBLEMS = "problems"
STATES = ("", PROBLEMS, *(state.value for state in SmtpState))
AUTHENTICATION = ("", "password", "oauth", "none")
CERTIFICATE = ("", "expired", "7", "21", "90", "unknown")  # expires within so many days
SORTS = ("app", "host", "state", "certificate")
OTHER = "other"  # an unknown provider


@dataclass(frozen=True)
class Filter:
    """The filter of the list and its order; "" does not filter."""

    text: str = ""
    state: str = ""
    provider: str = ""
    authentication: str = ""
    certificate: str = ""
    sort: str = SORTS[0]


def find(
    user_id: str, wanted: Filter, hosts: Sequence[str], page: int, size: int
) -> tuple[list[Smtp], int]:
    """Return one page of matching servers with their apps (``page`` from 0), and the total.

    ``hosts``: all hosts of the user, see :func:`hosts_of`.
    """
    statement = visible_smtps(user_id).where(*_conditions(wanted, hosts))
    total = db.session.scalar(statement.with_only_columns(func.count(), maintain_column_froms=True))
    rows = db.session.scalars(
        statement.order_by(*_order(wanted.sort)).offset(page * size).limit(size)
    )
    return list(rows), total or 0


def _conditions(wanted: Filter, hosts: Sequence[str]) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.text:
        columns: tuple[ColumnElement[Any], ...] = (
            Smtp.host + ":" + cast(Smtp.port, String),
            # A secret user name could otherwise be guessed letter by letter.
            case((Smtp.username_is_secret.is_(False), Smtp.username)),
            App.name.expression,
            Smtp.defaultfromemail.expression,
            Smtp.name.expression,
            Smtp.note.expression,
            Smtp.tags.expression,
        )
        text = wanted.text.lower()
        conditions.append(
            or_(*(func.lower(column).contains(text, autoescape=True) for column in columns))
        )
    if wanted.state == PROBLEMS:
        conditions.append(states.smtp_is(*NEEDS_SOMEBODY))
    elif wanted.state:
        conditions.append(states.smtp_is(SmtpState(wanted.state)))
    if wanted.provider:
        conditions.append(
            Smtp.host.in_([host for host in hosts if provider_of(host) == wanted.provider])
        )
    if wanted.authentication:
        conditions.append(Smtp.auth.is_(wanted.authentication != "none"))
        if wanted.authentication != "none":
            conditions.append(Smtp.uses_oauth.is_(wanted.authentication == "oauth"))
    if wanted.certificate == "unknown":
        conditions.append(Smtp.certificate_expires.is_(None))
    elif wanted.certificate:
        days = 0 if wanted.certificate == "expired" else int(wanted.certificate)
        conditions.append(Smtp.certificate_expires < now() + timedelta(days=days))
    return conditions


def _order(sort: str) -> tuple[Any, ...]:
    by_app = (func.lower(App.name), App.id, Smtp.priority, Smtp.created, Smtp.id)
    if sort == "host":
        return func.lower(Smtp.host), Smtp.port, *by_app
    if sort == "state":
        order = {state.value: place for place, state in enumerate(NEEDS_SOMEBODY)}
        return case(order, value=states.SMTP_STATE, else_=len(order)), *by_app
    if sort == "certificate":
        return Smtp.certificate_expires.is_(None), Smtp.certificate_expires, *by_app
    return by_app


def hosts_of(user_id: str) -> list[str]:
    """Return the distinct hosts of the user's servers."""
    return list(
        db.session.scalars(
            select(Smtp.host).join(Smtp.app).where(may_see_app(user_id)).group_by(Smtp.host)
        )
    )


def provider_of(host: str) -> str:
    """Return the id of the provider with this host, or :data:`OTHER`."""
    preset = presets.of_host(host)
    return preset.id if preset else OTHER


def providers_of(hosts: Sequence[str]) -> list[tuple[str, str]]:
    """Return the known providers of these hosts as (id, name), by name."""
    names = {preset.id: preset.name for host in hosts if (preset := presets.of_host(host))}
    return sorted(names.items(), key=lambda pair: pair[1].casefold())


def known_providers() -> frozenset[str]:
    """Return the ids of all providers."""
    return frozenset(preset.id for preset in presets.presets())
