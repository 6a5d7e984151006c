"""The language of a page: the one set in the account, otherwise the browser's."""

from __future__ import annotations

from flask import Flask, Response, g, request, session
from flask_babel import get_locale, gettext
from flask_login import current_user

from ...config import ROOT
from ...database.models import User
from ...errors import Sentence
from ...extensions import babel
from ...validators import LANGUAGES

API_PREFIXES = ("/private/", "/auth/", "/api/", "/probe/")


def register(app: Flask) -> None:
    """Set up gettext for templates and views."""
    babel.init_app(
        app,
        default_translation_directories=str(ROOT / "translations"),
        locale_selector=_choose,
    )
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.globals["language"] = spoken
    app.jinja_env.filters["say"] = say
    app.after_request(_say)


def spoken() -> str:
    """Return this response's language: a key of ``LANGUAGES``, valid in a ``lang`` attribute."""
    return str(get_locale())


def remember(user: User) -> None:
    """Store the account's language in the session: error pages do not query the database."""
    session["language"] = user.language


def say(text: str) -> str:
    """Translate a text of an operation, such as an error, to the language of this response."""
    if isinstance(text, Sentence):
        return str(
            gettext(
                text.template,
                **{n: say(v) if isinstance(v, Sentence) else v for n, v in text.values.items()},
            )
        )
    return str(gettext(text)) if text else ""


def is_api() -> bool:
    """Return whether this is an API request, whose response is JSON."""
    return (request.path + "/").startswith(API_PREFIXES)


def _choose() -> str:
    if is_api():
        return "en"
    if g.get("failed"):
        chosen = session.get("language")
    else:
        chosen = current_user.language if current_user.is_authenticated else None
    if chosen in LANGUAGES:
        return str(chosen)
    for tag, quality in request.accept_languages:  # most preferred first; "es-MX" counts as "es"
        asked = tag.partition("-")[0].lower()
        if asked in LANGUAGES and quality > 0:
            return asked
    return "en"


def _say(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers["Content-Language"] = spoken()
        response.vary.add("Accept-Language")
    return response
