"""The list of all SMTP servers of all apps of a user, by what somebody looks for."""

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
AUTHENTICATION = ("", "password", "none")
CERTIFICATE = ("", "expired", "7", "21", "90", "unknown")  # within so many days
SORTS = ("app", "host", "state", "certificate")
OTHER = "other"  # no provider that we know


@dataclass(frozen=True)
class Asked:
    """What of the list is asked for; "" asks for nothing special."""

    text: str = ""
    state: str = ""
    provider: str = ""
    authentication: str = ""
    certificate: str = ""
    sort: str = SORTS[0]


def find(
    user_id: str, asked: Asked, hosts: Sequence[str], page: int, size: int
) -> tuple[list[Smtp], int]:
    """One page of the servers that fit (``page`` from 0), each with its app; how many fit.

    ``hosts``: all of the user's, see :func:`hosts_of`.
    """
    statement = visible_smtps(user_id).where(*_conditions(asked, hosts))
    total = db.session.scalar(statement.with_only_columns(func.count(), maintain_column_froms=True))
    rows = db.session.scalars(
        statement.order_by(*_order(asked.sort)).offset(page * size).limit(size)
    )
    return list(rows), total or 0


def _conditions(asked: Asked, hosts: Sequence[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if asked.text:
        columns: tuple[ColumnElement[Any], ...] = (
            Smtp.host + ":" + cast(Smtp.port, String),
            # Else its letters could be guessed one by one
            case((Smtp.username_is_secret.is_(False), Smtp.username)),
            App.name.expression,
            Smtp.defaultfromemail.expression,
        )
        text = asked.text.lower()
        found.append(
            or_(*(func.lower(column).contains(text, autoescape=True) for column in columns))
        )
    if asked.state == PROBLEMS:
        found.append(states.smtp_is(*NEEDS_SOMEBODY))
    elif asked.state:
        found.append(states.smtp_is(SmtpState(asked.state)))
    if asked.provider:
        found.append(Smtp.host.in_([host for host in hosts if provider_of(host) == asked.provider]))
    if asked.authentication:
        found.append(Smtp.auth.is_(asked.authentication == "password"))
    if asked.certificate == "unknown":
        found.append(Smtp.certificate_expires.is_(None))
    elif asked.certificate:
        days = 0 if asked.certificate == "expired" else int(asked.certificate)
        found.append(Smtp.certificate_expires < now() + timedelta(days=days))
    return found


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
    """The different hosts of the user's servers."""
    return list(
        db.session.scalars(
            select(Smtp.host).join(Smtp.app).where(may_see_app(user_id)).group_by(Smtp.host)
        )
    )


def provider_of(host: str) -> str:
    """The id of the provider whose server this is, or :data:`OTHER`."""
    preset = presets.of_host(host)
    return preset.id if preset else OTHER


def providers_of(hosts: Sequence[str]) -> list[tuple[str, str]]:
    """The providers of these hosts as (id, name), by name; without :data:`OTHER`."""
    found = {preset.id: preset.name for host in hosts if (preset := presets.of_host(host))}
    return sorted(found.items(), key=lambda pair: pair[1].casefold())


def known_providers() -> frozenset[str]:
    """The ids of all providers."""
    return frozenset(preset.id for preset in presets.presets())
