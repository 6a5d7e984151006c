"""API tokens, and the callers that they identify."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, bindparam, delete, or_, select, update

from .. import validators
from ..database.models import ApiToken, User
from ..database.prepared import PreparedSelect
from ..database.rows import TokenAlone, TokenRow
from ..database.secret_box import digest_of
from ..database.session import db, note, now, writing
from ..errors import BadInput, NotFound, Sentence
from . import users
from .sessions import LAST_USED_GRAIN

LOGIN_TOKEN_LIFE = timedelta(hours=24)
ALL_SCOPES = frozenset(validators.SCOPES)


@dataclass(frozen=True)
class Caller:
    """Who is calling, and what they may do."""

    user_id: str
    scopes: frozenset[str]
    token_id: str | None = None  # None: a browser session or a command

    def may(self, scope: str) -> bool:
        """Whether ``scope`` was granted."""
        return scope in self.scopes


def login_token(user: User) -> str:
    """Create a token with all scopes that lives for 24 hours, for a client that signed in."""
    with writing() as session:
        session.execute(
            delete(ApiToken).where(ApiToken.personal.is_(False), ApiToken.expires < now())
        )
        return _add_token(user.id, False, "login", validators.SCOPES, now() + LOGIN_TOKEN_LIFE)


def personal_token(
    user: User, label: str, scopes: Iterable[str], expires: datetime | None = None
) -> str:
    """Create a personal token and return it: only its digest is kept. Raises :class:`BadInput`."""
    accepted = validators.accept(label=(validators.display_name, label.strip()))
    if not accepted["label"]:
        raise BadInput({"label": [Sentence("Enter what this token is for.")]})
    chosen = tuple(dict.fromkeys(scopes))
    for scope in chosen:
        validators.accept(scopes=(validators.scope, scope))
    if not chosen:
        raise BadInput({"scopes": [Sentence("Select at least one scope.")]})
    with writing():
        return _add_token(user.id, True, accepted["label"], chosen, expires)


def personal_token_in_browser(
    user: User,
    label: str,
    scopes: Sequence[str],
    expires: datetime | None,
    *,
    password: str,
    network: str,
) -> str:
    """Create a personal token from a browser session.

    The scopes ``secrets`` and ``token`` need the current password: otherwise a browser left open
    for a minute would give lasting access to all SMTP passwords and mailboxes. Raises
    :class:`BadInput`, and :class:`TooMany` as :func:`.users.sign_in` does.
    """
    if {"secrets", "token"} & set(scopes):
        if not password:
            message = Sentence(
                "Enter your current password to create a token that can read passwords or get"
                " access tokens."
            )
            raise BadInput({"confirm_password": [message]})
        users.confirm(user, "confirm_password", password, network)
    return personal_token(user, label, scopes, expires)


def _add_token(
    user_id: str, personal: bool, label: str, scopes: Iterable[str], expires: datetime | None
) -> str:
    # The prefix lets people, and scanners for leaked secrets, recognise the token.
    token = f"smw_{secrets.token_urlsafe(32)}"
    db.session.add(
        ApiToken(
            user_id=user_id,
            digest=digest_of(token),
            personal=personal,
            label=label,
            scopes=" ".join(scopes),
            expires=expires,
        )
    )
    return token


def personal_tokens(user: User) -> list[ApiToken]:
    """The user's personal tokens, newest first."""
    return list(
        db.session.scalars(
            select(ApiToken)
            .where(ApiToken.user_id == user.id, ApiToken.personal)
            .order_by(ApiToken.created.desc(), ApiToken.id)
        )
    )


def personal_token_of(user: User, token_id: str) -> ApiToken:
    """The user's personal token with this id; raises :class:`NotFound`."""
    token = db.session.scalar(
        select(ApiToken).where(
            ApiToken.user_id == user.id, ApiToken.personal, ApiToken.id == token_id
        )
    )
    if token is None:
        raise NotFound("Token")
    return token


def revoke_token(user: User, token_id: str) -> None:
    """Delete one of the user's tokens; raises :class:`NotFound`."""
    with writing() as session:
        result = session.execute(
            delete(ApiToken).where(ApiToken.user_id == user.id, ApiToken.id == token_id)
        )
        if not result.rowcount:  # type: ignore[attr-defined]
            raise NotFound("Token")


def find_caller(digest: str) -> Sequence[TokenRow]:
    """Return the row of the valid token with this digest, if there is one."""
    return [TokenAlone._make(row) for row in _TOKEN.rows(token_values(digest))]


def token_values(digest: str) -> dict[str, object]:
    """Return the parameters of :data:`TOKEN_COLUMNS` and :data:`TOKEN_IS_VALID`."""
    return {"token_digest": digest, "token_now": now()}


# Frequent reads select the token with their own rows, in one statement that is built once.
TOKEN_COLUMNS = (
    ApiToken.id.label("token_id"),
    ApiToken.user_id.label("user_id"),
    ApiToken.scopes.label("scopes"),
    ApiToken.last_used.label("last_used"),
)
TOKEN_IS_VALID = and_(
    ApiToken.digest == bindparam("token_digest"),
    or_(ApiToken.expires.is_(None), ApiToken.expires > bindparam("token_now")),
)
_TOKEN = PreparedSelect(select(*TOKEN_COLUMNS).where(TOKEN_IS_VALID))


def caller_of(row: TokenRow) -> Caller:
    """The caller in a row with :data:`TOKEN_COLUMNS`; notes the token's use every few minutes."""
    moment = now()
    if row.last_used is None or row.last_used < moment - LAST_USED_GRAIN:
        note(update(ApiToken).where(ApiToken.id == row.token_id).values(last_used=moment))
    return Caller(row.user_id, frozenset(row.scopes.split()), row.token_id)
