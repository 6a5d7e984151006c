"""The language of a page: that of the account, else of a cookie, else the browser's."""

from __future__ import annotations

from gettext import NullTranslations
from typing import Any

from flask import Flask, Response, g, request, session
from flask_babel import Domain, get_locale, gettext
from flask_login import current_user
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from ...config import ROOT
from ...database.models import User
from ...errors import Sentence
from ...extensions import babel
from ...validators import LANGUAGES

COOKIE = "smtpweb_language"
API_PREFIXES = ("/private/", "/auth/", "/api/", "/probe/")


def register(app: Flask) -> None:
    """Set up gettext for templates and views."""
    babel.domain_instance = _Texts()
    babel.init_app(
        app,
        default_translation_directories=str(ROOT / "translations"),
        locale_selector=_choose,
    )
    _install_texts(app)
    app.jinja_env.policies["ext.i18n.trimmed"] = True
    app.jinja_env.globals["language"] = spoken
    app.jinja_env.filters["say"] = say
    app.after_request(_say)


class _Texts(Domain):  # type: ignore[misc]
    """The texts by language. Flask-Babel looks them up by the name that it puts together of it."""

    def __init__(self) -> None:
        super().__init__()
        self._of_language: dict[str, NullTranslations] = {}

    def get_translations(self) -> NullTranslations:
        # Flask-Babel drops this attribute where the language of a request changes
        try:
            kept: NullTranslations | None = g._flask_babel.babel_translations
        except (AttributeError, RuntimeError):  # the latter: outside of a request
            kept = None
        return self._of_this_request() if kept is None else kept

    def _of_this_request(self) -> NullTranslations:
        locale = get_locale()
        if locale is None:
            return NullTranslations()
        found = self._of_language.get(locale.language)
        if found is None:
            found = self._of_language[locale.language] = super().get_translations()
        g._flask_babel.babel_translations = found
        return found


def _install_texts(app: Flask) -> None:
    """Give templates gettext functions that cost little, as a list calls them hundreds of times.

    They work like those of Jinja with "newstyle", which copy the template's context for each call
    in a loop; Flask-Babel's look up the domain of each text again.
    """
    texts = babel.domain_instance.get_translations

    def formatted(context: EvalContext, text: str, values: dict[str, Any]) -> str:
        return (Markup(text) if context.autoescape else text) % values  # noqa: S704 - ours

    @pass_eval_context
    def translate(context: EvalContext, text: str, /, **values: Any) -> str:
        return formatted(context, texts().gettext(text), values)

    @pass_eval_context
    def translate_number(
        context: EvalContext, one: str, many: str, num: int, /, **values: Any
    ) -> str:
        return formatted(context, texts().ngettext(one, many, num), {"num": num} | values)

    @pass_eval_context
    def translate_in(context: EvalContext, where: str, text: str, /, **values: Any) -> str:
        return formatted(context, texts().pgettext(where, text), values)

    @pass_eval_context
    def translate_number_in(
        context: EvalContext, where: str, one: str, many: str, num: int, /, **values: Any
    ) -> str:
        text = texts().npgettext(where, one, many, num)
        return formatted(context, text, {"num": num} | values)

    app.jinja_env.newstyle_gettext = True  # type: ignore[attr-defined]
    app.jinja_env.globals.update(
        _=translate,
        gettext=translate,
        ngettext=translate_number,
        pgettext=translate_in,
        npgettext=translate_number_in,
    )


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
    return is_api_path(request.path)


def is_api_path(path: str) -> bool:
    """Return whether the API is served at this path."""
    return (path + "/").startswith(API_PREFIXES)


def _choose() -> str:
    if is_api():
        return "en"
    if g.get("failed"):
        chosen = session.get("language")
    else:
        chosen = current_user.language if current_user.is_authenticated else None
    for wanted in (chosen, request.cookies.get(COOKIE)):
        if wanted in LANGUAGES:
            return str(wanted)
    for tag, quality in request.accept_languages:  # most preferred first; "es-MX" counts as "es"
        asked = tag.partition("-")[0].lower()
        if asked in LANGUAGES and quality > 0:
            return asked
    return "en"


def _say(response: Response) -> Response:
    if (response.content_type or "").startswith("text/html"):
        response.headers["Content-Language"] = spoken()
        response.vary.add("Accept-Language")
    return response
