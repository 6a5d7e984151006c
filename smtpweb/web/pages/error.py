"""The error page."""

from __future__ import annotations

import logging

from flask import Response, current_app, g, render_template, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from ...database.session import cause, db
from ...errors import Sentence
from ..errors import Problem
from ..http import i18n
from . import drafts

log = logging.getLogger(__name__)

# Page texts that replace Werkzeug's status names and descriptions
_HTTP_TITLES = {
    400: Sentence("The request could not be understood"),
    404: Sentence("Page not found"),
    405: Sentence("Nothing to show at this address"),
    413: Sentence("The request is too large"),
    415: Sentence("This kind of file is not accepted"),
}
_HTTP_DETAILS = {
    404: Sentence("There is no page at this address. If you typed it, check its spelling."),
    405: Sentence(
        "It is the address of a button, which does something only when it is pressed on its page."
        " Nothing was changed."
    ),
    413: Sentence("The request is too large. Nothing was changed."),
    415: Sentence("Nothing was changed."),
}
# What an address names, by how it begins, if there is no such page
_MISSING = {
    "apps": Sentence("There is no such app: the ID in the address is not complete, or misspelled."),
    "smtps": Sentence(
        "There is no such SMTP server: the ID in the address is not complete, or misspelled."
    ),
    "checks": Sentence(
        "There is no such check: the ID in the address is not complete, or misspelled."
    ),
    "start": Sentence("There is no provider with this name in the list."),
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
    is_get = request.method in ("GET", "HEAD")
    return render_template(
        "errors/error.html",
        title=i18n.say(_title(problem)),
        detail=_detail(problem),
        status=problem.status_of_page,
        again=problem.status_of_page == 503 and is_get,
        retry=_retry_url(problem.status_of_page),
        # Above an object that does not exist, there is nothing to see either.
        parent=_nearest_page() if problem.members.get("type") == "about:blank" else "",
        sent=not is_get,
        form_again=drafts.shown_again() if problem.status_of_page in (429, 503) else None,
    )


def _title(problem: Problem) -> str:
    if problem.members.get("type") == "about:blank":
        return _HTTP_TITLES.get(problem.status_of_page, problem.title)
    return problem.title


def _retry_url(status: int) -> str:
    """Return the URL to try again, "" if that cannot help. What was posted is not posted again."""
    if status in (400, 404, 405, 413, 415) and request.method in ("GET", "HEAD"):
        return ""
    path = request.path
    if request.method in ("GET", "HEAD"):
        return request.full_path if request.query_string else path
    return path if _is_page(path) else _nearest_page()


def _nearest_page() -> str:
    """Return the URL of the page above this one, such as that of a server above its actions."""
    path = request.path
    while path := path.rstrip("/").rpartition("/")[0]:
        if _is_page(path):
            return path
    return ""


def _is_page(path: str) -> bool:
    try:
        current_app.url_map.bind("").match(path, method="GET")
    except HTTPException:
        return False
    return True


def _detail(problem: Problem) -> str:
    if problem.members.get("type") == "about:blank":
        detail = _HTTP_DETAILS.get(problem.status_of_page, problem.detail)
        if problem.status_of_page == 404:
            detail = _MISSING.get(request.path.split("/")[1], detail)
        return i18n.say(detail)
    messages: dict[str, list[str]] = {}
    for error in problem.members.get("errors", ()):
        messages.setdefault(error["parameter"], []).append(i18n.say(error["message"]))
    if messages:
        return "; ".join(f"{name}: {' '.join(texts)}" for name, texts in messages.items())
    return i18n.say(problem.detail)
