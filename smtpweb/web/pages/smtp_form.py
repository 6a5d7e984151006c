"""The form of an SMTP: what is typed, filled in by a preset or an address, and likely to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from dns.resolver import Resolver
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
from ...providers import credentials, preflight, presets, reachability
from ...providers.presets import Choice
from ...providers.settings import Settings
from ...registry import checkability, destination, fields, smtps
from ...registry.destination import Fate
from ...registry.smtps import SmtpChanges
from ..http.i18n import say
from .form_fields import (
    HostField,
    LineField,
    Reads,
    add_others,
    field_of,
    in_words,
    label_of,
    values_of,
    with_usual_port,
)
from .forms import Form, once_field, version_number
from .noted_fields import BooleanField, HiddenField, PasswordField, RadioField, notes_of


def _encryption(value: str) -> str:
    return Encryption(value).value


# What an address may fill in, by its name there
_FROM_ADDRESS: dict[str, Callable[[str], Any]] = {
    "host": validators.host,
    "encryption": _encryption,
    "port": validators.port,
    "username": validators.credential,
    "defaultfromemail": validators.email,
}
_JUDGED = ("host", "encryption", "port", "username", "password", "defaultfromemail")


class SmtpForm(Form):
    """Create or edit an SMTP."""

    provider = LineField(lazy_gettext("Provider"), [Optional()])
    use = SubmitField(lazy_gettext("Fill in"))
    preset = LineField(validators=[Optional()])  # one of ``fitting``, as its button says
    host = field_of(fields.SMTP["host"], HostField)
    # What was pasted as the host, taken apart; the password is not among it.
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
    # Browsers fill in what they take for the login of this site: hence the names in HTML.
    username = LineField(
        label_of(fields.SMTP["username"]),
        [Optional(), Reads(fields.SMTP["username"].rule)],
        name="smtp_login",
    )
    password = PasswordField(
        label_of(fields.SMTP["password"]),
        # Blanks alone are a password too: only nothing at all means that there is none.
        [Optional(strip_whitespace=False), Reads(fields.SMTP["password"].rule)],
        name="smtp_secret",
    )
    defaultfromemail = field_of(fields.SMTP["defaultfromemail"])
    defaultfromname = field_of(fields.SMTP["defaultfromname"])
    priority = field_of(fields.SMTP["priority"], required=True)
    version = HiddenField(validators=[Optional(), Reads(version_number)])
    once_key = once_field()
    save_and_check = SubmitField()
    save = SubmitField(lazy_gettext("Save without checking"))

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
            self.focus = self.password  # it is all that is missing
        self.unsaved: list[str] = []  # labels of what was filled in
        self.ignored: list[str] = []  # labels of what could not be
        self.fitting: list[Choice] = []  # providers, where several fit what was typed
        for name in _JUDGED:
            notes_of(self._fields[name]).warnings = []
        self.username.hint = self.password.hint = ""
        self.parts: Parts | None = None  # of what was pasted as the host

    @staticmethod
    def of(smtp: Smtp) -> dict[str, Any]:
        """The values of an SMTP as the form has them; the password is never among them."""
        return values_of(smtp, SmtpForm, fields.SMTP) | {
            "encryption": smtp.encryption.value,
            "username": smtp.shown_username or "",
            "version": smtp.version,
        }

    @property
    def others(self) -> list[Field]:
        """The fields that the page lays out one after the other, below its own."""
        return [self._fields[name] for name in OTHERS_OF_SMTP]

    # -- filling in

    @property
    def asks_for_preset(self) -> bool:
        """Whether it was sent to be filled in; also by Enter behind the name of a provider."""
        named = self.provider.data and not (self.host.data or self.save.data)
        return bool(self.is_submitted() and (self.use.data or self.preset.data or named))

    def fill_preset(self) -> None:
        """Fill in host, encryption and port of the provider that was chosen, and nothing else."""
        found = presets.named(self.preset.data or self.provider.data or "")
        if not found:
            self.provider.errors = [
                _("No provider in the list has this name. Enter its host below instead.")
            ]
            return
        if len(found) > 1:
            self.fitting = found
            self.focus = None  # the first of the choices has it
            return
        (choice,) = found
        self.provider.data = choice.label
        self._show("host", choice.host)
        self._show("encryption", choice.mode.encryption.value)
        self._show("port", str(choice.mode.port))
        # What was left out of the host is typed next
        self.focus = self.host if choice.host.startswith(".") else self._typed_next()

    def validate(self, extra_validators: Mapping[str, Sequence[object]] | None = None) -> bool:
        """Read every field; where a URL was pasted as the host, offer its parts."""
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
        """The parts that can be filled in: label and value."""
        return [
            (str(self._fields[name].label.text), in_words(self._fields[name], value))
            for name, value in self._parts_sent().items()
        ]

    @property
    def asks_for_parts(self) -> bool:
        """Whether it was sent to be filled in with the parts of what was pasted."""
        return bool(self.is_submitted() and self.use_parts.data)

    def fill_parts(self) -> None:
        """Fill in what was pasted as the host, part by part; nothing is saved."""
        parts = self._parts_sent()
        for name, value in parts.items():
            self._show(name, value)
        if "username" in parts:
            self.auth.data = True
        self.focus = self.password if "username" in parts else self._typed_next()

    def _parts_sent(self) -> dict[str, str]:
        """The parts as the page of before had them; they come from outside, so they are read."""
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
        """Take values and the place of the cursor from the query of an address, if they will do.

        They come from outside: whatever cannot be read is left out, and the page says so.
        """
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
        named = {self._fields[name].name: self._fields[name] for name in _JUDGED}
        self.focus = named.get(wanted) or (self._typed_next() if read else self.focus)

    @property
    def needs_password(self) -> bool:
        """Whether the stored password will not do: it was entered for another place or login."""
        if self.smtp is None or self.password.data:
            return False
        fate = destination.fate_of_password(self.smtp, self._where_it_goes())
        return fate is Fate.NEEDED_AGAIN

    @property
    def keeps_username(self) -> bool:
        """Whether the stored user name stays, which the form must not show."""
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
        """What the list of providers offers."""
        return presets.choices()

    # -- what is likely to fail

    def judge(self, app: App, resolver: Resolver | None = None) -> None:
        """Put to the fields what is likely to fail, and the hints of the provider.

        ``resolver``: also say what it knows of the host at once.
        """
        known = presets.of_host((self.host.data or "").strip())
        if known:
            self.username.hint = f"{known.name}: {say(known.user)}"
            self.password.hint = f"{known.name}: {say(known.password)}"
        settings = self._settings(app)
        if self._keeps_password and self.smtp and not smtps.has_key_of_password(self.smtp):
            notes_of(self.password).warnings = [say(SecretUnreadable.title)]
        dns = reachability.look_up(settings, resolver) if resolver else ()
        for warning in (*dns, *preflight.warnings(settings)):
            notes = notes_of(self._fields[warning.field])
            notes.warnings = [*(notes.warnings or ()), say(warning.text)]

    def tell_cause(self, name: str, report: Report) -> None:
        """Put to the field of this name in HTML what a check found to be wrong with it."""
        for field in self:
            if field.name == name:
                notes_of(field).cause = (report.title, *report.advice[:1])

    @property
    def _keeps_password(self) -> bool:
        """Whether the stored password would be sent to where it was entered for."""
        if self.smtp is None or self.password.data:
            return False
        fate = destination.fate_of_password(self.smtp, self._where_it_goes())
        return self.smtp.auth and fate is Fate.KEPT

    def _settings(self, app: App) -> Settings:
        """What stands in the form, as far as it can be read."""
        smtp = self.smtp
        try:
            port = validators.port(self.port.data or "")
        except ValueError:
            port = None
        try:
            encryption = Encryption(self.encryption.data)
        except ValueError:
            encryption = Encryption.STARTTLS
        username = self.username.data or ""
        sender = checkability.sender_of(self.defaultfromemail.data, app.defaultfromemail, username)
        if smtp and self.keeps_username and not destination.moves(smtp, self._where_it_goes()):
            username = smtp.username or ""
        host = (self.host.data or "").strip()
        if self.password.data:
            password_findings = credentials.findings(host, self.password.data)
        else:
            # What is said of it must not tell about it to who types the host of somebody else
            password_findings = (self._keeps_password and smtp and smtp.password_findings) or ""
        return Settings(
            host=host,
            port=port,
            encryption=encryption,
            auth=bool(self.auth.data),
            username=username,
            password_findings=password_findings,
            mail_from=sender,
            policy=config.settings().egress,
            both_flags=bool(
                smtp and smtp.starttls and smtp.ssltls and smtp.encryption is encryption
            ),
        )

    def findings(self) -> dict[str, Any]:
        """The same for a script: texts by the names that the fields have in HTML."""
        return {
            "warnings": {
                field.name: notes_of(field).warnings
                for field in (self._fields[name] for name in _JUDGED)
            },
            "hints": {field.name: field.hint for field in (self.username, self.password)},
        }

    # -- saving

    def changes(self) -> SmtpChanges:
        """What the form says of the SMTP, or of a new one; an empty password keeps the stored."""
        changes = self.values(fields.SMTP) | self._flags()
        changes["port"] = self.accepted.get("port", self._usual_port())
        if self.keeps_username:
            del changes["username"]
        changes["password"] = self.accepted.get("password")
        if not self.password.data:
            del changes["password"]
        return cast(SmtpChanges, changes)

    def _flags(self) -> dict[str, bool]:
        # A client of the API may have set both flags: what was not touched stays as it is.
        if self.smtp and self.encryption.data == self.smtp.encryption.value:
            return {}
        return {
            "starttls": self.encryption.data == Encryption.STARTTLS.value,
            "ssltls": self.encryption.data == Encryption.IMPLICIT.value,
        }

    def _where_it_goes(self) -> dict[str, Any]:
        """What stands in the form of where a password is sent, whether it can be read or not."""
        typed: dict[str, Any] = {"auth": bool(self.auth.data)} | self._flags()
        for name in ("host", "port", "username"):
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
        """That of the encryption, if one is chosen."""
        chosen = self.encryption.data
        return USUAL_PORTS[Encryption(chosen)] if chosen in set(Encryption) else None

    @property
    def usual_ports(self) -> dict[str, str]:
        """The same of each encryption, for the script of the page."""
        return {mode.value: str(port) for mode, port in USUAL_PORTS.items()}


OTHERS_OF_SMTP = add_others(SmtpForm, fields.SMTP)
