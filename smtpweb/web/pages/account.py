"""The account page: user name, email address, language, password, personal tokens."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import refresh
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from ...accounts import tokens, users
from ..http import auth, i18n
from . import drafts
from .appearance import return_url
from .forms import Form, LanguageForm, PasswordForm, ProfileForm, TokenForm
from .login import enter

bp = Blueprint("account", __name__)
bp.url_value_preprocessor(auth.require_utf8)
bp.before_request(drafts.require_login)


@bp.get("/account")
def show() -> AnyResponse:
    """Show the account page."""
    return _page(restore=True)


@bp.post("/account/profile")
def change_profile() -> AnyResponse:
    """Change the user name or email address."""
    form = ProfileForm()
    if form.validate_on_submit():
        with form.catches():
            users.change_profile(
                auth.user(),
                form.accepted["name"],
                form.accepted["email"],
                form.present_password.data,
                auth.network(),
            )
            flash(_("Name and email saved."), "success")
            return redirect(url_for(".show"), 303)
    return _page(profile=form)


@bp.post("/account/language")
def change_language() -> AnyResponse:
    """Set the language of the pages, in this and all other browsers."""
    form = LanguageForm()
    if form.validate_on_submit():
        with form.catches():
            users.change_language(auth.user(), form.language.data or None)
            i18n.remember(auth.user())
            refresh()  # so that this response already uses it
            flash(_("Language set to English."), "success")
            # The switch in the footer returns to its page.
            return redirect(return_url() if "back" in request.form else url_for(".show"), 303)
    return _page(language_form=form)


@bp.post("/account/password")
def change_password() -> AnyResponse:
    """Change the password; other sessions end, and this browser gets a new one."""
    form = PasswordForm()
    if form.validate_on_submit():
        with form.catches():
            user = auth.user()
            users.change_password(
                user,
                form.old_password.data,
                form.password.data,
                auth.network(),
                keep_personal=form.keep_tokens.data,
            )
            enter(user)
            flash(_("Password changed. All other browsers were signed out."), "success")
            return redirect(url_for(".show"), 303)
    return _page(password=form)


@bp.post("/account/tokens")
def make_token() -> AnyResponse:
    """Create a personal token and show it once: only this response contains it."""
    form = TokenForm()
    if form.validate_on_submit():
        with form.catches():
            token = tokens.personal_token_in_browser(
                auth.user(),
                form.accepted["label"],
                form.scopes.data or (),
                form.expires,
                password=form.confirm_password.data or "",
                network=auth.network(),
            )
            return form.page(
                "account/token.html",
                token=token,
                label=form.accepted["label"],
                done=url_for(".show"),
            )
    return _page(token_form=form)


@bp.get("/account/tokens/<id:token_id>")
def ask_to_revoke_token(token_id: str) -> str:
    """Ask for confirmation, and show which token it is and when it was used."""
    return render_template(
        "account/revoke.html", token=tokens.personal_token_of(auth.user(), token_id)
    )


@bp.post("/account/tokens/<id:token_id>/revoke")
def revoke_token(token_id: str) -> AnyResponse:
    """Revoke a personal token."""
    tokens.revoke_token(auth.user(), token_id)
    flash(_("Token revoked."), "success")
    return redirect(url_for(".show"), 303)


@bp.get("/account/profile")
@bp.get("/account/language")
@bp.get("/account/password")
@bp.get("/account/tokens")
def back() -> AnyResponse:
    """Redirect to the account page when the URL of a refused form is reloaded."""
    return redirect(url_for(".show"))


def _page(*, restore: bool = False, **sent: Form) -> AnyResponse:
    """Render the account page with all its forms; the one that was sent determines the status.

    ``restore``: restore forms whose session ended.
    """
    user = auth.user()

    def typed(view: str) -> MultiDict[str, str] | None:
        return drafts.taken(url_for(view)) if restore else None

    forms: dict[str, Form] = {
        "profile": ProfileForm(ProfileForm.of(user), sent=False, typed=typed(".change_profile")),
        "language_form": LanguageForm(
            {"language": user.language or ""}, sent=False, typed=typed(".change_language")
        ),
        "password": PasswordForm(sent=False),
        "token_form": TokenForm(sent=False, typed=typed(".make_token")),
    } | sent
    decides = next(iter(sent.values()), forms["profile"])
    return decides.page(
        "account/show.html", user=user, tokens=tokens.personal_tokens(user), **forms
    )
