"""SMTP servers that are registered more than once by the same owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, select
from sqlalchemy.orm import aliased

from ..accounts.ownership import may_see_app
from ..database.models import App, Smtp
from ..database.session import AnyRow, AnySelect, db
from ..mailcheck.core.once import once
from . import names

MOST = 20  # that are returned for each server


def of(user_id: str, smtp_ids: Sequence[str]) -> Mapping[str, Sequence[AnyRow]]:
    """Return the user's other servers with the same host, port and user name, in one statement.

    By id, of those of ``smtp_ids`` that have any. Rows are (id, of, app_name, ``names.COLUMNS``).
    """
    rows = db.session.execute(_doubles(), {"user_id": user_id, "smtp_ids": smtp_ids})
    found: dict[str, list[AnyRow]] = {}
    for row in rows:
        others = found.setdefault(row.of, [])
        if len(others) < MOST:
            others.append(row)
    return found


@once
def _doubles() -> AnySelect:
    original = aliased(Smtp)
    return (
        select(Smtp.id, original.id.label("of"), App.name.label("app_name"), *names.COLUMNS)
        .join(Smtp.app)
        .join(
            original,
            (original.host == Smtp.host)
            & (original.port == Smtp.port)
            & original.username.is_not_distinct_from(Smtp.username)
            & (original.id != Smtp.id),
        )
        .where(
            may_see_app(bindparam("user_id")),
            original.id.in_(bindparam("smtp_ids", expanding=True)),
        )
        .order_by(App.name, Smtp.priority, Smtp.created, Smtp.id)
    )
