"""Fields of forms: each is read by the rule that the API uses, most by the registry's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flask_babel import LazyString, lazy_gettext
from flask_babel import gettext as _
from wtforms import Field, ValidationError
from wtforms.validators import DataRequired, Optional

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
    """Validator: the field is read by a rule of ``values``, the result kept in ``accepted``."""

    def __init__(self, rule: Callable[[str], Any]) -> None:
        self.rule = rule

    def __call__(self, form: Form, field: Field) -> None:
        """Read the field, or say what is wrong with it."""
        if "\ufffd" in field.data:  # Werkzeug's mark for what it could not decode
            raise ValidationError(_("Is not valid UTF-8 text."))
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


def in_words(field: Field, value: object) -> str:
    """A value as the form would show it."""
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
    """One line that ``rule`` reads, without the blanks at its ends."""
    needed = DataRequired(REQUIRED) if required else Optional()
    return kind(label, [needed, Reads(rule)], filters=[trimmed], **options)


def label_of(described: fields.Field) -> LazyString:
    """What a field of the registry is called on a page."""
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
    """The field of a form by its rule and label in the registry; ``required``: unless it is so."""
    label, rule = label_of(described), described.rule
    if described.is_flag:
        return BooleanField(label, default=described.default, **options)
    needed = described.required if required is None else required
    if described.default is not None:
        options.setdefault("default", str(described.default))
    return text_field(label, rule, required=needed, kind=kind, **options)


def add_others(form: type[Form], table: Mapping[str, fields.Field]) -> tuple[str, ...]:
    """Add the fields of the table that have a label and are not in the form yet; their names."""
    others = [one for one in table.values() if one.label and not hasattr(form, one.name)]
    for described in others:
        setattr(form, described.name, field_of(described))
    return tuple(described.name for described in others)


def values_of(row: Any, form: type[Form], table: Mapping[str, fields.Field]) -> dict[str, Any]:
    """The values of a row as the form has them; a secret is never among them."""
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
    """What an encryption is called in the form, with its port."""
    return _WITH_PORT[encryption]


class HostField(LineField):
    """A host. What was pasted instead of one is not shown again where it may hold a password."""

    def _value(self) -> str:
        try:
            validators.host(self.data or "")
        except validators.PastedServer as error:
            if error.secret:
                return ""
        except ValueError:
            pass
        return super()._value()
