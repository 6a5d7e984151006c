"""The forms of the pages: every field is validated by the same rule as in the API."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, cast

import wtforms
from flask import Response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import Field, SelectChoice, SubmitField
from wtforms.validators import DataRequired, EqualTo, InputRequired, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from ... import validators
from ...database.models import App, User
from ...database.session import now
from ...errors import BadInput, EditConflict, NameTaken, QuotaReached, SmtpwebError, TooMany
from ...registry import fields
from ...registry.apps import AppChanges
from ...registry.idempotency import Once
from ..http.i18n import say
from .form_fields import (
    REQUIRED,
    LineField,
    Reads,
    add_others,
    field_of,
    in_words,
    label_of,
    text_field,
    trimmed,
    values_of,
)
from .noted_fields import (
    BooleanField,
    HiddenField,
    PasswordField,
    RadioField,
    SelectField,
    SelectMultipleField,
    notes_of,
)

# HTML names, unlike those of all fields
AGAIN, CANCEL, UNTOUCHED = "show_again", "cancel", "untouched"
SAME = lazy_gettext("Must be the same as above.")


class Form(FlaskForm):
    """A form that keeps its accepted values and errors, and renders its page with a status."""

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        *,
        sent: bool = True,
        typed: MultiDict[str, str] | None = None,
    ) -> None:
        """Initialize the form from the request.

        ``sent``: the posted form is this one, not another one on the same page.
        ``typed``: the values typed before the session ended, used if nothing is posted.
        """
        # Only posted forms: Flask-WTF would also read a JSON body of any shape.
        posted = request.form if sent and request.method == "POST" else typed
        super().__init__(formdata=posted, data=data)
        self.is_again = posted is request.form and AGAIN in request.form
        self.restored = self.is_again or (typed is not None and posted is typed)
        self.accepted: dict[str, Any] = {}
        self.conflict = False
        self._is_full = False
        self._refusal: TooMany | None = None

    def is_submitted(self) -> bool:
        """Whether the form was sent in order to be saved, not only to be shown again."""
        return not self.is_again and bool(super().is_submitted())

    @property
    def untouched(self) -> str:
        """What tells, when the form is cancelled, that nothing was changed; "" if it was."""
        if self.restored or self.errors or self.is_submitted() or getattr(self, "unsaved", None):
            return ""
        shown = [field for field in self if is_shown(field)]
        return digest_of_values({field.name: sent_values(field) for field in shown})

    def catches(self) -> Catch:
        """Return a context manager that turns the errors of an operation into form errors."""
        return Catch(self)

    def refuse(self, error: SmtpwebError) -> bool:
        """Add an error to the form if the user can fix it there; return whether it was added."""
        if isinstance(error, BadInput):
            for name, messages in error.errors.items():
                if name in self._fields:
                    self._fields[name].errors = [*self._fields[name].errors, *map(say, messages)]
                else:
                    self.form_errors.extend(map(say, messages))
        elif isinstance(error, NameTaken):
            self._fields["name"].errors = [say(error.detail)]
        elif isinstance(error, EditConflict | QuotaReached):
            self.conflict = isinstance(error, EditConflict)
            self._is_full = isinstance(error, QuotaReached)
            self.form_errors.append(say(error.detail))
        elif isinstance(error, TooMany):
            self._refusal = error
            self.form_errors.append(say(error.detail))
        else:
            return False
        return True

    def once(self) -> Once | None:
        """Return the idempotency key of this opened form, if it was sent with one."""
        key = self.accepted.get("once_key")
        return Once(key, per_content=True) if key else None

    def values(self, table: Mapping[str, fields.Field]) -> dict[str, Any]:
        """Return the validated values of those fields of the form that are in the table."""
        return {
            name: self.accepted.get(name, None if isinstance(field, LineField) else field.data)
            for name, field in self._fields.items()
            if name in table
        }

    def name_of(self, field: Field) -> str:
        """Return our name of a field, which may differ from its HTML name."""
        names: dict[str, Field] = self._fields
        return next(name for name, known in names.items() if known is field)

    def compare(self, stored: dict[str, Any]) -> None:
        """After a conflict, show the values stored now next to the typed ones.

        Sending the form again then overwrites them knowingly.
        """
        for name, value in stored.items():
            field = self._fields[name]
            if name == "version":
                field.data = value
            elif field.data != value and (field.data or value):
                notes_of(field).stored = in_words(field, value)

    def page(self, template: str, **context: Any) -> Response:
        """Render the page of this form: status 200, or 409, 422 or 429 if there are errors."""
        status, headers = 200, {}
        if self._refusal:
            status, headers = 429, {"Retry-After": str(self._refusal.retry_after)}
        elif self.errors:
            status = 409 if self.conflict or self._is_full else 422
        html = render_template(template, form=self, **context)
        return Response(html, status, headers, mimetype="text/html")


def is_shown(field: Field) -> bool:
    """Whether a field is shown with a value that can be kept."""
    apart = wtforms.PasswordField | wtforms.SubmitField | wtforms.HiddenField
    return not isinstance(field, apart)


def sent_values(field: Field) -> list[str]:
    """Return what a browser sends for a visible field that nobody has changed."""
    match field:
        case wtforms.BooleanField():
            return ["y"] if field.data else []
        case wtforms.SelectMultipleField():
            return list(field.data or ())
        case wtforms.SelectField():  # or a radio field
            return [str(field.data)] if field.data is not None else []
    return [str(field._value())]


def digest_of_values(values: Mapping[str, list[str]]) -> str:
    """Return a digest of the values of a form; it is compared, and trusted with nothing."""
    plain = {name: [one.split() for one in found] for name, found in values.items() if any(found)}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


class Catch:
    """Context manager that passes the errors of an operation to a form; others propagate."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return isinstance(error, SmtpwebError) and self._form.refuse(error)


