"""Authentication: a browser session on the pages, a bearer token on the API, never both."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import unquote_to_bytes

from flask import current_app, g, request
from flask_login import current_user
from werkzeug.routing import BaseConverter
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response

from ...accounts import tokens, users
from ...accounts.tokens import ALL_SCOPES, Caller
from ...database.models import User
from ...database.rows import TokenRow
from ...database.secret_box import digest_of
from ...errors import BadInput, CredentialsNotValid, NotAuthorized, Sentence

V = TypeVar("V", bound=Callable[..., object])
P = ParamSpec("P")
R = TypeVar("R", bound=TokenRow)

_URL = re.compile(r"https?://[!-;=?-~]{1,400}", re.ASCII)  # no <, > or space
UNKNOWN_TOKEN = "The token is unknown, expired or revoked: sign in again."  # noqa: S105

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


class IdConverter(BaseConverter):
    """Match an id in the URL of a page; anything else is a 404 without a database query."""

    regex = "[0-9a-f]{24}"


@dataclass(frozen=True)
class Needs:
    """What an API view requires of its caller.

    No token has the scope "", so the default fails closed.
    """

    scope: str = ""
    joined: bool = False


_NEEDS: dict[Callable[..., object], Needs] = {}  # by view


def needs_of(view: Callable[..., object]) -> Needs:
    """Return what :func:`needs` declared for this view."""
    return _NEEDS.get(view, Needs())


def needs(scope: str, *, joined: bool = False) -> Callable[[V], V]:
    """Declare the scope that an API view requires; every view behind the guard must have one.

    ``joined``: the view looks up the token itself with :func:`caller_and`, in the same statement
    as the rows that it reads.
    """

    def mark(view: V) -> V:
        _NEEDS[view] = Needs(scope, joined)
        return view

    return mark


def require_token() -> None:
    """Guard the API: set ``g.caller``, or refuse the request."""
    needs = needs_of(current_app.view_functions[request.endpoint or ""])
    g.token_digest = _token_digest()
    g.scope = needs.scope
    if not needs.joined:
        _admit(tokens.find_caller(g.token_digest))


def caller_and(
    rows_of: Callable[Concatenate[str, P], Sequence[R]], *wanted: P.args, **named: P.kwargs
) -> tuple[Caller, Sequence[R]]:
    """Return the caller and the rows of ``rows_of(token digest, ...)``, read in one statement."""
    rows = rows_of(g.token_digest, *wanted, **named)
    return _admit(rows), rows


def _admit(rows: Sequence[TokenRow]) -> Caller:
    if not rows:
        raise CredentialsNotValid(UNKNOWN_TOKEN)
    caller = tokens.caller_of(rows[0])
    if not caller.may(g.scope):
        raise NotAuthorized(f"This call requires a token with the scope {g.scope!r}.")
    g.caller = caller
    return caller


def _token_digest() -> str:
    token = bearer(request.headers.get("Authorization", ""))
    if token is None:
        raise NotAuthorized("Send 'Authorization: Bearer TOKEN'.")
    return digest_of(token)


def bearer(header: str) -> str | None:
    """Return the token in an Authorization header (RFC 6750 2.1); None if there is none."""
    found = _BEARER.fullmatch(header)
    return found[1] if found else None


def require_login() -> Response | None:
    """Guard the pages: redirect a visitor who is not signed in to the sign-in page."""
    if not current_user.is_authenticated:
        sent_away: Response = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        return sent_away
    return None


def require_utf8(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Refuse a form in another charset, whose escapes Werkzeug would treat as literal text.

    Runs as a URL preprocessor, before the CSRF check reads the form.
    """
    if request.mimetype == "application/x-www-form-urlencoded":
        try:
            unquote_to_bytes(request.get_data()).decode()
        except UnicodeDecodeError:
            raise BadInput({"form": [Sentence("Is not valid UTF-8 text.")]}) from None


def user() -> User:
    """Return the signed-in user, on a page behind :func:`require_login`."""
    found: User = current_user._get_current_object()
    return found


def page_caller() -> Caller:
    """Return the signed-in user as the caller of an operation; a session has all scopes."""
    return Caller(user().id, ALL_SCOPES)


def base_url() -> str | None:
    """Return the base URL of this request for links in emails; None if it is not usable in one."""
    url = iri_to_uri(request.root_url).rstrip("/")
    return url if _URL.fullmatch(url) else None


def shown_url() -> str:
    """Return the base URL for examples on a page: a made-up one if that of the request is bad."""
    return base_url() or "https://smtpweb.example.com"


def network() -> str:
    """Return the network that the request came from, for counting failed sign-ins."""
    return users.network_of(request.remote_addr)
