"""Form fields, validated by the same rules as the API, most of them from the registry's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from flask_babel import LazyString, lazy_gettext
from flask_babel import gettext as _
from wtforms import Field, ValidationError
from wtforms.validators import DataRequired, Optional, StopValidation
from wtforms.widgets import TextArea

from ... import validators
from ...mailcheck import Encryption
from ...mailcheck.core.modes import USUAL_PORTS
from ...registry import fields
from ..http.i18n import say
from ..presentation.labels import printable
from .noted_fields import BooleanField, StringField

if TYPE_CHECKING:
    from .forms import Form

REQUIRED = lazy_gettext("Fill in this field.")


class Reads:
    """Validator that parses the field with a rule and stores the result in ``accepted``."""

    def __init__(self, rule: Callable[[str], Any]) -> None:
        self.rule = rule

    def __call__(self, form: Form, field: Field) -> None:
        """Parse the field; raise ``ValidationError`` if it is invalid."""
        if field.errors:
            return  # it is not one of the choices
        if "\ufffd" in field.data:  # Werkzeug's replacement for undecodable bytes
            raise ValidationError(_("Is not valid UTF-8 text."))
        try:
            form.accepted[form.name_of(field)] = self.rule(field.data)
        except ValueError as error:
            raise ValidationError(say(error.args[0])) from None


class OptionalChoice:
    """Validator of a field whose choices include "": it means that nothing is set.

    ``Optional`` of WTForms would also accept blanks that are not among the choices.
    """

    field_flags: ClassVar[dict[str, bool]] = {"optional": True}

    def __call__(self, _form: Form, field: Field) -> None:
        """Skip the other validators if nothing is set; keep the error of a wrong choice."""
        if not field.data:
            raise StopValidation


class LineField(StringField):
    """One line of text; characters invalid in HTML are shown as U+FFFD, which is refused again."""

    def _value(self) -> str:
        return printable(self.data or "")


class LinesField(LineField):
    """Several lines of text."""

    widget = TextArea()

    def _value(self) -> str:
        return "\n".join(map(printable, (self.data or "").splitlines()))


def trimmed(value: str | None) -> str | None:
    """Strip leading and trailing whitespace, which pasting adds; never used on a password."""
    return value.strip(" \t\xa0") if value else value


def in_words(field: Field, value: object) -> str:
    """Return a value as the form displays it."""
    if isinstance(value, bool):
        return str(_("on") if value else _("off"))
    labels = {choice.value: choice.label for choice in getattr(field, "choices", ())}
    return str(labels.get(value, value)) or str(_("nothing"))


def text_field(
    label: LazyString,
    rule: Callable[[str], Any],
    *,
    required: bool = True,
    kind: type[LineField] = LineField,
    **options: Any,
) -> LineField:
    """Return a one-line field that is stripped and parsed by ``rule``."""
    needed = DataRequired(REQUIRED) if required else Optional()
    return kind(label, [needed, Reads(rule)], filters=[trimmed], **options)


def label_of(described: fields.Field) -> LazyString:
    """Return the page label of a registry field."""
    if described.label is None:
        raise AssertionError(f"{described.name} is no field of a form")
    return lazy_gettext(described.label.template)


def field_of(
    described: fields.Field,
    kind: type[LineField] = LineField,
    *,
    required: bool | None = None,
    **options: Any,
) -> Field:
    """Return a form field for a registry field; ``required`` overrides the registry's."""
    label, rule = label_of(described), described.rule
    if described.is_flag:
        return BooleanField(label, default=described.default, **options)
    needed = described.required if required is None else required
    if described.default is not None:
        options.setdefault("default", str(described.default))
    return text_field(label, rule, required=needed, kind=kind, **options)


def add_others(form: type[Form], table: Mapping[str, fields.Field]) -> tuple[str, ...]:
    """Add the labelled fields of the table that the form lacks; return their names."""
    others = [one for one in table.values() if one.label and not hasattr(form, one.name)]
    for described in others:
        setattr(form, described.name, field_of(described))
    return tuple(described.name for described in others)


def values_of(row: Any, form: type[Form], table: Mapping[str, fields.Field]) -> dict[str, Any]:
    """Return the form values of a row, without secrets."""
    stored = {
        name: getattr(row, name)
        for name, described in table.items()
        if hasattr(form, name) and not described.secret
    }
    return {
        name: value if isinstance(value, bool) else "" if value is None else str(value)
        for name, value in stored.items()
    }


_WITH_PORT = {
    Encryption.STARTTLS: lazy_gettext(
        "STARTTLS (port %(port)s)", port=USUAL_PORTS[Encryption.STARTTLS]
    ),
    Encryption.IMPLICIT: lazy_gettext(
        "Implicit TLS (SMTPS, port %(port)s)", port=USUAL_PORTS[Encryption.IMPLICIT]
    ),
}


def with_usual_port(encryption: Encryption) -> LazyString:
    """Return the form's label for an encryption, including its usual port."""
    return _WITH_PORT[encryption]


class HostField(LineField):
    """A host. A pasted value that may contain a password is not shown again."""

    def _value(self) -> str:
        try:
            validators.host(self.data or "")
        except validators.PastedServer as error:
            if error.secret:
                return ""
        except ValueError:
            pass
        return super()._value()