def once_field() -> HiddenField:
    """Return a field with the key of one opened form: sent repeatedly, it creates one object."""
    return HiddenField(
        default=lambda: secrets.token_urlsafe(16),
        validators=[Optional(), Reads(validators.idempotency_key)],
    )


def version_number(value: str) -> int:
    """Parse the version of the object that the form was opened for."""
    return validators.integer(value, 0, 2**31 - 1)


# --- accounts ------------------------------------------------------------------------------


class LoginForm(Form):
    """Sign in."""

    name = LineField(lazy_gettext("User name"), [DataRequired(REQUIRED)])
    password = PasswordField(lazy_gettext("Password"), [InputRequired(REQUIRED)])
    submit = SubmitField(lazy_gettext("Sign in"))


class SetUpForm(Form):
    """Create the first account."""

    code = LineField(lazy_gettext("Set-up code"), [DataRequired(REQUIRED)], filters=[trimmed])
    name = text_field(lazy_gettext("User name"), validators.user_name)
    email = text_field(lazy_gettext("Email"), validators.email)
    password = PasswordField(lazy_gettext("Password"), [InputRequired(REQUIRED)])
    again = PasswordField(
        lazy_gettext("Confirm password"), [InputRequired(REQUIRED), EqualTo("password", SAME)]
    )
    submit = SubmitField(lazy_gettext("Create account"))


class ProfileForm(Form):
    """Change the user name and email address of the account."""

    name = text_field(lazy_gettext("User name"), validators.user_name)
    email = text_field(lazy_gettext("Email"), validators.email)
    present_password = PasswordField(lazy_gettext("Current password"), [InputRequired(REQUIRED)])
    submit = SubmitField(lazy_gettext("Save name and email"))

    @staticmethod
    def of(user: User) -> dict[str, Any]:
        """Return the form values of an account."""
        return {"name": user.name, "email": user.email}


class LanguageForm(Form):
    """Choose the language of the pages."""

    language = SelectField(
        lazy_gettext("Language of the pages"),
        choices=[
            SelectChoice("", lazy_gettext("Automatic (browser)")),
            *(SelectChoice(code, name) for code, name in validators.LANGUAGES.items()),
        ],
    )
    submit = SubmitField(lazy_gettext("Save language"))


class PasswordForm(Form):
    """Change the password of the account."""

    old_password = PasswordField(lazy_gettext("Current password"), [InputRequired(REQUIRED)])
    password = PasswordField(lazy_gettext("New password"), [InputRequired(REQUIRED)])
    again = PasswordField(
        lazy_gettext("Confirm new password"), [InputRequired(REQUIRED), EqualTo("password", SAME)]
    )
    keep_tokens = BooleanField(lazy_gettext("Keep my personal tokens"))
    submit = SubmitField(lazy_gettext("Change password"))


