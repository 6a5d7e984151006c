"""Each error becomes one reply: problem+json (RFC 9457) for the API, a page elsewhere."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from flask import Flask, Response, g, render_template
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import ObjectDeletedError
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import NotFound as PageNotFound

from .. import smtps
from ..errors import (
    BadInput,
    Busy,
    CredentialsNotValid,
    EditConflict,
    NameTaken,
    NotAuthorized,
    NotFound,
    SecretUnreadable,
    Sentence,
    SmtpwebError,
    TooMany,
)
from ..models import Check
from . import language, wire

log = logging.getLogger(__name__)

# (status on the API, status on a page)
_STATUS: dict[type[SmtpwebError], tuple[int, int]] = {
    BadInput: (400, 400),
    NotAuthorized: (401, 401),
    CredentialsNotValid: (403, 403),
    NotFound: (406, 404),
    NameTaken: (406, 409),
    SecretUnreadable: (406, 409),
    EditConflict: (409, 409),
    TooMany: (429, 429),
    Busy: (503, 503),
}

# What a page says instead of Werkzeug's own words; the names of the statuses are its titles.
_HTTP_NAMES = (
    Sentence("Bad Request"),
    Sentence("Not Found"),
    Sentence("Method Not Allowed"),
    Sentence("Request Entity Too Large"),
    Sentence("Unsupported Media Type"),
)
_HTTP_DETAILS = {
    404: Sentence("There is no page at this address. If you typed it, check its spelling."),
    405: Sentence("This address cannot be asked in this way."),
    413: Sentence("What was sent is too large. Nothing was changed."),
}


def register(app: Flask) -> None:
    """Handle errors for the whole app: a blueprint never sees unknown URLs under its prefix."""
    app.register_error_handler(SmtpwebError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(CSRFError, _not_from_our_form)
    for failure in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(failure, _storage)
    app.register_error_handler(ObjectDeletedError, _gone)
    app.register_error_handler(Exception, _bug)


def failed_check(check: Check) -> Response:
    """The answer to a check that the server did not pass."""
    report = check.report
    if report is None:
        raise AssertionError("a finished check without a report")
    members: dict[str, Any] = {
        "stage": report.stage,
        "reply": None,
        "advice": " ".join(report.advice),
        "steps": list(report.advice),
        "temporary": report.temporary,
        "side": report.side,
        "idcheck": check.id,
    }
    if report.reply:
        members["reply"] = {
            "code": report.reply.code,
            "enhanced": report.reply.enhanced,
            "text": report.reply.text,
        }
    if report.alternatives:
        members["alternatives"] = [
            {"port": mode.port, "encryption": mode.encryption} for mode in report.alternatives
        ]
    smtp = check.smtp
    _, found = smtps.judge(smtp, smtp.app.defaultfromemail)
    warnings = wire.warnings(found)
    warnings += [
        {"parameter": None, "code": "NOTICED", "message": text} for text in report.warnings
    ]
    if warnings:
        members["warnings"] = warnings
    return _problem(406, report.title, report.meaning, report.code, members)


def _known(error: SmtpwebError) -> Response:
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
    detail = error.detail
    if isinstance(error, BadInput) and not language.is_api():
        detail = "; ".join(
            f"{name}: {' '.join(map(language.say, told))}" for name, told in error.errors.items()
        )
    return _reply(on_api, on_page, error.title, detail, error.code, members, headers)


def _http(error: HTTPException) -> Response:
    if error.code is None or error.response is not None:  # a redirect, or a reply made already
        return error.get_response()  # type: ignore[return-value]
    code = error.name.upper().replace(" ", "_")
    # RFC 9457, 4.2.1: this type says that the title is no more than the status in words.
    members = {"type": "about:blank"}
    headers = {
        name: value
        for name, value in error.get_headers()
        if name.lower() in ("allow", "retry-after", "www-authenticate")
    }
    detail: str = error.description or error.name
    if not language.is_api():
        detail = _HTTP_DETAILS.get(error.code, detail)
    return _reply(error.code, error.code, error.name, detail, code, members, headers)


def _not_from_our_form(_error: CSRFError) -> Response:
    return _reply(
        400, 400, Sentence("This form is out of date"),
        Sentence(
            "It was opened before you signed in or out, or your browser does not keep cookies of"
            " this site. Nothing was changed. Go back, copy what you typed, reload the page, and"
            " send the form again."
        ),
        "CSRF", {}, {},
    )  # fmt: skip


def _storage(error: DBAPIError | PoolTimeout) -> Response:
    """The database is locked, full or away: ours to mend, and nothing was written."""
    cause = str(getattr(error, "orig", None) or "no free connection").splitlines()[0]
    log.error("storage: %s", cause)
    full = "full" in cause or "No space" in cause
    detail = (
        Sentence("The storage is full. Nothing was changed.")
        if full
        else Sentence("The storage cannot be reached at this moment. Nothing was changed.")
    )
    return _reply(
        503, 503, Sentence("Storage not available"), detail, "STORAGE", {},
        {"Retry-After": "5"},
    )  # fmt: skip


def _gone(_error: ObjectDeletedError) -> Response:
    """What a page shows was removed between two looks at it, which PostgreSQL lets happen."""
    return _http(PageNotFound())


def _bug(error: Exception) -> Response:
    number = secrets.token_hex(8)
    log.error("request %s failed", number, exc_info=error)
    return _reply(
        500, 500, Sentence("Internal error"),
        Sentence("This is our fault. It was logged as %(number)s.", number=number),
        "INTERNAL_ERROR", {"request": number}, {},
    )  # fmt: skip


def _reply(
    on_api: int,
    on_page: int,
    title: str,
    detail: str,
    code: str,
    members: dict[str, Any],
    headers: dict[str, str],
) -> Response:
    if language.is_api():
        response = _problem(on_api, title, detail, code, members)
    else:
        g.failed = True  # the layout must not ask the storage who is signed in
        page = render_template(
            "errors/error.html",
            title=language.say(title),
            detail=language.say(detail),
            status=on_page,
        )
        response = Response(page, on_page, mimetype="text/html")
    response.headers.update(headers)
    return response


def _problem(status: int, title: str, detail: str, code: str, members: dict[str, Any]) -> Response:
    kind = f"urn:smtpweb:{code.lower().replace('_', '-')}"
    problem = {"type": kind, "title": title, "status": status, "detail": detail}
    return wire.reply(problem | {"code": code} | members, status, "application/problem+json")
