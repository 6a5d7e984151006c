"""The part of the form of an SMTP server that says how it gets its access tokens."""

from __future__ import annotations

from typing import Any, cast

from flask_babel import lazy_gettext
from wtforms import SelectChoice
from wtforms.validators import Optional

from ...database.models import Smtp
from ...mailcheck.diagnosis.token import Grant
from ...providers import oauth
from ...registry import fields, grants, oauth_rules
from ...registry.grants import OauthChanges
from ..presentation.grant_labels import GRANTS
from .form_fields import LineField, OptionalChoice, Reads, label_of, text_field
from .forms import Form
from .noted_fields import PasswordField, RadioField, SecretTextField, SelectField

PASSWORD, OAUTH = "password", "oauth"
_BY_PROVIDER = ("oauthissuer", "oauthtokenurl", "oauthauthurl", "oauthdeviceurl", "oauthclientauth")


def _line(name: str) -> LineField:
    field = fields.OAUTH[name]
    return text_field(label_of(field), field.rule, required=False)


def _secret(name: str, kind: type[PasswordField] = PasswordField) -> PasswordField:
    field = fields.OAUTH[name]
    return kind(label_of(field), [Optional(), Reads(field.rule)])


class OauthFields(Form):
    """Sign in with a password or with access tokens. The page shows what the choices need."""

    signin = RadioField(
        lazy_gettext("Sign in with"),
        choices=[
            SelectChoice(PASSWORD, lazy_gettext("User name and password")),
            SelectChoice(OAUTH, lazy_gettext("OAuth 2.0 (access tokens)")),
        ],
        default=PASSWORD,
    )
    oauthprovider = SelectField(
        label_of(fields.OAUTH["oauthprovider"]),
        choices=lambda: [
            SelectChoice("", lazy_gettext("By the host")),
            *(SelectChoice(one.id, one.name) for one in oauth.providers()),
            SelectChoice(oauth.OTHER, lazy_gettext("Other")),
        ],
        default="",
        validators=[OptionalChoice()],
    )
    oauthgrant = RadioField(
        label_of(fields.OAUTH["oauthgrant"]),
        choices=[SelectChoice(grant.value, label) for grant, label in GRANTS.items()],
        default=Grant.CLIENT_CREDENTIALS.value,
    )
    oauthtenant = _line("oauthtenant")
    oauthclientid = _line("oauthclientid")
    oauthclientsecret = _secret("oauthclientsecret")
    oauthkey = _secret("oauthkey", SecretTextField)
    oauthrefreshtoken = _secret("oauthrefreshtoken")
    oauthscope = _line("oauthscope")
    oauthissuer = _line("oauthissuer")
    oauthtokenurl = _line("oauthtokenurl")
    oauthauthurl = _line("oauthauthurl")
    oauthdeviceurl = _line("oauthdeviceurl")
    oauthclientauth = SelectField(
        label_of(fields.OAUTH["oauthclientauth"]),
        choices=[
            SelectChoice("", lazy_gettext("As usual")),
            SelectChoice(oauth.POST, lazy_gettext("In the form (client_secret_post)")),
            SelectChoice(oauth.BASIC, lazy_gettext("In a header (client_secret_basic)")),
        ],
        default="",
        validators=[OptionalChoice()],
    )

    @staticmethod
    def of_grant(smtp: Smtp) -> dict[str, Any]:
        """Return the form values of a stored grant; what the provider has itself stays empty."""
        row = grants.find(smtp.id) if smtp.uses_oauth else None
        if row is None:
            return {"signin": PASSWORD}
        values: dict[str, Any] = {
            name: getattr(row, field.column) or ""
            for name, field in fields.OAUTH.items()
            if not field.secret
        }
        known = oauth.named(row.provider)
        if known is not None:
            usual = known.endpoints(Grant(row.grant), smtp.host, row.tenant)
            values |= dict.fromkeys(_BY_PROVIDER, "")
            if row.scope == usual.scope:
                values["oauthscope"] = ""
        return values | {"signin": OAUTH}

    @property
    def by_oauth(self) -> bool:
        """Whether to sign in with access tokens."""
        return bool(self.signin.data == OAUTH and self._fields["auth"].data)

    @property
    def keeps_secrets(self) -> bool:
        """Whether secrets are stored that an empty field keeps."""
        smtp: Smtp | None = getattr(self, "smtp", None)
        return bool(smtp and smtp.uses_oauth)

    def oauth_changes(self) -> OauthChanges | None:
        """Return the OAuth settings in the form; an empty secret keeps the stored one."""
        if not self.by_oauth:
            return OauthChanges(oauthgrant=oauth_rules.NONE) if self.keeps_secrets else None
        given = self.values(fields.OAUTH)
        for name, field in fields.OAUTH.items():
            if name not in self:
                continue
            if field.secret:
                given[name] = self.accepted.get(name)
            if not given[name] and (field.secret or name == "oauthprovider"):
                del given[name]
            elif not given[name]:
                given[name] = None
        if given.get("oauthprovider", "") not in ("", oauth.OTHER):
            for name in _BY_PROVIDER:
                given[name] = None  # of the provider that was chosen before
        return cast(OauthChanges, given)