class TokenForm(Form):
    """Create a personal token."""

    label = text_field(lazy_gettext("Label"), validators.display_name)
    scopes = SelectMultipleField(
        lazy_gettext("Scopes"),
        [InputRequired(lazy_gettext("Select at least one scope."))],
        choices=[
            SelectChoice("read", lazy_gettext("read apps and SMTP servers")),
            SelectChoice("write", lazy_gettext("create, change and delete them")),
            SelectChoice("check", lazy_gettext("check SMTP servers (sends test emails)")),
            SelectChoice("secrets", lazy_gettext("read the passwords of SMTP servers")),
            SelectChoice("token", lazy_gettext("get OAuth access tokens of SMTP servers")),
        ],
        default=["read"],
        widget=ListWidget(),
        option_widget=CheckboxInput(),
    )
    days = SelectField(
        lazy_gettext("Expires"),
        choices=[
            SelectChoice("30", lazy_gettext("in 30 days")),
            SelectChoice("90", lazy_gettext("in 90 days")),
            SelectChoice("365", lazy_gettext("in one year")),
            SelectChoice("", lazy_gettext("never")),
        ],
        default="90",
    )
    confirm_password = PasswordField(lazy_gettext("Current password"), [Optional()])
    submit = SubmitField(lazy_gettext("Create token"))

    @property
    def expires(self) -> datetime | None:
        """The chosen time of expiry; None for never."""
        return now() + timedelta(days=int(self.days.data)) if self.days.data else None


# --- apps ------------------------------------------------------------------------


class AppForm(Form):
    """Create or edit an app."""

    name = field_of(fields.APP["name"], required=True)
    testemail = field_of(fields.APP["testemail"], required=True)
    defaultfromemail = field_of(fields.APP["defaultfromemail"])
    defaultfromname = field_of(fields.APP["defaultfromname"])
    strategy = RadioField(
        label_of(fields.APP["strategy"]),
        choices=[
            SelectChoice("PRIORITY", lazy_gettext("The first active one, by priority")),
            SelectChoice("RANDOM", lazy_gettext("Any active one, at random")),
        ],
    )
    checkevery = SelectField(
        label_of(fields.APP["checkevery"]),
        validators=[Reads(validators.checkevery)],
        default="60",
        choices=[
            SelectChoice("0", lazy_gettext("never")),
            SelectChoice("15", lazy_gettext("every 15 minutes")),
            SelectChoice("30", lazy_gettext("every 30 minutes")),
            SelectChoice("60", lazy_gettext("every hour")),
            SelectChoice("240", lazy_gettext("every 4 hours")),
            SelectChoice("720", lazy_gettext("every 12 hours")),
            SelectChoice("1440", lazy_gettext("every day")),
        ],
    )
    emailevery = SelectField(
        label_of(fields.APP["emailevery"]),
        validators=[Reads(validators.emailevery)],
        default="daily",
        choices=[
            SelectChoice("never", lazy_gettext("never")),
            SelectChoice("daily", lazy_gettext("once a day")),
            SelectChoice("always", lazy_gettext("each time")),
        ],
    )
    version = HiddenField(validators=[Optional(), Reads(version_number)])
    once_key = once_field()
    submit = SubmitField(lazy_gettext("Save"))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        stored = self.checkevery.object_data
        if stored and stored not in {choice.value for choice in self.checkevery.choices}:
            minutes = _("every %(num)s minutes", num=stored)  # set by the API
            self.checkevery.choices = [*self.checkevery.choices, SelectChoice(stored, minutes)]

    @staticmethod
    def of(app: App) -> dict[str, Any]:
        """Return the form values of an app."""
        return values_of(app, AppForm, fields.APP) | {"version": app.version}

    def changes(self) -> AppChanges:
        """Return the app settings in the form; an empty field clears its setting."""
        return cast(AppChanges, self.values(fields.APP))

    @property
    def others(self) -> list[Field]:
        """The remaining fields, which the page lists below those it lays out individually."""
        return [self._fields[name] for name in OTHERS_OF_APP]


OTHERS_OF_APP = add_others(AppForm, fields.APP)
