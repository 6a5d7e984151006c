"""Who is asking: a browser session on the pages, a bearer token on the API, never both."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from flask import current_app, g, request
from flask_login import current_user
from werkzeug.routing import BaseConverter
from werkzeug.urls import iri_to_uri
from werkzeug.wrappers import Response

from ...accounts import tokens, users
from ...accounts.tokens import ALL_SCOPES, Caller
from ...database.models import User
from ...database.rows import TokenRow, with_tokens
from ...database.secret_box import digest_of
from ...database.session import fetch
from ...errors import BadInput, CredentialsNotValid, NotAuthorized, Sentence

V = TypeVar("V", bound=Callable[..., object])
R = TypeVar("R", bound=TokenRow)

_URL = re.compile(r"https?://[!-;=?-~]{1,400}", re.ASCII)  # no <, > or blank
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*) *", re.IGNORECASE)


class IdConverter(BaseConverter):
    """An id in the address of a page. Anything else is no page, and reaches no database."""

    regex = "[0-9a-f]{24}"


@dataclass(frozen=True)
class Needs:
    """What an API view needs of its caller; no token has the scope "", so that fails closed."""

    scope: str = ""
    joined: bool = False


_NEEDS: dict[Callable[..., object], Needs] = {}  # by view


def needs_of(view: Callable[..., object]) -> Needs:
    """What was declared of this view by :func:`needs`."""
    return _NEEDS.get(view, Needs())


def needs(scope: str, *, joined: bool = False) -> Callable[[V], V]:
    """Declare the scope that an API view needs; every view behind the guard must.

    ``joined``: the view looks the token up itself, in one statement with what it reads, by
    :func:`caller_and`.
    """

    def mark(view: V) -> V:
        _NEEDS[view] = Needs(scope, joined)
        return view

    return mark


def require_token() -> None:
    """Guard of the API: puts the caller into ``g.caller``, or refuses."""
    needs = needs_of(current_app.view_functions[request.endpoint or ""])
    g.token_digest = _token_digest()
    g.scope = needs.scope
    if not needs.joined:
        _admit(with_tokens(fetch(tokens.token_rows(g.token_digest))))


def caller_and(rows_of: Callable[[str, str], Sequence[R]], key: str) -> tuple[Caller, Sequence[R]]:
    """The caller, and the rows that ``rows_of(token digest, key)`` found in the same statement."""
    rows = rows_of(g.token_digest, key)
    return _admit(rows), rows


def _admit(rows: Sequence[TokenRow]) -> Caller:
    if not rows:
        raise CredentialsNotValid("The token is unknown, expired or revoked: sign in again.")
    caller = tokens.caller_of(rows[0])
    if not caller.may(g.scope):
        raise NotAuthorized(f"This call requires a token with the scope {g.scope!r}.")
    g.caller = caller
    return caller


def _token_digest() -> str:
    header = request.headers.get("Authorization", "")
    found = _BEARER.fullmatch(header)
    if not found:
        raise NotAuthorized("Send 'Authorization: Bearer TOKEN'.")
    return digest_of(found[1])


def require_login() -> Response | None:
    """Guard of the pages: sends a visitor who is not signed in to the login page."""
    if not current_user.is_authenticated:
        sent_away: Response = current_app.login_manager.unauthorized()  # type: ignore[attr-defined]
        return sent_away
    return None


def require_utf8(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    """Refuse a form in another charset: Werkzeug would take its escapes for the text itself.

    Runs as a URL preprocessor, which is before the CSRF check reads the form.
    """
    if request.mimetype == "application/x-www-form-urlencoded":
        try:
            unquote_to_bytes(request.get_data()).decode()
        except UnicodeDecodeError:
            raise BadInput({"form": [Sentence("Is not valid UTF-8 text.")]}) from None


def user() -> User:
    """The user who is signed in, on a page behind :func:`require_login`."""
    found: User = current_user._get_current_object()
    return found


def page_caller() -> Caller:
    """The same as the caller of an operation: a session may do all that its user may."""
    return Caller(user().id, ALL_SCOPES)


def base_url() -> str | None:
    """Where this request reached us, for links in mails; None where that cannot stand in one."""
    url = iri_to_uri(request.root_url).rstrip("/")
    return url if _URL.fullmatch(url) else None


def network() -> str:
    """The network that the request came from, for counting failed logins."""
    return users.network_of(request.remote_addr)
