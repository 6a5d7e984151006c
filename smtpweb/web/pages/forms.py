"""The forms of the pages: every field is read by the rule of ``values`` that the API uses."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from flask import Response, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    PasswordField,
    RadioField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    SubmitField,
    ValidationError,
)
from wtforms.validators import DataRequired, EqualTo, InputRequired, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from ... import validators
from ...database.models import App, User
from ...database.session import now
from ...errors import BadInput, EditConflict, NameTaken, QuotaReached, SmtpwebError, TooMany
from ...registry.apps import AppChanges
from ...registry.idempotency import Once
from ..http.i18n import LANGUAGES, say
from ..presentation.labels import printable

REQUIRED = lazy_gettext("Fill this in.")
SAME = lazy_gettext("Must be the same as above.")


class Form(FlaskForm):
    """A form that answers for itself: what was accepted, what is wrong, with which status."""

    def __init__(
        self,
        data: dict[str, Any] | None = None,
        *,
        sent: bool = True,
        typed: MultiDict[str, str] | None = None,
    ) -> None:
        """``sent``: a posted form is this one, not another one of the same page.

        ``typed``: what was typed into it before its session ended, where nothing is posted.
        """
        # Only a posted form: Flask-WTF would read a JSON body too, of whatever shape.
        posted = request.form if sent and request.method == "POST" else typed
        super().__init__(formdata=posted, data=data)
        self.restored = typed is not None and posted is typed
        self.accepted: dict[str, Any] = {}
        self.conflict = False
        self._refusal: TooMany | None = None

    def catches(self) -> Catch:
        """Inside ``with form.catches():`` what an operation refuses becomes errors of fields."""
        return Catch(self)

    def refuse(self, error: SmtpwebError) -> bool:
        """Show this error in the form, if it is one that the user of the form can mend."""
        if isinstance(error, BadInput):
            for name, messages in error.errors.items():
                if name in self._fields:
                    self._fields[name].errors = [*self._fields[name].errors, *map(say, messages)]
                else:
                    self.form_errors.extend(map(say, messages))
        elif isinstance(error, NameTaken):
            self._fields["name"].errors = [say(error.detail)]
        elif isinstance(error, EditConflict | QuotaReached):
            self.conflict = True
            self.form_errors.append(say(error.detail))
        elif isinstance(error, TooMany):
            self._refusal = error
            self.form_errors.append(say(error.detail))
        else:
            return False
        return True

    def once(self) -> Once | None:
        """What makes this opened form create one thing only, if it was sent with its key."""
        key = self.accepted.get("once_key")
        return Once(key, per_content=True) if key else None

    def name_of(self, field: Any) -> str:
        """Our name of a field, which may differ from its name in HTML."""
        names: dict[str, Any] = self._fields
        return next(name for name, known in names.items() if known is field)

    def compare(self, stored: dict[str, Any]) -> None:
        """After a conflict: name what is stored now beside what was typed.

        Sending the form again then overwrites it knowingly.
        """
        for name, value in stored.items():
            field = self._fields[name]
            if name == "version":
                field.data = value
            elif field.data != value and (field.data or value):
                field.stored = in_words(field, value)

    def page(self, template: str, **context: Any) -> Response:
        """The page of this form: 200, or 409, 422 or 429 where something is wrong."""
        status, headers = 200, {}
        if self._refusal:
            status, headers = 429, {"Retry-After": str(self._refusal.retry_after)}
        elif self.errors:
            status = 409 if self.conflict else 422
        html = render_template(template, form=self, **context)
        return Response(html, status, headers, mimetype="text/html")


class Catch:
    """Hands the errors of an operation to a form; any other rises."""

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


class Reads:
    """Validator: the field is read by a rule of ``values``, the result kept in ``accepted``."""

    def __init__(self, rule: Callable[[str], Any]) -> None:
        self.rule = rule

    def __call__(self, form: Form, field: Field) -> None:
        """Read the field, or say what is wrong with it."""
        if "\ufffd" in field.data:  # Werkzeug's mark for what it could not decode
            raise ValidationError(_("Is not valid text in UTF-8."))
        try:
            form.accepted[form.name_of(field)] = self.rule(field.data)
        except ValueError as error:
            raise ValidationError(say(error.args[0])) from None


class LineField(StringField):
    """One line of text; what HTML cannot hold is shown by a mark that is refused again."""

    def _value(self) -> str:
        return printable(self.data or "")


def trimmed(value: str | None) -> str | None:
    """Without the blanks at its ends that come with pasting; never used on a password."""
    return value.strip(" \t\xa0") if value else value


def in_words(field: Field, value: Any) -> str:
    """A value as the form would show it."""
    if isinstance(value, bool):
        return str(_("on") if value else _("off"))
    labels = {choice.value: choice.label for choice in getattr(field, "choices", ())}
    return str(labels.get(value, value)) or str(_("nothing"))


def text_field(
    label: Any,
    rule: Callable[[str], Any],
    *,
    required: bool = True,
    **options: Any,
) -> LineField:
    """One line that ``rule`` reads, without the blanks at its ends."""
    needed = DataRequired(REQUIRED) if required else Optional()
    return LineField(label, [needed, Reads(rule)], filters=[trimmed], **options)


def once_field() -> HiddenField:
    """The key of one opened form: however often that is sent, it creates one thing."""
    return HiddenField(
        default=lambda: secrets.token_urlsafe(16),
        validators=[Optional(), Reads(validators.idempotency_key)],
    )


def version_number(value: str) -> int:
    """The version of what a form was opened for."""
    return validators.integer(value, 0, 2**31 - 1)


# --- accounts ------------------------------------------------------------------------------


class LoginForm(Form):
    """Sign in."""

    name = LineField(lazy_gettext("User name"), [DataRequired(REQUIRED)])
    password = PasswordField(lazy_gettext("Password"), [InputRequired(REQUIRED)])
    submit = SubmitField(lazy_gettext("Sign in"))


class SetUpForm(Form):
    """Make the first account."""

    code = LineField(lazy_gettext("Set-up code"), [DataRequired(REQUIRED)], filters=[trimmed])
    name = text_field(lazy_gettext("User name"), validators.user_name)
    email = text_field(lazy_gettext("Email"), validators.email)
    password = PasswordField(lazy_gettext("Password"), [InputRequired(REQUIRED)])
    again = PasswordField(
        lazy_gettext("Password, again"), [InputRequired(REQUIRED), EqualTo("password", SAME)]
    )
    submit = SubmitField(lazy_gettext("Create the account"))


class ProfileForm(Form):
    """Change name and address of the account."""

    name = text_field(lazy_gettext("User name"), validators.user_name)
    email = text_field(lazy_gettext("Email"), validators.email)
    present_password = PasswordField(lazy_gettext("Present password"), [InputRequired(REQUIRED)])
    submit = SubmitField(lazy_gettext("Save name and email"))

    @staticmethod
    def of(user: User) -> dict[str, Any]:
        """The values of an account as the form has them."""
        return {"name": user.name, "email": user.email}


class LanguageForm(Form):
    """Choose the language of the pages."""

    language = SelectField(
        lazy_gettext("Language of the pages"),
        choices=[
            SelectChoice("", lazy_gettext("As the browser asks")),
            *(SelectChoice(code, name) for code, name in LANGUAGES.items()),
        ],
    )
    submit = SubmitField(lazy_gettext("Use this language"))


class PasswordForm(Form):
    """Change the password of the account."""

    old_password = PasswordField(lazy_gettext("Present password"), [InputRequired(REQUIRED)])
    password = PasswordField(lazy_gettext("New password"), [InputRequired(REQUIRED)])
    again = PasswordField(
        lazy_gettext("New password, again"), [InputRequired(REQUIRED), EqualTo("password", SAME)]
    )
    keep_tokens = BooleanField(lazy_gettext("Keep my personal tokens"))
    submit = SubmitField(lazy_gettext("Change the password"))


class TokenForm(Form):
    """Make a personal token."""

    label = text_field(lazy_gettext("Label"), validators.display_name)
    scopes = SelectMultipleField(
        lazy_gettext("It may"),
        [InputRequired(lazy_gettext("Choose at least one."))],
        choices=[
            SelectChoice("read", lazy_gettext("read apps and SMTPs")),
            SelectChoice("write", lazy_gettext("create, change and remove them")),
            SelectChoice("check", lazy_gettext("check SMTPs, which sends test mails")),
            SelectChoice("secrets", lazy_gettext("see the passwords of SMTPs")),
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
    submit = SubmitField(lazy_gettext("Create the token"))

    @property
    def expires(self) -> datetime | None:
        """The moment that was chosen."""
        return now() + timedelta(days=int(self.days.data)) if self.days.data else None


# --- apps ------------------------------------------------------------------------


class AppForm(Form):
    """Create or edit an app."""

    name = text_field(lazy_gettext("Name"), validators.app_name)
    testemail = text_field(lazy_gettext("Send test mails to"), validators.email)
    defaultfromemail = text_field(
        lazy_gettext("Default From email"), validators.email, required=False
    )
    defaultfromname = text_field(
        lazy_gettext("Default From name"), validators.display_name, required=False
    )
    strategy = RadioField(
        lazy_gettext("Which SMTP is used"),
        choices=[
            SelectChoice("PRIORITY", lazy_gettext("The first active one, by priority")),
            SelectChoice("RANDOM", lazy_gettext("Any active one, at random")),
        ],
    )
    check_every = SelectField(
        lazy_gettext("Check each server by itself"),
        validators=[Optional(), Reads(validators.check_every)],
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
    email_every = SelectField(
        lazy_gettext("With a real email"),
        validators=[Optional(), Reads(validators.email_every)],
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
        stored = self.check_every.object_data
        if stored and stored not in {choice.value for choice in self.check_every.choices}:
            minutes = _("every %(num)s minutes", num=stored)  # set by the API
            self.check_every.choices = [*self.check_every.choices, SelectChoice(stored, minutes)]

    @staticmethod
    def of(app: App) -> dict[str, Any]:
        """The values of an app as the form has them."""
        return {
            "name": app.name,
            "testemail": app.testemail,
            "defaultfromemail": app.defaultfromemail or "",
            "defaultfromname": app.defaultfromname or "",
            "strategy": app.strategy,
            "check_every": str(app.check_every),
            "email_every": app.email_every,
            "version": app.version,
        }

    def changes(self) -> AppChanges:
        """What the form says of the app; an empty field says: nothing."""
        changes: AppChanges = {
            "name": self.accepted["name"],
            "testemail": self.accepted["testemail"],
            "defaultfromemail": self.accepted.get("defaultfromemail"),
            "defaultfromname": self.accepted.get("defaultfromname"),
            "strategy": self.strategy.data,
        }
        if "check_every" in self.accepted:
            changes["check_every"] = self.accepted["check_every"]
        if "email_every" in self.accepted:
            changes["email_every"] = self.accepted["email_every"]
        return changes
