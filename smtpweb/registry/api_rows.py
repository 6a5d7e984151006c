"""What the API reads often: the caller's token and the rows of the call in one statement.

Each statement is built once and takes its values as parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    and_,
    bindparam,
    func,
    literal,
    select,
    true,
)

from ..accounts import tokens
from ..accounts.ownership import may_see_app
from ..database.models import ApiToken, App, Smtp, SmtpOauth
from ..database.prepared import PreparedSelect
from ..database.rows import AppRow, TokenAndApp, TokenAndSmtp
from ..database.session import AnySelect
from . import grants


def smtps_of_app(digest: str, app_id: str) -> Sequence[TokenAndSmtp]:
    """Return token, app and its SMTP servers in one statement; no rows without a valid token.

    ``app_found`` is null if the token's owner has no such app, ``id`` if it has no SMTP servers.
    """
    return _rows(_BY_APP, digest, app_id)


def smtp_by_id(digest: str, smtp_id: str) -> Sequence[TokenAndSmtp]:
    """Return token and SMTP server in one statement; ``app_found`` is null if not the owner's."""
    return _rows(_BY_ID, digest, smtp_id)


def apps_by_name(digest: str, page: int, size: int) -> Sequence[TokenAndApp]:
    """Return the token and one page (from 0) of its owner's apps, by name, in one statement.

    No rows without a valid token; one whose ``app`` is None if the page is empty.
    """
    return _app_rows(_APPS, digest, {"start": page * size, "size": size})


def app_by_id(digest: str, app_id: str) -> Sequence[TokenAndApp]:
    """Return the token and the app in one statement; ``app`` is None if not the owner's."""
    return _app_rows(_APP_BY_ID, digest, {"wanted": app_id})


def _app_rows(
    statement: PreparedSelect, digest: str, values: dict[str, object]
) -> Sequence[TokenAndApp]:
    split = len(TokenAndApp._fields) - 1
    return [
        TokenAndApp._make([*row[:split], AppRow._make(row[split:]) if row[split] else None])
        for row in statement.rows(tokens.token_values(digest) | values)
    ]


def _rows(statement: PreparedSelect, digest: str, wanted: str) -> Sequence[TokenAndSmtp]:
    values = tokens.token_values(digest) | {"wanted": wanted}
    return [TokenAndSmtp._make(row) for row in statement.rows(values)]


_APP_COLUMNS = (App.id.label("app_found"), App.defaultfromemail.label("app_sender"))
_OAUTH_COLUMNS = grants.COLUMNS
_SMTP_COLUMNS = tuple(
    getattr(Smtp, name)
    for name in TokenAndSmtp._fields[
        len(tokens.TOKEN_COLUMNS) + len(_APP_COLUMNS) : -len(_OAUTH_COLUMNS)
    ]
)
_WANTED: BindParameter[str] = bindparam("wanted")


def _token_and_app(which: ColumnElement[bool]) -> AnySelect:
    return (
        select(*tokens.TOKEN_COLUMNS, *_APP_COLUMNS, *_SMTP_COLUMNS, *_OAUTH_COLUMNS)
        .select_from(ApiToken)
        .outerjoin(App, and_(may_see_app(ApiToken.user_id), which))
        .where(tokens.TOKEN_IS_VALID)
    )


_BY_APP = PreparedSelect(
    _token_and_app(App.id == _WANTED)
    .outerjoin(Smtp, Smtp.app_id == App.id)
    .outerjoin(SmtpOauth, SmtpOauth.smtp_id == Smtp.id)
    .order_by(Smtp.priority, Smtp.created, Smtp.id)
)
_BY_ID = PreparedSelect(
    _token_and_app(App.id == select(Smtp.app_id).where(Smtp.id == _WANTED).scalar_subquery())
    .outerjoin(Smtp, and_(Smtp.app_id == App.id, Smtp.id == _WANTED))
    .outerjoin(SmtpOauth, SmtpOauth.smtp_id == Smtp.id)
)

_APP_ROW = tuple(getattr(App, name) for name in AppRow._fields)
_OWNER = select(ApiToken.user_id).where(tokens.TOKEN_IS_VALID).scalar_subquery()
_PAGE = (
    select(*_APP_ROW, App.sort_name)
    .where(may_see_app(_OWNER))
    .order_by(App.sort_name, App.id)
    .offset(bindparam("start", type_=Integer))
    .limit(bindparam("size", type_=Integer))
    .subquery()
)
_APPS = PreparedSelect(
    select(
        *tokens.TOKEN_COLUMNS,
        select(func.count())
        .select_from(App)
        .where(may_see_app(_OWNER))  # not of the row, or all would be counted for each row
        .scalar_subquery()
        .label("total"),
        *(_PAGE.c[name].label(f"app_{name}") for name in AppRow._fields),
    )
    .select_from(ApiToken)
    .outerjoin(_PAGE, true())
    .where(tokens.TOKEN_IS_VALID)
    .order_by(_PAGE.c.sort_name, _PAGE.c.id)
)
_APP_BY_ID = PreparedSelect(
    select(
        *tokens.TOKEN_COLUMNS,
        literal(1).label("total"),
        *(column.label(f"app_{column.key}") for column in _APP_ROW),
    )
    .select_from(ApiToken)
    .outerjoin(App, and_(may_see_app(ApiToken.user_id), App.id == _WANTED))
    .where(tokens.TOKEN_IS_VALID)
)
