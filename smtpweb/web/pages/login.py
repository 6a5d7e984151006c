"""Create the first account; sign in and out."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlsplit

from flask import (
    Blueprint,
    current_app,
    flash,
    redirect,
    request,
    session,
    url_for,
)
from flask_babel import gettext as _
from flask_login import current_user, login_user
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from ... import installation
from ...accounts import sessions, users
from ...database.models import User
from ...database.secret_box import digest_of
from ..http import auth, i18n
from .forms import LoginForm, SetUpForm

bp = Blueprint("login", __name__)  # for users who are not signed in
bp.url_value_preprocessor(auth.require_utf8)

# Wrong codes are counted as if the code were the password of an account.
_SET_UP = digest_of("\x00set-up code")


@bp.route("/setup", methods=["GET", "POST"])
def set_up() -> AnyResponse:
    """Create the first account of this installation, once."""
    if not installation.needs_first_account():
        return redirect(url_for(".sign_in"))
    form = SetUpForm()
    if form.validate_on_submit():
        with form.catches():
            users.refuse_guessing(_SET_UP, auth.network())
            if not _is_set_up_code(form.code.data):
                users.count_failure(_SET_UP, auth.network())
                form.code.errors = [_("This is not the code printed on the console.")]
                return form.page("login/set_up.html")
            user = users.create_first_user(
                form.accepted["name"], form.accepted["email"], form.password.data
            )
            enter(user)
            flash(
                _("Welcome. Start by creating the app that you want to send email from."), "success"
            )
            return redirect(url_for("pages.list_apps"), 303)
    return form.page("login/set_up.html")


def _is_set_up_code(typed: str) -> bool:
    def bare(code: str) -> bytes:
        return "".join(code.upper().replace("-", "").split()).encode(errors="replace")

    return hmac.compare_digest(bare(typed), bare(installation.set_up_code()))


@bp.route("/login", methods=["GET", "POST"])
def sign_in() -> AnyResponse:
    """Sign in, and redirect to the page that was requested before."""
    if installation.needs_first_account():
        session.clear()  # there, "sign in to see this page" would be wrong advice
        return redirect(url_for(".set_up"))
    if current_user.is_authenticated:
        return redirect(_destination())
    form = LoginForm()
    if form.validate_on_submit():
        with form.catches():
            user = users.sign_in(form.name.data, form.password.data, auth.network())
            if user:
                enter(user)
                return redirect(_destination(), 303)
            form.form_errors.append(_("The user name or the password is wrong."))
    return form.page("login/sign_in.html")


@bp.post("/logout")
def sign_out() -> AnyResponse:
    """End the session, also in the database, so that a copy of the cookie becomes useless."""
    if current_user.is_authenticated:
        sessions.close_session(auth.user().session_key)
    session.clear()
    flash(_("Signed out."), "success")
    return redirect(url_for(".sign_in"), 303)


def enter(user: User) -> None:
    """Start a browser session of this user, replacing the previous one."""
    # Anything an attacker may have put into the cookie must not survive (session fixation).
    session.clear()
    session.permanent = True
    login_user(sessions.open_session(user))
    i18n.remember(user)


def _destination() -> str:
    """Return the URL to redirect to after signing in: the page in ``next``, or the home page.

    The URL is rebuilt from the route that ``next`` matches, never used directly.
    """
    try:
        wanted = urlsplit(request.args.get("next", ""))
        if wanted.scheme or wanted.netloc:
            raise ValueError("leads elsewhere")
        endpoint, found = current_app.url_map.bind("").match(wanted.path, method="GET")
    except (ValueError, HTTPException):  # not a URL, or not a page
        endpoint, found = "", {}
    if endpoint.partition(".")[0] in ("pages", "account"):
        return url_for(endpoint, page=dict(parse_qsl(wanted.query)).get("page"), **found)
    return url_for("pages.home")
