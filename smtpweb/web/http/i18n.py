"""In which language a page speaks: the one that its account chose, else the browser's."""

from __future__ import annotations

from flask import Flask, Response, g, request, session
from flask_babel import get_locale, gettext
from flask_login import current_user

from ...config import ROOT
from ...database.models import User
from ...errors import Sentence
from ...extensions import babel

# Each of ``values.LANGUAGES`` by its own name. The API and its errors are in English.
LANGUAGES = {"en": "English", "es": "Español"}
API_PREFIXES = ("/private/", "/auth/", "/api/", "/probe/")


def register(app: Flask) -> None:
    """Let templates and views speak through gettext."""
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
    """The language of this reply: a key of ``LANGUAGES``, fit for an attribute ``lang``."""
    return str(get_locale())


def remember(user: User) -> None:
    """Keep the choice of the account in the session, for error pages: they ask no storage."""
    session["language"] = user.language


def say(text: str) -> str:
    """A text of an operation, such as why it refused, in the language of this reply."""
    if isinstance(text, Sentence):
        return str(
            gettext(
                text.template,
                **{n: say(v) if isinstance(v, Sentence) else v for n, v in text.values.items()},
            )
        )
    return str(gettext(text)) if text else ""


def is_api() -> bool:
    """Whether this request is one of the API's, whose replies are JSON."""
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
    for tag, quality in request.accept_languages:  # the most wanted first; "es-MX" is "es" to us
        asked = tag.partition("-")[0].lower()
        if asked in LANGUAGES and quality > 0:
            return asked
    return "en"


def _say(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers["Content-Language"] = spoken()
        response.vary.add("Accept-Language")
    return response
