"""What the API reads often: the caller's token and the rows of the call in one statement.

Each statement is built once and takes its values as parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, select

from ..accounts import tokens
from ..accounts.ownership import may_see_app
from ..database.models import ApiToken, App, Smtp
from ..database.rows import TokenAndSmtp
from ..database.session import AnySelect, fetch


def smtps_of_app(digest: str, app_id: str) -> Sequence[TokenAndSmtp]:
    """Return token, app and its SMTP servers in one statement; no rows without a valid token.

    ``app_found`` is null if the token's owner has no such app, ``id`` if it has no SMTP servers.
    """
    return _rows(_BY_APP, digest, app_id)


def smtp_by_id(digest: str, smtp_id: str) -> Sequence[TokenAndSmtp]:
    """Return token and SMTP server in one statement; ``app_found`` is null if not the owner's."""
    return _rows(_BY_ID, digest, smtp_id)


def _rows(statement: AnySelect, digest: str, wanted: str) -> Sequence[TokenAndSmtp]:
    values = tokens.token_values(digest) | {"wanted": wanted}
    return [TokenAndSmtp._make(row) for row in fetch(statement, values)]


_APP_COLUMNS = (App.id.label("app_found"), App.defaultfromemail.label("app_sender"))
_SMTP_COLUMNS = tuple(
    getattr(Smtp, name)
    for name in TokenAndSmtp._fields[len(tokens.TOKEN_COLUMNS) + len(_APP_COLUMNS) :]
)
_WANTED: BindParameter[str] = bindparam("wanted")


def _token_and_app(which: ColumnElement[bool]) -> AnySelect:
    return (
        select(*tokens.TOKEN_COLUMNS, *_APP_COLUMNS, *_SMTP_COLUMNS)
        .select_from(ApiToken)
        .outerjoin(App, and_(may_see_app(ApiToken.user_id), which))
        .where(tokens.TOKEN_IS_VALID)
    )


_BY_APP = (
    _token_and_app(App.id == _WANTED)
    .outerjoin(Smtp, Smtp.app_id == App.id)
    .order_by(Smtp.priority, Smtp.created, Smtp.id)
)
_BY_ID = _token_and_app(
    App.id == select(Smtp.app_id).where(Smtp.id == _WANTED).scalar_subquery()
).outerjoin(Smtp, and_(Smtp.app_id == App.id, Smtp.id == _WANTED))
