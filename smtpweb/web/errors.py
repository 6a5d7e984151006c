"""Convert each error to a :class:`Problem`: statuses, text and code."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import ObjectDeletedError
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as PageNotFound
from werkzeug.wrappers import Response as BaseResponse

from ..checking.tokens import TokenRefused
from ..database.session import cause
from ..errors import (
    BadInput,
    Busy,
    CredentialsNotValid,
    EditConflict,
    KeyReused,
    NameTaken,
    NotAuthorized,
    NotFound,
    QuotaReached,
    SecretUnreadable,
    Sentence,
    SmtpwebError,
    TooMany,
)
from ..mailcheck import Stage
from ..oauth.failure import NoGrant
from ..oauth.sign_in import SignInOver

log = logging.getLogger(__name__)

STORAGE_FAILURES = (OperationalError, InterfaceError, PoolTimeout)

# (status on the API, status on a page)
_STATUS: dict[type[SmtpwebError], tuple[int, int]] = {
    BadInput: (400, 400),
    NotAuthorized: (401, 401),
    CredentialsNotValid: (403, 403),
    NotFound: (406, 404),
    NameTaken: (406, 409),
    QuotaReached: (406, 409),
    KeyReused: (422, 409),
    SecretUnreadable: (406, 409),
    EditConflict: (409, 409),
    NoGrant: (406, 409),
    SignInOver: (409, 409),
    TokenRefused: (406, 409),
    TooMany: (429, 429),
    Busy: (503, 503),
}


@dataclass(frozen=True)
class Problem:
    """An error as reported to clients; the API and the pages each render it in their own way."""

    status_of_api: int
    status_of_page: int
    title: str
    detail: str
    code: str  # stable, for programs
    members: dict[str, Any] = field(
        default_factory=dict
    )  # extension members of the API's problem document
    headers: dict[str, str] = field(default_factory=dict)


def register(
    app: Flask,
    reply: Callable[[Problem], Response],
    rescue: Callable[[], BaseResponse | None],
) -> None:
    """Handle every error of the whole app with ``reply``.

    Blueprint error handlers never see unknown URLs under their prefix. ``rescue`` responds to a
    form whose CSRF token belongs to another session, if its values can be kept.
    """

    def handle(error: type[Exception], describe: Callable[[Any], Problem | BaseResponse]) -> None:
        def answer(raised: Exception) -> BaseResponse:
            found = describe(raised)
            return reply(found) if isinstance(found, Problem) else found

        app.register_error_handler(error, answer)

    handle(SmtpwebError, describe)
    handle(HTTPException, _http)
    handle(CSRFError, lambda error: rescue() or _not_from_our_form(error))
    for failure in STORAGE_FAILURES:
        handle(failure, describe_storage)
    handle(ObjectDeletedError, _gone)
    handle(Exception, _bug)


def describe(error: SmtpwebError) -> Problem:
    """Return the problem for one of our own errors."""
    on_api, on_page = _STATUS[type(error)]
    headers = {}
    if isinstance(error, Busy | TooMany):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, NotAuthorized):
        headers["WWW-Authenticate"] = "Bearer"
    members: dict[str, Any] = {}
    if isinstance(error, BadInput):
        members["errors"] = [
            {"parameter": name, "message": message}
            for name, messages in error.errors.items()
            for message in messages
        ]
    if isinstance(error, TokenRefused):
        found = error.diagnosis
        members = {
            "stage": Stage.TOKEN,
            "advice": " ".join(found.steps),
            "steps": list(found.steps),
            "temporary": found.temporary,
            "side": found.side,
            "confidence": found.confidence,
        }
    return Problem(on_api, on_page, error.title, error.detail, error.code, members, headers)


def _http(error: HTTPException) -> Problem | BaseResponse:
    if error.code is None or error.response is not None:  # a redirect, or already a response
        return error.get_response()
    code = error.name.upper().replace(" ", "_")
    # RFC 9457, 4.2.1: with this type, the title is just the reason phrase of the status.
    members = {"type": "about:blank"}
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() in ("allow", "retry-after", "www-authenticate")
    }
    detail: str = error.description or error.name
    return Problem(error.code, error.code, error.name, detail, code, members, headers)


def _not_from_our_form(_error: CSRFError) -> Problem:
    return Problem(
        400, 400, Sentence("This form has expired"),
        Sentence(
            "You signed in or out after you opened it, or your browser does not accept"
            " cookies from this site. Nothing was changed. Go back, copy what you typed,"
            " reload the page, and send the form again."
        ),
        "CSRF",
    )  # fmt: skip


def describe_storage(error: DBAPIError | PoolTimeout) -> Problem:
    """Return the problem for a locked, full or unreachable database; nothing was written."""
    told = cause(error)
    log.error("storage: %s", told)
    full = "full" in told or "No space" in told
    detail = (
        Sentence("The database is full. Nothing was changed.")
        if full
        else Sentence("The database cannot be reached right now. Nothing was changed.")
    )
    return Problem(
        503, 503, Sentence("Database unavailable"), detail, "STORAGE",
        headers={"Retry-After": "5"},
    )  # fmt: skip


def _gone(_error: ObjectDeletedError) -> Problem | BaseResponse:
    """Return a 404: a row was deleted between two reads of a request, as PostgreSQL allows."""
    return _http(PageNotFound())


def _bug(error: Exception) -> Problem:
    number = secrets.token_hex(8)
    log.error("request %s failed", number, exc_info=error)
    return Problem(
        500, 500, Sentence("Internal error"),
        Sentence(
            "Something went wrong in smtpweb. The error was logged as %(number)s.", number=number
        ),
        "INTERNAL_ERROR", {"request": number},
    )  # fmt: skip
