"""The account page: name, address, language, password, personal tokens."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext as _
from flask_babel import refresh
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from ...accounts import tokens, users
from ..http import auth, i18n
from . import drafts
from .forms import Form, LanguageForm, PasswordForm, ProfileForm, TokenForm
from .login import enter

bp = Blueprint("account", __name__)
bp.url_value_preprocessor(auth.require_utf8)
bp.before_request(drafts.require_login)


@bp.get("/account")
def show() -> AnyResponse:
    """The user's name, address, language, password and personal tokens."""
    return _page(restore=True)


@bp.post("/account/profile")
def change_profile() -> AnyResponse:
    """Set another name or address."""
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
    """Choose the language of the pages; this browser and all others have it from now on."""
    form = LanguageForm()
    if form.validate_on_submit():
        with form.catches():
            users.change_language(auth.user(), form.language.data or None)
            i18n.remember(auth.user())
            refresh()  # so that the answer speaks it already
            flash(_("Language set to English."), "success")
            return redirect(url_for(".show"), 303)
    return _page(language_form=form)


@bp.post("/account/password")
def change_password() -> AnyResponse:
    """Set a new password; other sessions end, this browser gets a new one."""
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
    """Make a personal token and show it, this once: it is in this reply and nowhere else."""
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
            return form.page("account/token.html", token=token)
    return _page(token_form=form)


@bp.get("/account/tokens/<id:token_id>")
def ask_to_revoke_token(token_id: str) -> str:
    """Ask first, and say which token it is and when it was used."""
    return render_template(
        "account/revoke.html", token=tokens.personal_token_of(auth.user(), token_id)
    )


@bp.post("/account/tokens/<id:token_id>/revoke")
def revoke_token(token_id: str) -> AnyResponse:
    """End a personal token."""
    tokens.revoke_token(auth.user(), token_id)
    flash(_("Token revoked."), "success")
    return redirect(url_for(".show"), 303)


@bp.get("/account/profile")
@bp.get("/account/language")
@bp.get("/account/password")
@bp.get("/account/tokens")
def back() -> AnyResponse:
    """Who reloads the address of a form that was refused comes back to the account page."""
    return redirect(url_for(".show"))


def _page(*, restore: bool = False, **sent: Form) -> AnyResponse:
    """The account page with all its forms; the one that was sent decides about the status.

    ``restore``: forms that lost their session come back as they were typed.
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
