"""The fields of SMTP servers and apps, each with its rule: one table for each.

The API uses these tables for its parameters and members, the form for its rules and labels,
export and import for their members. Tests check that what cannot use them agrees with them:
``openapi.json``, the columns of the models, ``SmtpChanges`` and ``AppChanges``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .. import validators
from ..errors import Sentence
from . import connection_rules, labels, oauth_rules

Rule = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A value set by the user; ``name`` is the internal one: column, operation and export.

    ``default``: for a new object, unless a value is given. ``required``: needed to create one.
    ``spellings``: alternative names of the API parameter; the API shows the value
    under ``shown_as``. ``exported``: in every export; a ``secret`` only when secrets are requested.
    ``binds_password``: a change would send a stored password to another server or in another
    way. ``extra``: the API shows it after the documented members, only if it has a value.
    ``label``: of its own form field, if it has one.
    """

    name: str
    rule: Rule
    label: Sentence | None = None
    default: Any = None
    required: bool = False
    spellings: tuple[str, ...] = ()
    shown_as: str = ""
    exported: bool = True
    secret: bool = False
    extra: bool = False
    binds_password: bool = False

    @property
    def is_flag(self) -> bool:
        """Whether it is a boolean."""
        return self.rule is validators.flag

    @property
    def column(self) -> str:
        """The column that stores it."""
        return self.name.removeprefix("oauth")


def _by_name(*fields: Field) -> Mapping[str, Field]:
    return MappingProxyType({field.name: field for field in fields})


# In the order in which the API shows them
SMTP = _by_name(
    Field("priority", validators.priority, Sentence("Priority"), 10),
    Field("host", validators.host, Sentence("Host"), required=True, binds_password=True),
    Field("port", validators.port, Sentence("Port"), required=True, binds_password=True),
    Field("username", validators.credential, Sentence("User name"), binds_password=True),
    Field("password", validators.credential, Sentence("Password"), exported=False, secret=True),
    Field(
        "auth", validators.flag, Sentence("Server requires authentication"), False,
        binds_password=True,
    ),
    # The form has one field for both
    Field("starttls", validators.flag, None, False, spellings=("startstls",), binds_password=True),
    Field(
        "ssltls", validators.flag, None, False,
        spellings=("sslTls",), shown_as="sslTls", binds_password=True,
    ),
    Field("debug", validators.flag, None, False),
    Field(
        "defaultfromemail", validators.email, Sentence("From address"),
        spellings=("defaulfromemail",),
    ),
    Field("defaultfromname", validators.display_name, Sentence("From name")),
    Field("name", labels.smtp_name, Sentence("Name"), extra=True),
    Field("note", labels.smtp_note, Sentence("Note"), extra=True),
    Field("tags", labels.tags, Sentence("Tags"), extra=True),
    Field(
        "passwordexpires", validators.date, Sentence("Password or secret expires on"),
        spellings=("oauthexpires",), exported=False, extra=True,
    ),
    Field("mechanism", connection_rules.mechanism, Sentence("AUTH mechanism"), extra=True),
    Field("ehloname", connection_rules.ehlo_name, Sentence("EHLO name"), extra=True),
    Field(
        "envelopefrom", connection_rules.envelope_from, Sentence("Envelope sender (MAIL FROM)"),
        extra=True,
    ),
    Field(
        "sourceaddress", connection_rules.source_address, Sentence("Connect from"),
        exported=False, extra=True,
    ),
    Field(
        "cacertificates", connection_rules.ca_certificates, Sentence("Trust only this CA"),
        extra=True, binds_password=True,
    ),
    Field(
        "certificatepin", connection_rules.pin, Sentence("Trust only this public key (SHA-256)"),
        spellings=("certificatePin",), extra=True, binds_password=True,
    ),
    Field(
        "clientcertificate", connection_rules.client_certificate, Sentence("Client certificate"),
        extra=True,
    ),
    Field(
        "clientkey", connection_rules.client_key, Sentence("Key of the client certificate"),
        exported=False, secret=True, extra=True,
    ),
)  # fmt: skip
APP = _by_name(
    Field("name", validators.app_name, Sentence("Name"), required=True),
    # For a new app, the first three default to the account's values
    Field("testemail", validators.email, Sentence("Send test emails to")),
    Field("defaultfromemail", validators.email, Sentence("Default From address")),
    Field("defaultfromname", validators.display_name, Sentence("Default From name")),
    Field("strategy", validators.strategy, Sentence("SMTP server to use"), "RANDOM"),
    Field("timebetweenemails", validators.seconds, None, 60),
    Field("retaindata", validators.flag, None, False),
    Field("useblacklist", validators.flag, None, False),
    Field("useautoblacklist", validators.flag, None, False),
    Field("checkevery", validators.checkevery, Sentence("Check its SMTP servers"), 60),
    Field("emailevery", validators.emailevery, Sentence("Send a real email"), "daily"),
)  # fmt: skip

# What a server is called: no check depends on it
LABELS = frozenset({"name", "note", "tags"})
# How a check connects; what is not set is automatic
CONNECTION = (
    "mechanism", "ehloname", "envelopefrom", "sourceaddress", "cacertificates", "certificatepin",
    "clientcertificate", "clientkey",
)  # fmt: skip
# Absent: no OAuth. The names of the columns lack the prefix.
OAUTH = _by_name(
    Field("oauthgrant", oauth_rules.grant, Sentence("How to get access")),
    Field("oauthprovider", oauth_rules.provider, Sentence("Sign-in service")),
    Field("oauthtenant", oauth_rules.tenant, Sentence("Organization (tenant)")),
    Field("oauthclientid", oauth_rules.client_id, Sentence("Client ID"), binds_password=True),
    Field("oauthclientsecret", oauth_rules.secret, Sentence("Client secret"), secret=True),
    Field("oauthkey", oauth_rules.service_account, Sentence("Service account key"), secret=True),
    Field("oauthrefreshtoken", oauth_rules.secret, Sentence("Refresh token"), secret=True),
    Field("oauthscope", oauth_rules.scope, Sentence("Scope"), binds_password=True),
    Field("oauthissuer", oauth_rules.endpoint, Sentence("Issuer URL")),
    Field("oauthtokenurl", oauth_rules.endpoint, Sentence("Token URL"), binds_password=True),
    Field("oauthauthurl", oauth_rules.endpoint, Sentence("Authorization URL")),
    Field("oauthdeviceurl", oauth_rules.endpoint, Sentence("Device authorization URL")),
    Field("oauthclientauth", oauth_rules.client_auth, Sentence("Send the client secret")),
)  # fmt: skip

SECRETS = tuple(name for name, field in (*SMTP.items(), *OAUTH.items()) if field.secret)

SPELLINGS = {
    spelling: field.name
    for field in (*SMTP.values(), *APP.values())
    for spelling in field.spellings
}


def required_first(fields: Mapping[str, Field]) -> list[Field]:
    """Return the fields in parsing order: required ones first."""
    return sorted(fields.values(), key=lambda field: not field.required)


def defaults(fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the default values of a new object by column name."""
    return {field.name: field.default for field in fields.values() if field.default is not None}


def exported(fields: Mapping[str, Field], *, secrets: bool = False) -> Iterable[Field]:
    """Yield the exported fields, secrets last and only when requested."""
    yield from (field for field in fields.values() if field.exported)
    if secrets:
        yield from (field for field in fields.values() if field.secret)
