"""The first account, signing in and out, and the account page with password and tokens."""

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
from flask_babel import refresh
from flask_login import current_user, login_user
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from .. import accounts, installation, tokens
from ..models import User
from . import access, language
from .forms import Form, LanguageForm, LoginForm, PasswordForm, ProfileForm, SetUpForm, TokenForm

bp = Blueprint("login", __name__)  # for those who are not signed in yet, or any more
bp.url_value_preprocessor(access.require_utf8)

account_bp = Blueprint("account", __name__)
account_bp.url_value_preprocessor(access.require_utf8)
account_bp.before_request(access.require_login)

# Failures to give the code are counted as if it were the password of an account.
_SET_UP = accounts.digest_of("\x00set-up code")


@bp.route("/setup", methods=["GET", "POST"])
def set_up() -> AnyResponse:
    """Make the first account of this installation, once."""
    if not installation.needs_first_account():
        return redirect(url_for(".sign_in"))
    form = SetUpForm()
    if form.validate_on_submit():
        with form.catches():
            accounts.refuse_guessing(_SET_UP, access.network())
            if not _is_set_up_code(form.code.data):
                accounts.count_failure(_SET_UP, access.network())
                form.code.errors = [_("This is not the code that was printed on the console.")]
                return form.page("login/set_up.html")
            user = accounts.create_first_user(
                form.accepted["name"], form.accepted["email"], form.password.data
            )
            _enter(user)
            flash(_("Welcome. Begin with the app whose mails you want to send."), "success")
            return redirect(url_for("pages.list_apps"), 303)
    return form.page("login/set_up.html")


def _is_set_up_code(typed: str) -> bool:
    def bare(code: str) -> bytes:
        return "".join(code.upper().replace("-", "").split()).encode(errors="replace")

    return hmac.compare_digest(bare(typed), bare(installation.set_up_code()))


@bp.route("/login", methods=["GET", "POST"])
def sign_in() -> AnyResponse:
    """Sign in, and go on to where the visitor wanted to go."""
    if installation.needs_first_account():
        session.clear()  # "sign in to see this page" would be the wrong advice there
        return redirect(url_for(".set_up"))
    if current_user.is_authenticated:
        return redirect(_destination())
    form = LoginForm()
    if form.validate_on_submit():
        with form.catches():
            user = accounts.sign_in(form.name.data, form.password.data, access.network())
            if user:
                _enter(user)
                return redirect(_destination(), 303)
            form.form_errors.append(_("The user name or the password is wrong."))
    return form.page("login/sign_in.html")


@bp.post("/logout")
def sign_out() -> AnyResponse:
    """End the session, here and in the database: a copy of the cookie is worth nothing."""
    if current_user.is_authenticated:
        accounts.close_session(access.user().session_key)
    session.clear()
    flash(_("You are signed out."), "success")
    return redirect(url_for(".sign_in"), 303)


def _enter(user: User) -> None:
    # What an attacker may have put into the visitor's cookie must not live on in the session.
    session.clear()
    session.permanent = True
    login_user(accounts.open_session(user))
    language.remember(user)


def _destination() -> str:
    """Where to go after signing in: a page of ours that ``next`` names, else the list of apps.

    The address is built anew from the route that ``next`` matches, never taken over.
    """
    try:
        wanted = urlsplit(request.args.get("next", ""))
        if wanted.scheme or wanted.netloc:
            raise ValueError("leads elsewhere")
        endpoint, found = current_app.url_map.bind("").match(wanted.path, method="GET")
    except (ValueError, HTTPException):  # no address at all, or no page
        endpoint, found = "", {}
    if endpoint.partition(".")[0] in ("pages", "account"):
        return url_for(endpoint, page=dict(parse_qsl(wanted.query)).get("page"), **found)
    return url_for("pages.list_apps")


# --- the account page ----------------------------------------------------------------------


@account_bp.get("/account")
def show() -> AnyResponse:
    """The user's name, address, language, password and personal tokens."""
    return _page()


@account_bp.post("/account/profile")
def change_profile() -> AnyResponse:
    """Set another name or address."""
    form = ProfileForm()
    if form.validate_on_submit():
        with form.catches():
            accounts.change_profile(
                access.user(),
                form.accepted["name"],
                form.accepted["email"],
                form.present_password.data,
                access.network(),
            )
            flash(_("Name and email were saved."), "success")
            return redirect(url_for(".show"), 303)
    return _page(profile=form)


@account_bp.post("/account/language")
def change_language() -> AnyResponse:
    """Choose the language of the pages; this browser and all others have it from now on."""
    form = LanguageForm()
    if form.validate_on_submit():
        with form.catches():
            accounts.change_language(access.user(), form.language.data or None)
            language.remember(access.user())
            refresh()  # so that the answer speaks it already
            flash(_("The pages speak English now."), "success")
            return redirect(url_for(".show"), 303)
    return _page(language_form=form)


@account_bp.post("/account/password")
def change_password() -> AnyResponse:
    """Set a new password; other sessions end, this browser gets a new one."""
    form = PasswordForm()
    if form.validate_on_submit():
        with form.catches():
            user = access.user()
            accounts.change_password(
                user,
                form.old_password.data,
                form.password.data,
                access.network(),
                keep_personal=not form.revoke.data,
            )
            _enter(user)
            flash(_("The password was changed. All other browsers were signed out."), "success")
            return redirect(url_for(".show"), 303)
    return _page(password=form)


@account_bp.post("/account/tokens")
def make_token() -> AnyResponse:
    """Make a personal token and show it, this once: it is in this reply and nowhere else."""
    form = TokenForm()
    if form.validate_on_submit():
        with form.catches():
            token = tokens.personal_token(
                access.user(), form.accepted["label"], form.scopes.data, form.expires
            )
            return form.page("account/token.html", token=token)
    return _page(token_form=form)


@account_bp.post("/account/tokens/<id:token_id>/revoke")
def revoke_token(token_id: str) -> AnyResponse:
    """End a personal token."""
    tokens.revoke_token(access.user(), token_id)
    flash(_("The token was revoked."), "success")
    return redirect(url_for(".show"), 303)


@account_bp.get("/account/profile")
@account_bp.get("/account/language")
@account_bp.get("/account/password")
@account_bp.get("/account/tokens")
def back() -> AnyResponse:
    """Who reloads the address of a form that was refused comes back to the account page."""
    return redirect(url_for(".show"))


def _page(**sent: Form) -> AnyResponse:
    """The account page with all its forms; the one that was sent decides about the status."""
    user = access.user()
    forms: dict[str, Form] = {
        "profile": ProfileForm(ProfileForm.of(user), sent=False),
        "language_form": LanguageForm({"language": user.language or ""}, sent=False),
        "password": PasswordForm(sent=False),
        "token_form": TokenForm(sent=False),
    } | sent
    decides = next(iter(sent.values()), forms["profile"])
    return decides.page(
        "account/show.html", user=user, tokens=tokens.personal_tokens(user), **forms
    )
