"""Restore a form that was not saved, except for its passwords.

Every form contains its signed owner. If it is sent after the session has ended, or with a CSRF
token of an earlier session, its values are stored for that user and restored on the page of the
form, after signing in or at once. Forms and fields that are not listed here are dropped.
"""

from __future__ import annotations

import re

from flask import flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse
from wtforms import PasswordField, SubmitField

from ... import validators
from ...errors import NotFound
from ...providers import presets
from ...registry import drafts, smtps
from ..http import auth, form_owner
from ..presentation import labels
from . import messages
from .forms import (
    AGAIN,
    CANCEL,
    UNTOUCHED,
    AppForm,
    Form,
    LanguageForm,
    ProfileForm,
    TokenForm,
    digest_of_values,
    is_shown,
)
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


# Where the button "Cancel" leads
_LEFT_FOR = {
    "pages.new_app": "pages.list_apps",
    "pages.edit_app": "pages.show_app",
    "pages.new_smtp": "pages.show_app",
    "pages.edit_smtp": "pages.show_smtp",
}


def require_login() -> AnyResponse | None:
    """Guard the pages: redirect a visitor who is not signed in to the sign-in page."""
    if current_user.is_authenticated:
        return _cancelled()
    return rescue() or auth.require_login()


def _cancelled() -> AnyResponse | None:
    """Leave a form by its *Cancel* button; what was changed in it is kept for some minutes."""
    kind = _FORMS.get(request.endpoint or "")
    leave = _LEFT_FOR.get(request.endpoint or "")
    if kind is None or leave is None or CANCEL not in request.form:
        return None
    form = kind(sent=False)
    values = {field.name: request.form.getlist(field.name) for field in form if is_shown(field)}
    if digest_of_values(values) != request.form.get(UNTOUCHED) and drafts.keep(
        auth.user().id, request.path, _typed(kind, auth.user().id)
    ):
        messages.lead_back(
            _("Nothing was saved. What you entered is kept for 10 minutes, except for passwords."),
            request.path,
        )
    return redirect(url_for(leave, **request.view_args or {}), 303)


def shown_again() -> list[tuple[str, str]] | None:
    """Return the hidden fields that show a form again that could not be saved, or None."""
    kind = _FORMS.get(request.endpoint or "")
    if kind is None or request.method != "POST":
        return None
    values = _typed(kind, form_owner.sent())
    fixed = {AGAIN: ["1"], "csrf_token": request.form.getlist("csrf_token")}
    return [
        (name, "\n".join(map(labels.printable, value.splitlines())))
        for name, found in (values | fixed).items()
        for value in found
    ]


def rescue() -> AnyResponse | None:
    """Store the submitted form and redirect to where it is restored; None if not possible."""
    kind = _FORMS.get(request.endpoint or "")
    if kind is None or request.method != "POST":
        return None
    owner = form_owner.sent()
    signed_in = current_user.is_authenticated
    if owner is None or (signed_in and auth.user().id != owner):
        return None
    if not drafts.keep(owner, request.path, _typed(kind, owner)):
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


def _typed(kind: type[Form], owner: str | None) -> dict[str, list[str]]:
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
        if _may_hide_name(owner):
            kept.pop("smtp_login", None)
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


def _may_hide_name(owner: str | None) -> bool:
    """Return whether the form is that of a server whose stored user name must not be shown."""
    smtp_id = (request.view_args or {}).get("smtp_id")
    if smtp_id is None:
        return False
    try:
        return owner is None or smtps.find(owner, smtp_id).hides_username
    except NotFound:
        return False
    except SQLAlchemyError:  # the database is away: then it is not known
        return True


def _plain(host: str) -> str:
    """Return a typed host without its port, normalized if it is valid."""
    name = re.sub(r":[0-9]{1,5}$", "", host.strip(), flags=re.ASCII)
    try:
        return validators.host(name)
    except ValueError:
        return name
