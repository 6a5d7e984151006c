"""The form of the first run: an app and its first SMTP server, at a provider or anywhere else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.datastructures import MultiDict
from wtforms import SelectChoice, SubmitField
from wtforms.validators import InputRequired, Optional

from ... import config, validators
from ...mailcheck import Encryption
from ...mailcheck.core.modes import USUAL_PORTS
from ...mailcheck.diagnosis.token import Grant
from ...providers import credentials, oauth, presets
from ...providers.presets import Preset
from ...providers.settings import Settings
from ...registry import checkability, fields
from ...registry.apps import AppChanges
from ...registry.smtps import SmtpChanges
from ..http.i18n import say
from . import forewarning
from .form_fields import (
    REQUIRED,
    HostField,
    LineField,
    Reads,
    field_of,
    label_of,
    with_usual_port,
)
from .forms import once_field
from .noted_fields import BooleanField, PasswordField, RadioField, SelectField
from .oauth_fields import OAUTH, OauthFields

if TYPE_CHECKING:
    from dns.resolver import Resolver


class StartForm(OauthFields):
    """Create an app and its first SMTP server; fields that the provider decides are left out.

    Only where the provider no longer accepts passwords, or soon will not, is there the part about
    OAuth.
    """

    server = SelectField(lazy_gettext("Region or server"))
    host = field_of(fields.SMTP["host"], HostField)
    encryption = RadioField(
        lazy_gettext("Encryption"),
        choices=[
            SelectChoice(Encryption.STARTTLS.value, with_usual_port(Encryption.STARTTLS)),
            SelectChoice(Encryption.IMPLICIT.value, with_usual_port(Encryption.IMPLICIT)),
            SelectChoice(Encryption.NONE.value, lazy_gettext("None")),
        ],
        default=Encryption.STARTTLS.value,
    )
    port = field_of(fields.SMTP["port"], required=False)
    auth = BooleanField(label_of(fields.SMTP["auth"]), default=True)
    # Browsers autofill what looks like the sign-in of this site: hence the HTML names.
    username = LineField(
        label_of(fields.SMTP["username"]),
        [Optional(), Reads(fields.SMTP["username"].rule)],
        name="smtp_login",
    )
    password = PasswordField(
        label_of(fields.SMTP["password"]),
        [Optional(strip_whitespace=False), Reads(fields.SMTP["password"].rule)],
        name="smtp_secret",
    )
    defaultfromemail = field_of(fields.SMTP["defaultfromemail"])
    name = field_of(fields.APP["name"], required=True)
    testemail = field_of(fields.APP["testemail"], required=True)
    once_key = once_field()
    submit = SubmitField(lazy_gettext("Save and send a test email"))

    def __init__(
        self,
        preset: Preset | None = None,
        data: dict[str, Any] | None = None,
        *,
        sent: bool = True,
        typed: MultiDict[str, str] | None = None,
    ) -> None:
        super().__init__(data, sent=sent, typed=typed)
        self.preset = preset
        self._choose_sign_in()
        if preset is None:
            del self.server
            forewarning.reserve(self)
            return
        del self.encryption, self.port, self.auth
        if preset.host_is_known:
            del self.host
        if len(preset.hosts) > 1 and preset.host_is_known:
            self.server.choices = [
                SelectChoice(host, label or preset.name) for label, host in preset.hosts.items()
            ]
            if preset.id == "ses":  # elsewhere the first one is that of most customers
                self.server.choices.insert(0, SelectChoice("", lazy_gettext("Choose a region")))
                self.server.validators = [InputRequired(lazy_gettext("Choose a region."))]
        else:
            del self.server
        if not self._needs_login:
            del self.username, self.password
        else:
            if "oauthgrant" in self:
                if "password" in self:
                    self.password.hint = say(preset.password)
            else:
                self.password.validators = [InputRequired(REQUIRED), *self.password.validators[1:]]
                self.password.hint = say(preset.needs)
            if preset.word or self._one_secret:
                del self.username
            else:
                self.username.validators = [
                    InputRequired(REQUIRED),
                    *self.username.validators[1:],
                ]
                self.username.hint = say(preset.user)
        if preset.wants_address:
            del self.defaultfromemail
        forewarning.reserve(self)

    def _choose_sign_in(self) -> None:
        """Keep of the part about OAuth what this provider needs."""
        preset = self.preset
        self.authorization_server = server = _authorization_server(preset)
        if preset is None or server is None:
            for name in ("signin", *fields.OAUTH):
                del self[name]
            return
        needed = {"oauthgrant", "oauthclientid", "oauthclientsecret"}
        if server.needs_tenant(Grant.CLIENT_CREDENTIALS):
            needed.add("oauthtenant")
        if Grant.JWT_BEARER in server.grants:
            needed.add("oauthkey")
        if Grant.REFRESH_TOKEN in server.grants:
            needed.add("oauthrefreshtoken")
        for name in fields.OAUTH.keys() - needed:
            del self[name]
        self.oauthgrant.choices = [
            choice for choice in self.oauthgrant.choices if choice.value in server.grants
        ]
        if preset.passwords == "refused":
            del self.signin, self.password

    @property
    def by_oauth(self) -> bool:
        """Whether to sign in with access tokens."""
        return "oauthgrant" in self and ("signin" not in self or self.signin.data == OAUTH)

    @property
    def _needs_login(self) -> bool:
        return self.preset is None or self.preset.password_form != "none"  # noqa: S105

    @property
    def _one_secret(self) -> bool:
        """Whether the user name is the same secret as the password."""
        return self.preset is not None and self.preset.password_form == "same"  # noqa: S105

    @property
    def fixed_username(self) -> str:
        """The user name that everybody has at this provider, if so."""
        return self.preset.word if self.preset else ""

    def validate(self, extra_validators: Mapping[str, Sequence[object]] | None = None) -> bool:
        """Validate every field, and that the test email will have a From address."""
        valid = bool(super().validate(extra_validators))
        if "signin" in self and not self.by_oauth and not self.password.data:
            self.password.errors = [str(REQUIRED)]
            return False
        if valid and not self._sender():
            field = self.username if "defaultfromemail" not in self else self.defaultfromemail
            field.errors = [
                _("Enter your full email address.")
                if field is not getattr(self, "defaultfromemail", None)
                else _("Enter the From address: the user name is not an email address.")
            ]
            return False
        return valid

    def _sender(self) -> str | None:
        """Return the From address, or the user name if it is one."""
        given = self.accepted.get("defaultfromemail")
        if given:
            return str(given)
        try:
            return validators.email(self._login()[0] or "")
        except ValueError:
            return None

    def _login(self) -> tuple[str | None, str | None]:
        """Return the user name and the password."""
        password = self.accepted.get("password")
        if self._one_secret:
            return password, password
        return self.fixed_username or self.accepted.get("username"), password

    # -- warnings

    def judge(self, resolver: Resolver | None = None) -> None:
        """Add warnings about likely failures to the fields; see :func:`forewarning.warn`."""
        settings = self._settings()
        if self.preset is None:
            forewarning.hint(self, settings.host)
        forewarning.warn(self, settings, resolver)

    def _settings(self) -> Settings:
        """Return the settings in the form, as far as they can be parsed."""
        password = (self.password.data if "password" in self else "") or ""
        username = self.fixed_username or (password if self._one_secret else "")
        if "username" in self:
            username = (self.username.data or "").strip()
        own = self.defaultfromemail.data if "defaultfromemail" in self else None
        if self.preset is None:
            host = (self.host.data or "").strip()
            encryption = forewarning.encryption_of(self.encryption.data)
            port = forewarning.port_of(self.port.data) or USUAL_PORTS[encryption]
            auth = bool(self.auth.data)
        else:
            host = self._typed_host(self.preset)
            encryption, port = self.preset.modes[0].encryption, self.preset.modes[0].port
            auth = self._needs_login
        return Settings(
            host=host,
            port=port,
            encryption=encryption,
            auth=auth,
            oauth=self.by_oauth,
            username=username,
            password_findings=credentials.findings(host, password) if password else "",
            mail_from=checkability.sender_of(own, None, username),
            policy=config.settings().egress,
        )

    def _typed_host(self, preset: Preset) -> str:
        if "host" in self:
            return (self.host.data or "").strip()
        return (
            str(self.server.data or "") if "server" in self else next(iter(preset.hosts.values()))
        )

    # -- saving

    def app_changes(self) -> AppChanges:
        """Return the app; its From address is the one that its SMTP server may send from."""
        return {
            "name": self.accepted["name"],
            "testemail": self.accepted["testemail"],
            "defaultfromemail": self._sender(),
            "strategy": "PRIORITY",
        }

    def smtp_changes(self) -> SmtpChanges:
        """Return the SMTP server."""
        username, password = self._login()
        auth = self._needs_login and (self.preset is not None or bool(self.auth.data))
        changes = self._where() | {"auth": auth}
        if auth:
            changes |= {"username": username}
            if not self.by_oauth:
                changes |= {"password": password}
        return cast(SmtpChanges, changes)

    def _where(self) -> dict[str, Any]:
        if self.preset is None:
            encryption = Encryption(self.encryption.data)
            port = self.accepted.get("port") or USUAL_PORTS[encryption]
            host = self.accepted["host"]
        else:
            encryption, port = self.preset.modes[0].encryption, self.preset.modes[0].port
            host = self._host_of(self.preset)
        return {
            "host": host,
            "port": port,
            "starttls": encryption is Encryption.STARTTLS,
            "ssltls": encryption is Encryption.IMPLICIT,
        }

    def _host_of(self, preset: Preset) -> str:
        if "server" in self:
            return str(self.server.data)
        if "host" in self:
            return str(self.accepted["host"])
        return next(iter(preset.hosts.values()))


def _authorization_server(preset: Preset | None) -> oauth.Provider | None:
    """Return where a provider gives access tokens, if it does not accept passwords for long."""
    if preset is None or not preset.passwords:
        return None
    return oauth.of_host(next(iter(preset.hosts.values())))


def initial(preset: Preset | None, email: str, found: Mapping[str, str]) -> dict[str, Any]:
    """Return the first values: of the account, the provider, and from the URL if they are valid."""
    data: dict[str, Any] = {"name": str(_("My app")), "testemail": email}
    if preset and preset.wants_address:
        owner = presets.of_domain(email.rpartition("@")[2])
        if owner and owner.preset is preset:
            data["username"] = email
    if server := _authorization_server(preset):
        data |= {"signin": OAUTH, "oauthgrant": server.grants[0].value}
    rules = {
        "host": validators.host,
        "port": lambda text: str(validators.port(text)),
        "encryption": lambda text: Encryption(text).value,
        "username": validators.credential,
        "defaultfromemail": validators.email,
        "server": validators.host,
    }
    for name, rule in rules.items():
        try:
            if found.get(name):
                data[name] = rule(found[name])
        except ValueError:  # an untrusted value
            continue
    return data
