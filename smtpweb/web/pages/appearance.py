"""Theme and language for everybody, also without an account: a cookie in this browser.

The forms are sent with GET and need no CSRF token: a token would set a session cookie for every
reader of a public page, and the worst that another site could do is to turn a page dark. What is
stored in an account changes only by a POST, on the account page or with the same switch.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, current_app, redirect, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from ...config import settings
from ...validators import LANGUAGES
from ..http import auth, i18n
from ..presentation import dark_theme

bp = Blueprint("appearance", __name__)
bp.url_value_preprocessor(auth.require_utf8)

_YEAR = 365 * 86400
_CHOICES = {
    "theme": (dark_theme.COOKIE, dark_theme.THEMES),
    "language": (i18n.COOKIE, tuple(LANGUAGES)),
}


@bp.get("/appearance")
def choose() -> AnyResponse:
    """Remember the theme or the language in this browser, and return to the page."""
    response = redirect(return_url(), 303)
    for name, (cookie, values) in _CHOICES.items():
        chosen = request.args.get(name)
        if chosen in values:
            response.set_cookie(
                cookie,
                str(chosen),
                max_age=_YEAR,
                secure=settings().secure_cookies,
                httponly=True,
                samesite="Lax",
            )
        elif chosen is not None:  # automatic
            response.delete_cookie(cookie)
    return response


def return_url() -> str:
    """Return the URL of the page in the parameter ``back`` if it is a page of ours, else home."""
    asked = request.values.get("back", "")
    try:
        parts = urlsplit(asked)
        if parts.scheme or parts.netloc or not asked.startswith("/") or "\\" in asked:
            raise ValueError("leads elsewhere")
        endpoint, _values = current_app.url_map.bind("").match(parts.path, method="GET")
    except (ValueError, HTTPException):  # not a URL, or not a page
        return url_for("pages.home")
    return url_for("pages.home") if endpoint == "appearance.choose" else asked
