"""WTForms fields with the notes that a page shows at a field in addition to its errors."""

from __future__ import annotations

import wtforms
from markupsafe import Markup


class Notes:
    """The notes at a field; None: nothing, and no space is reserved."""

    warnings: list[str] | None = None  # likely failures; updated by a script
    hint: str | None = None
    stored: str | None = None  # the stored value, if another is shown
    cause: tuple[str, ...] | None = None  # from the last check: title and first step


class BooleanField(Notes, wtforms.BooleanField):
    """A checkbox."""


class HiddenField(Notes, wtforms.HiddenField):
    """A hidden value."""


class PasswordField(Notes, wtforms.PasswordField):
    """One line of masked text."""


class SecretTextField(PasswordField):
    """Several lines of a secret, which is never shown again."""

    widget = wtforms.widgets.TextArea()

    def __call__(self, **attributes: object) -> Markup:
        """Return the field; its script must not keep the value in the tab."""
        shown: Markup = super().__call__(**{"data-secret": "", **attributes})
        return shown

    def _value(self) -> str:
        return ""


class RadioField(Notes, wtforms.RadioField):
    """One choice, with all choices shown."""


class SelectField(Notes, wtforms.SelectField):
    """One choice from a list."""


class SelectMultipleField(Notes, wtforms.SelectMultipleField):
    """Several choices from a list."""


class StringField(Notes, wtforms.StringField):
    """One line of text."""


class TextAreaField(Notes, wtforms.TextAreaField):
    """Several lines of text."""


def notes_of(field: wtforms.Field) -> Notes:
    """Return a form field as its notes, for the type checker."""
    notes: Notes = field
    return notes
