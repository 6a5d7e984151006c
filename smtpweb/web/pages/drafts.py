"""Restore a form that was sent without a valid session, except for its passwords.

Every form contains its signed owner. If it is sent after the session has ended, or with a CSRF
token of an earlier session, its values are stored for that user and restored on the page of the
form, after signing in or at once. Forms and fields that are not listed here are dropped.
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
from .start_form import StartForm

_FORMS: dict[str, type[Form]] = {
    "pages.new_app": AppForm,
    "pages.edit_app": AppForm,
    "pages.new_smtp": SmtpForm,
    "pages.edit_smtp": SmtpForm,
    "pages.start_at": StartForm,
    "account.change_profile": ProfileForm,
    "account.change_language": LanguageForm,
    "account.make_token": TokenForm,
}


def require_login() -> AnyResponse | None:
    """Guard the pages: redirect a visitor who is not signed in to the sign-in page."""
    if current_user.is_authenticated:
        return None
    return rescue() or auth.require_login()


def rescue() -> AnyResponse | None:
    """Store the submitted form and redirect to where it is restored; None if not possible."""
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
    """Return the values typed into the form at this URL before the session ended, only once."""
    if request.method != "GET" or request.endpoint not in _FORMS:
        return None
    return taken(request.path)


def taken(path: str) -> MultiDict[str, str] | None:
    """Return the same for a form posted to ``path``, on a page with several forms."""
    values = drafts.take(auth.user().id, path)
    return None if values is None else MultiDict(values)


def _typed(kind: type[Form]) -> dict[str, list[str]]:
    """Return the submitted values of this form, without those that are or may contain secrets."""
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
    if kind in (SmtpForm, StartForm):
        _drop_hidden_secrets(kept)
    return {
        name: values
        for name, values in kept.items()
        if not any(_may_hold(value, secrets) for value in values)
    }


_CREDENTIALS = re.compile(r"://|[^\s/@]+:[^\s@]*@|[?&]\w*pass\w*=", re.IGNORECASE)


def _may_hold(value: str, secrets: list[str]) -> bool:
    """Return whether a value contains a secret, in any case, or looks like a URL with one."""
    folded = value.casefold()
    return bool(_CREDENTIALS.search(value)) or any(
        (secret.strip() or secret).casefold() in folded for secret in secrets
    )


def _drop_hidden_secrets(kept: dict[str, list[str]]) -> None:
    """Remove values that may be passwords although they are not in password fields."""
    if any("@" in host for host in kept.get("host", [])):  # may be part of a URL with a password
        del kept["host"]
    hosts = [*kept.get("host", []), *kept.get("pasted_host", [])]
    known = [presets.of_host(_plain(host)) for host in hosts]
    typed = [text.strip().casefold() for text in kept.get("provider", []) if text.strip()]
    known += [one for one in presets.presets() if one.name.casefold().startswith(tuple(typed))]
    if any(preset and preset.password_form == "same" for preset in known):  # noqa: S105
        for name in ("smtp_login", "pasted_username"):
            kept.pop(name, None)  # the provider's token is also its user name


def _plain(host: str) -> str:
    """Return a typed host without its port, normalized if it is valid."""
    name = re.sub(r":[0-9]{1,5}$", "", host.strip(), flags=re.ASCII)
    try:
        return validators.host(name)
    except ValueError:
        return name
