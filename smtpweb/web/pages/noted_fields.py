"""The fields of our forms: those of WTForms, with what a page says at a field beside its errors."""

from __future__ import annotations

import wtforms


class Notes:
    """What is said at a field; None: nothing, and no place is kept for it."""

    warnings: list[str] | None = None  # likely to fail; a script keeps them up to date
    hint: str | None = None
    stored: str | None = None  # the value before this one
    cause: tuple[str, ...] | None = None  # what the last check found: title and first step


class BooleanField(Notes, wtforms.BooleanField):
    """A box to tick."""


class HiddenField(Notes, wtforms.HiddenField):
    """A value that the page carries along."""


class PasswordField(Notes, wtforms.PasswordField):
    """One line that is not shown."""


class RadioField(Notes, wtforms.RadioField):
    """One of some choices that are all shown."""


class SelectField(Notes, wtforms.SelectField):
    """One of a list."""


class SelectMultipleField(Notes, wtforms.SelectMultipleField):
    """Several of a list."""


class StringField(Notes, wtforms.StringField):
    """One line of text."""


class TextAreaField(Notes, wtforms.TextAreaField):
    """Several lines of text."""


def notes_of(field: wtforms.Field) -> Notes:
    """The notes at a field of a form, whichever kind it is."""
    notes: Notes = field
    return notes
