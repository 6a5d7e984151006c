"""A form that is sent without a session comes back as it was typed, passwords aside.

A form carries, signed, whose it is. Where it is sent after its session has ended, or with a CSRF
token of an earlier one, its values are kept for that user, who gets them back on the page of the
form: after signing in, or at once. Fields that are not named here are dropped.
"""

from __future__ import annotations

import re

from flask import flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse
from wtforms import PasswordField, SubmitField

from ... import validators
from ...providers import presets
from ...registry import drafts
from ..http import auth, form_owner
from .forms import AppForm, Form, LanguageForm, ProfileForm, TokenForm
from .smtp_form import SmtpForm

_FORMS: dict[str, type[Form]] = {
    "pages.new_app": AppForm,
    "pages.edit_app": AppForm,
    "pages.new_smtp": SmtpForm,
    "pages.edit_smtp": SmtpForm,
    "account.change_profile": ProfileForm,
    "account.change_language": LanguageForm,
    "account.make_token": TokenForm,
}


def require_login() -> AnyResponse | None:
    """Guard of the pages: sends a visitor who is not signed in to the sign-in page."""
    if current_user.is_authenticated:
        return None
    return rescue() or auth.require_login()


def rescue() -> AnyResponse | None:
    """Keep what this request sent, and lead to where it comes back; None if that cannot be."""
    kind = _FORMS.get(request.endpoint or "")
    if kind is None or request.method != "POST":
        return None
    owner = form_owner.sent()
    signed_in = current_user.is_authenticated
    if owner is None or (signed_in and auth.user().id != owner):
        return None
    if not drafts.keep(owner, request.path, _typed(kind)):
        return None
    if signed_in:
        return redirect(request.path, 303)
    flash(
        _(
            "Your session has ended, so nothing was saved. Sign in to get your form back as you"
            " filled it in, except for passwords."
        ),
        "warning",
    )  # fmt: skip
    return redirect(url_for("login.sign_in", next=request.path), 303)


def restored() -> MultiDict[str, str] | None:
    """What was typed into the form at this address before its session ended; given once."""
    if request.method != "GET" or request.endpoint not in _FORMS:
        return None
    return taken(request.path)


def taken(path: str) -> MultiDict[str, str] | None:
    """The same for a form at another address, which shares this page with others."""
    values = drafts.take(auth.user().id, path)
    return None if values is None else MultiDict(values)


def _typed(kind: type[Form]) -> dict[str, list[str]]:
    """The values of the fields of this form, without what is or may hold a secret."""
    fields = list(kind(sent=False))
    secrets = [
        value
        for field in fields
        if isinstance(field, PasswordField)
        for value in request.form.getlist(field.name)
        if value
    ]
    names = [f.name for f in fields if not isinstance(f, PasswordField | SubmitField)]
    kept = {
        name: request.form.getlist(name)
        for name in names
        if name in request.form and name != "csrf_token"
    }
    if kind is SmtpForm:
        _drop_hidden_secrets(kept)
    return {
        name: values
        for name, values in kept.items()
        if not any(_may_hold(value, secrets) for value in values)
    }


_CREDENTIALS = re.compile(r"://|[^\s/@]+:[^\s@]*@|[?&]\w*pass\w*=", re.IGNORECASE)


def _may_hold(value: str, secrets: list[str]) -> bool:
    """Whether a value holds one of these, however it is written, or looks like a URL with one."""
    folded = value.casefold()
    return bool(_CREDENTIALS.search(value)) or any(
        (secret.strip() or secret).casefold() in folded for secret in secrets
    )


def _drop_hidden_secrets(kept: dict[str, list[str]]) -> None:
    """What may be a password although its field is not one for passwords."""
    if any("@" in host for host in kept.get("host", [])):  # part of a URL with a password in it
        del kept["host"]
    hosts = [*kept.get("host", []), *kept.get("pasted_host", [])]
    known = [presets.of_host(_plain(host)) for host in hosts]
    typed = [text.strip().casefold() for text in kept.get("provider", []) if text.strip()]
    known += [one for one in presets.presets() if one.name.casefold().startswith(tuple(typed))]
    if any(preset and preset.password_form == "same" for preset in known):  # noqa: S105
        for name in ("smtp_login", "pasted_username"):
            kept.pop(name, None)  # the provider's token is its user name too


def _plain(host: str) -> str:
    """A typed host without its port, as it is looked up where it is one."""
    name = re.sub(r":[0-9]{1,5}$", "", host.strip(), flags=re.ASCII)
    try:
        return validators.host(name)
    except ValueError:
        return name
