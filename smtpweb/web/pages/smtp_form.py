"""The form of an SMTP: what is typed, filled in by a preset or an address, and likely to fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dns.resolver import Resolver
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.datastructures import MultiDict
from wtforms import (
    BooleanField,
    Field,
    HiddenField,
    PasswordField,
    RadioField,
    SelectChoice,
    SubmitField,
)
from wtforms.validators import DataRequired, Optional

from ... import config, validators
from ...database.models import App, Smtp
from ...errors import SecretUnreadable
from ...mailcheck import Encryption, Report
from ...mailcheck.core.pasted import Parts
from ...providers import preflight, presets, reachability
from ...providers.presets import Choice
from ...providers.settings import Settings
from ...registry import checkability, smtps
from ...registry.smtps import SmtpChanges
from ..http.i18n import say
from .forms import (
    REQUIRED,
    Form,
    LineField,
    Reads,
    in_words,
    once_field,
    text_field,
    trimmed,
    version_number,
)


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


class SmtpForm(Form):
    """Create or edit an SMTP."""

    provider = LineField(lazy_gettext("Provider"), [Optional()])
    use = SubmitField(lazy_gettext("Fill in"))
    preset = LineField(validators=[Optional()])  # one of ``fitting``, as its button says
    host = HostField(
        lazy_gettext("Host"), [DataRequired(REQUIRED), Reads(validators.host)], filters=[trimmed]
    )
    # What was pasted as the host, taken apart; the password is not among it.
    pasted_host = HiddenField()
    pasted_port = HiddenField()
    pasted_encryption = HiddenField()
    pasted_username = HiddenField()
    use_parts = SubmitField(lazy_gettext("Fill in these parts"))
    encryption = RadioField(
        lazy_gettext("Encryption"),
        choices=[
            SelectChoice(Encryption.STARTTLS.value, lazy_gettext("STARTTLS (usual: 587)")),
            SelectChoice(
                Encryption.IMPLICIT.value, lazy_gettext("TLS from the start (usual: 465)")
            ),
            SelectChoice(Encryption.NONE.value, lazy_gettext("None: unencrypted")),
        ],
        default=Encryption.STARTTLS.value,
    )
    port = text_field(lazy_gettext("Port"), validators.port, required=False, default="587")
    auth = BooleanField(lazy_gettext("The server wants a login"), default=True)
    # Browsers fill in what they take for the login of this site: hence the names in HTML.
    username = LineField(
        lazy_gettext("User name"), [Optional(), Reads(validators.credential)], name="smtp_login"
    )
    password = PasswordField(
        lazy_gettext("Password"),
        # Blanks alone are a password too: only nothing at all means that there is none.
        [Optional(strip_whitespace=False), Reads(validators.credential)],
        name="smtp_secret",
    )
    defaultfromemail = text_field(lazy_gettext("From email"), validators.email, required=False)
    defaultfromname = text_field(lazy_gettext("From name"), validators.display_name, required=False)
    priority = text_field(lazy_gettext("Priority"), validators.priority, default="10")
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
            self._fields[name].warnings = []
        self.username.hint = self.password.hint = ""
        self.parts: Parts | None = None  # of what was pasted as the host

    @staticmethod
    def of(smtp: Smtp) -> dict[str, Any]:
        """The values of an SMTP as the form has them; the password is never among them."""
        return {
            "host": smtp.host,
            "encryption": smtp.encryption.value,
            "port": str(smtp.port),
            "auth": smtp.auth,
            "username": smtp.shown_username or "",
            "defaultfromemail": smtp.defaultfromemail or "",
            "defaultfromname": smtp.defaultfromname or "",
            "priority": str(smtp.priority),
            "version": smtp.version,
        }

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
                _("There is no provider of this name in the list: type its host instead.")
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

    def validate(self, extra_validators: Any = None) -> bool:
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
            read["port"] = str(presets.USUAL_PORTS[Encryption(read["encryption"])])
        for name, value in read.items():
            self._show(name, value)
        wanted = address.get("field")
        named = {self._fields[name].name: self._fields[name] for name in _JUDGED}
        self.focus = named.get(wanted) or (self._typed_next() if read else self.focus)

    @property
    def needs_password(self) -> bool:
        """Whether the stored password will not do: it was entered for another place or login."""
        smtp = self.smtp
        return bool(
            smtp
            and smtp.password_sealed
            and self.auth.data
            and not self.password.data
            and (self._moves(smtp) or not smtp.auth)
        )

    @property
    def keeps_username(self) -> bool:
        """Whether the stored user name stays, which the form must not show."""
        return bool(self.smtp and self.smtp.hides_username and not self.username.data)

    def _typed_next(self) -> Field:
        return self.password if self.needs_password else self.username

    def _port_is_usual(self) -> bool:
        return self.port.data in map(str, presets.USUAL_PORTS.values())

    def _show(self, name: str, value: str) -> None:
        field = self._fields[name]
        if field.data == value:
            return
        if self.smtp:
            field.stored = in_words(field, self.of(self.smtp)[name])
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
        dns = reachability.look_up(settings, resolver) if resolver else ()
        for warning in (*dns, *preflight.warnings(settings)):
            field = self._fields[warning.field]
            field.warnings = [*field.warnings, say(warning.text)]

    def tell_cause(self, name: str, report: Report) -> None:
        """Put to the field of this name in HTML what a check found to be wrong with it."""
        for field in self:
            if field.name == name:
                field.cause = (report.title, *report.advice[:1])

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
        if smtp and self.keeps_username and not self._moves(smtp):
            username = smtp.username or ""
        return Settings(
            host=(self.host.data or "").strip(),
            port=port,
            encryption=encryption,
            auth=bool(self.auth.data),
            username=username,
            password=self.password.data or self._stored_password(),
            mail_from=sender,
            policy=config.settings().egress,
            both_flags=bool(
                smtp and smtp.starttls and smtp.ssltls and smtp.encryption is encryption
            ),
        )

    def _stored_password(self) -> str:
        # What is said of it must not tell about it to who types the host of somebody else
        if self.smtp is None or not self.smtp.auth or self._moves(self.smtp):
            return ""
        try:
            return smtps.open_password(self.smtp) or ""
        except SecretUnreadable as error:
            self.password.warnings = [say(error.title)]
            return ""

    def findings(self) -> dict[str, Any]:
        """The same for a script: texts by the names that the fields have in HTML."""
        return {
            "warnings": {self._fields[name].name: self._fields[name].warnings for name in _JUDGED},
            "hints": {field.name: field.hint for field in (self.username, self.password)},
        }

    # -- saving

    def changes(self) -> SmtpChanges:
        """What the form says of the SMTP, or of a new one; an empty password keeps the stored."""
        smtp = self.smtp
        changes: SmtpChanges = {
            "host": self.accepted["host"],
            "port": self._port(),
            "priority": self.accepted["priority"],
            "auth": self.auth.data,
            "defaultfromemail": self.accepted.get("defaultfromemail"),
            "defaultfromname": self.accepted.get("defaultfromname"),
        }
        if not self.keeps_username:
            changes["username"] = self.accepted.get("username")
        # A client of the API may have set both flags: what was not touched stays as it is.
        if smtp is None or self.encryption.data != smtp.encryption.value:
            changes["starttls"] = self.encryption.data == Encryption.STARTTLS.value
            changes["ssltls"] = self.encryption.data == Encryption.IMPLICIT.value
        if self.password.data:
            changes["password"] = self.accepted["password"]
        return changes

    def _port(self) -> int:
        """What was typed, or the usual port of the encryption."""
        usual = presets.USUAL_PORTS[Encryption(self.encryption.data)]
        return int(self.accepted.get("port", usual))

    def _moves(self, smtp: Smtp) -> bool:
        stored = self.of(smtp)
        typed = {
            name: self._fields[name].data or ""
            for name in ("host", "port", "username", "encryption")
        }
        typed["host"] = self.accepted.get("host", typed["host"])
        return any(typed[name] != stored[name] for name in typed)
