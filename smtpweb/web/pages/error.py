"""The error page."""

from __future__ import annotations

import logging

from flask import Response, g, render_template, request
from sqlalchemy.exc import SQLAlchemyError

from ...database.session import cause, db
from ...errors import Sentence
from ..errors import Problem
from ..http import i18n
from . import drafts

log = logging.getLogger(__name__)

# Page texts that replace Werkzeug's descriptions; the titles are Werkzeug's status names.
_HTTP_NAMES = (
    Sentence("Bad Request"),
    Sentence("Not Found"),
    Sentence("Method Not Allowed"),
    Sentence("Request Entity Too Large"),
    Sentence("Unsupported Media Type"),
)
_HTTP_DETAILS = {
    404: Sentence("There is no page at this address. If you typed it, check its spelling."),
    405: Sentence("This address does not accept this kind of request."),
    413: Sentence("The request is too large. Nothing was changed."),
}


def reply(problem: Problem) -> Response:
    """Return the page for an error, in the reader's language, with the navigation if possible."""
    response = Response(_page(problem), problem.status_of_page, mimetype="text/html")
    response.headers.update(problem.headers)
    again = problem.headers.get("Retry-After")
    if again and problem.status_of_page == 503 and request.method == "GET":
        # Without scripts, a page that refreshes itself, such as that of a running check, would
        # stop here: keep refreshing.
        response.headers["Refresh"] = again
    return response


def _page(problem: Problem) -> str:
    g.is_error = True
    if problem.status_of_page < 500:
        try:
            return _render(problem)
        except SQLAlchemyError as error:
            log.error("the navigation of an error page: %s", cause(error))
            db.session.rollback()
    g.failed = True  # the layout must not query a failing database for the user
    return _render(problem)


def _render(problem: Problem) -> str:
    return render_template(
        "errors/error.html",
        title=i18n.say(problem.title),
        detail=_detail(problem),
        status=problem.status_of_page,
        again=problem.status_of_page == 503 and request.method == "GET",
        form_again=drafts.shown_again() if problem.status_of_page in (429, 503) else None,
    )


def _detail(problem: Problem) -> str:
    if problem.members.get("type") == "about:blank":
        return i18n.say(_HTTP_DETAILS.get(problem.status_of_page, problem.detail))
    messages: dict[str, list[str]] = {}
    for error in problem.members.get("errors", ()):
        messages.setdefault(error["parameter"], []).append(i18n.say(error["message"]))
    if messages:
        return "; ".join(f"{name}: {' '.join(texts)}" for name, texts in messages.items())
    return i18n.say(problem.detail)
