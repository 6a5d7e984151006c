"""The form of an SMTP server: typed values, prefilled values, and warnings about failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.datastructures import MultiDict
from wtforms import Field, SelectChoice, SubmitField
from wtforms.validators import Optional

from ... import config, validators
from ...database.models import App, Smtp
from ...errors import SecretUnreadable
from ...mailcheck import Encryption, Report
from ...mailcheck.core.modes import USUAL_PORTS
from ...mailcheck.core.pasted import Parts
from ...providers import credentials, presets
from ...providers.presets import Choice
from ...providers.settings import Settings
from ...registry import checkability, destination, fields, smtps
from ...registry.destination import Fate
from ...registry.smtps import SmtpChanges
from ..http.i18n import say
from . import forewarning
from .advanced_fields import AdvancedFields
from .form_fields import (
    HostField,
    LineField,
    LinesField,
    Reads,
    add_others,
    field_of,
    in_words,
    label_of,
    values_of,
    with_usual_port,
)
from .forms import once_field, version_number
from .noted_fields import BooleanField, HiddenField, PasswordField, RadioField, notes_of
from .oauth_fields import OAUTH, OauthFields

if TYPE_CHECKING:
    from dns.resolver import Resolver


def _encryption(value: str) -> str:
    return Encryption(value).value


# What the URL may fill in, by query parameter
_FROM_ADDRESS: dict[str, Callable[[str], Any]] = {
    "host": validators.host,
    "encryption": _encryption,
    "port": validators.port,
    "username": validators.credential,
    "defaultfromemail": validators.email,
}


class SmtpForm(AdvancedFields):
    """Create or edit an SMTP server."""

    provider = LineField(lazy_gettext("Provider"), [Optional()])
    use = SubmitField(lazy_gettext("Fill in"))
    preset = LineField(validators=[Optional()])  # one of ``fitting``, chosen by its button
    host = field_of(fields.SMTP["host"], HostField)
    # The parts of a URL pasted as the host, except for the password.
    pasted_host = HiddenField()
    pasted_port = HiddenField()
    pasted_encryption = HiddenField()
    pasted_username = HiddenField()
    use_parts = SubmitField(lazy_gettext("Use these values"))
    encryption = RadioField(
        lazy_gettext("Encryption"),
        choices=[
            SelectChoice(Encryption.STARTTLS.value, with_usual_port(Encryption.STARTTLS)),
            SelectChoice(Encryption.IMPLICIT.value, with_usual_port(Encryption.IMPLICIT)),
            SelectChoice(Encryption.NONE.value, lazy_gettext("None")),
        ],
        default=Encryption.STARTTLS.value,
    )
    port = field_of(
        fields.SMTP["port"], required=False, default=str(USUAL_PORTS[Encryption.STARTTLS])
    )
    auth = BooleanField(label_of(fields.SMTP["auth"]), default=True)
    # Browsers autofill what looks like the sign-in of this site: hence the HTML names.
    username = LineField(
        label_of(fields.SMTP["username"]),
        [Optional(), Reads(fields.SMTP["username"].rule)],
        name="smtp_login",
    )
    password = PasswordField(
        label_of(fields.SMTP["password"]),
        # A password may consist of spaces: only an empty value means that there is none.
        [Optional(strip_whitespace=False), Reads(fields.SMTP["password"].rule)],
        name="smtp_secret",
    )
    passwordexpires = field_of(fields.SMTP["passwordexpires"])
    keep_password = BooleanField(
        lazy_gettext(
            "Keep the stored password: it is the same host, and the last check has verified its"
            " certificate on this port"
        )
    )
    defaultfromemail = field_of(fields.SMTP["defaultfromemail"])
    defaultfromname = field_of(fields.SMTP["defaultfromname"])
    priority = field_of(fields.SMTP["priority"], required=True)
    name = field_of(fields.SMTP["name"])
    note = field_of(fields.SMTP["note"], LinesField)
    tags = field_of(fields.SMTP["tags"])
    version = HiddenField(validators=[Optional(), Reads(version_number)])
    once_key = once_field()
    save_and_check = SubmitField()
    save = SubmitField(lazy_gettext("Save without checking"))
    probe = SubmitField(lazy_gettext("Test connection, send nothing"))

    def __init__(
        self,
        smtp: Smtp | None = None,
        *,
        sent: bool = True,
        typed: MultiDict[str, str] | None = None,
    ) -> None:
        super().__init__(self.of(smtp) if smtp else None, sent=sent, typed=typed)
        self.smtp = smtp
        self.focus: Field | None = None if smtp else self.provider
        if self.restored:
            self.focus = self.password  # the only value that is not restored
        self.unsaved: list[str] = []  # labels of the fields that were filled in
        self.ignored: list[str] = []  # labels of the fields that could not be
        self.fitting: list[Choice] = []  # presets, if several match what was typed
        forewarning.reserve(self)
        self.parts: Parts | None = None  # of a URL pasted as the host

    @staticmethod
    def of(smtp: Smtp) -> dict[str, Any]:
        """Return the form values of an SMTP server, without the password."""
        return values_of(smtp, SmtpForm, fields.SMTP) | {
            "encryption": smtp.encryption.value,
            "username": smtp.shown_username or "",
            **OauthFields.of_grant(smtp),
            "passwordexpires": f"{smtp.passwordexpires:%Y-%m-%d}" if smtp.passwordexpires else "",
            "version": smtp.version,
        }

    @property
    def others(self) -> list[Field]:
        """The remaining fields, which the page lists below those it lays out individually."""
        return [self._fields[name] for name in OTHERS_OF_SMTP]

    # -- filling in

    @property
    def asks_for_preset(self) -> bool:
        """Whether to fill in a preset: a button was pressed, or Enter after a provider name."""
        named = self.provider.data and not (self.host.data or self.save.data)
        return bool(self.is_submitted() and (self.use.data or self.preset.data or named))

    def fill_preset(self) -> None:
        """Fill in only the host, encryption and port of the chosen provider."""
        found = presets.named(self.preset.data or self.provider.data or "")
        if not found:
            self.provider.errors = [
                _("No provider in the list has this name. Enter its host below instead.")
            ]
            return
        if len(found) > 1:
            self.fitting = found
            self.focus = None  # the first of the choices has the focus
            return
        (choice,) = found
        self.provider.data = choice.label
        self._show("host", choice.host)
        self._show("encryption", choice.mode.encryption.value)
        self._show("port", str(choice.mode.port))
        if choice.preset.passwords == "refused":
            self._show("signin", OAUTH)
        # A host that starts with a dot must be completed first
        self.focus = self.host if choice.host.startswith(".") else self._typed_next()

    def validate(self, extra_validators: Mapping[str, Sequence[object]] | None = None) -> bool:
        """Validate every field; if a URL was pasted as the host, offer its parts."""
        valid = bool(super().validate(extra_validators))
        try:
            validators.host(self.host.data or "")
        except validators.PastedServer as error:
            self.parts = error.parts
        except ValueError:
            pass
        if self.parts:
            self.pasted_host.data = self.parts.host
            self.pasted_port.data = str(self.parts.port or "")
            self.pasted_encryption.data = self.parts.encryption or ""
            self.pasted_username.data = self.parts.username
        return valid

    @property
    def parts_in_words(self) -> list[tuple[str, str]]:
        """The labels and values of the parts that can be filled in."""
        return [
            (str(self._fields[name].label.text), in_words(self._fields[name], value))
            for name, value in self._parts_sent().items()
        ]

    @property
    def asks_for_parts(self) -> bool:
        """Whether to fill in the parts of the pasted URL."""
        return bool(self.is_submitted() and self.use_parts.data)

    def fill_parts(self) -> None:
        """Fill in the parts of the URL pasted as the host; nothing is saved."""
        parts = self._parts_sent()
        for name, value in parts.items():
            self._show(name, value)
        if "username" in parts:
            self.auth.data = True
        self.focus = self.password if "username" in parts else self._typed_next()

    def _parts_sent(self) -> dict[str, str]:
        """Return the valid parts sent by the previous page; they are untrusted input."""
        read = {}
        rules = _FROM_ADDRESS | {"username": validators.credential}
        for name in ("host", "port", "encryption", "username"):
            value = self._fields[f"pasted_{name}"].data
            try:
                if value:
                    read[name] = str(rules[name](value))
            except ValueError:
                continue
        return read

    def fill_from(self, address: Mapping[str, str]) -> None:
        """Fill in values and set the focus from the query string.

        The input is untrusted: invalid values are left out, and the page says so.
        """
        typed = address.get("provider", "")[:100]
        if "host" not in address and presets.named(typed):
            self.provider.data = typed
            self.fill_preset()
        read = {}
        for name, rule in _FROM_ADDRESS.items():
            if name in address:
                try:
                    read[name] = str(rule(address[name]))
                except ValueError:
                    self.ignored.append(self._fields[name].label.text)
        if "encryption" in read and "port" not in address and self._port_is_usual():
            read["port"] = str(USUAL_PORTS[Encryption(read["encryption"])])
        for name, value in read.items():
            self._show(name, value)
        wanted = address.get("field")
        named = {field.name: field for field in self}
        self.focus = named.get(wanted) or (self._typed_next() if read else self.focus)

    @property
    def needs_password(self) -> bool:
        """Whether the password must be re-entered: it was for another server or user name."""
        if self.smtp is None or self.password.data or self.by_oauth:
            return False
        fate = destination.fate_of_password(self.smtp, self._where_it_goes())
        return fate is Fate.NEEDED_AGAIN

    @property
    def can_keep_password(self) -> bool:
        """Whether to ask if the stored password may be sent to another port of the same host."""
        return bool(
            self.smtp
            and self.needs_password
            and destination.is_proven(self.smtp, self._where_it_goes())
        )

    @property
    def keeps_username(self) -> bool:
        """Whether to keep the stored user name, which the form must not show."""
        return bool(self.smtp and self.smtp.hides_username and not self.username.data)

    def _typed_next(self) -> Field:
        return self.password if self.needs_password else self.username

    def _port_is_usual(self) -> bool:
        return self.port.data in map(str, USUAL_PORTS.values())

    def _show(self, name: str, value: str) -> None:
        field = self._fields[name]
        if field.data == value:
            return
        if self.smtp:
            notes_of(field).stored = in_words(field, self.of(self.smtp)[name])
        field.data = value
        self.unsaved.append(field.label.text)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The choices of the provider list."""
        return presets.choices()

    # -- warnings

    def judge(self, app: App, resolver: Resolver | None = None) -> None:
        """Add warnings about likely failures and the provider's hints to the fields.

        ``resolver``: also add warnings from looking up the host in DNS.
        """
        forewarning.hint(self, (self.host.data or "").strip())
        if self._keeps_password and self.smtp and not smtps.has_key_of_password(self.smtp):
            notes_of(self.password).warnings = [say(SecretUnreadable.title)]
        forewarning.warn(self, self._settings(app), resolver)

    def tell_cause(self, name: str, report: Report) -> None:
        """Show the cause of a failed check at the field with this HTML name."""
        for field in self:
            if field.name == name:
                notes_of(field).cause = (report.title, *report.advice[:1])

    @property
    def _keeps_password(self) -> bool:
        """Whether the stored password stays in use: its destination has not changed."""
        if self.smtp is None or self.password.data:
            return False
        fate = destination.fate_of_password(self.smtp, self._where_it_goes())
        return self.smtp.auth and fate is Fate.KEPT

    def _settings(self, app: App) -> Settings:
        """Return the settings in the form, as far as they can be parsed."""
        smtp = self.smtp
        encryption = forewarning.encryption_of(self.encryption.data)
        username = self.username.data or ""
        sender = checkability.sender_of(self.defaultfromemail.data, app.defaultfromemail, username)
        if smtp and self.keeps_username and not destination.moves(smtp, self._where_it_goes()):
            username = smtp.username or ""
        host = (self.host.data or "").strip()
        if self.password.data:
            password_findings = credentials.findings(host, self.password.data)
        else:
            # Findings about a stored password must not leak to a user who enters another host.
            password_findings = (self._keeps_password and smtp and smtp.password_findings) or ""
        return Settings(
            host=host,
            port=forewarning.port_of(self.port.data),
            encryption=encryption,
            auth=bool(self.auth.data),
            oauth=self.by_oauth,
            username=username,
            password_findings=password_findings,
            mail_from=sender,
            policy=config.settings().egress,
            both_flags=bool(
                smtp and smtp.starttls and smtp.ssltls and smtp.encryption is encryption
            ),
        )

    # -- saving

    def changes(self) -> SmtpChanges:
        """Return the settings in the form; an empty password keeps the stored one."""
        changes = self.values(fields.SMTP) | self._flags()
        changes["port"] = self.accepted.get("port", self._usual_port())
        if self.keeps_username:
            del changes["username"]
        changes["password"] = self.accepted.get("password")
        if not self.password.data or self.by_oauth:
            del changes["password"]
        return cast(SmtpChanges, changes)

    def _flags(self) -> dict[str, bool]:
        # An API client may have set both flags: keep them if the encryption was not changed.
        if self.smtp and self.encryption.data == self.smtp.encryption.value:
            return {}
        return {
            "starttls": self.encryption.data == Encryption.STARTTLS.value,
            "ssltls": self.encryption.data == Encryption.IMPLICIT.value,
        }

    def _where_it_goes(self) -> dict[str, Any]:
        """Return the destination of the password as typed, even if it cannot be parsed."""
        typed: dict[str, Any] = {"auth": bool(self.auth.data)} | self._flags()
        for name in ("host", "port", "username", "cacertificates", "certificatepin"):
            text = self._fields[name].data or ""
            try:
                typed[name] = fields.SMTP[name].rule(text) if text else None
            except ValueError:
                typed[name] = text
        typed["port"] = typed["port"] or self._usual_port()
        if self.keeps_username:
            del typed["username"]
        return typed

    def _usual_port(self) -> int | None:
        """Return the usual port of the chosen encryption, if any."""
        chosen = self.encryption.data
        return USUAL_PORTS[Encryption(chosen)] if chosen in set(Encryption) else None


OTHERS_OF_SMTP = add_others(SmtpForm, fields.SMTP)
