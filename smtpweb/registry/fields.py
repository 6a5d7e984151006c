"""The fields of an SMTP server and of an app, each with its rule: one table of either.

The API reads its parameters and shows its members by it, the form takes its rules and labels,
export and import their members. What cannot read it is held to it by tests: ``openapi.json``,
the columns of the models, ``SmtpChanges`` and ``AppChanges``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from .. import validators
from ..errors import Sentence

Rule = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One value that a user gives; ``name`` is ours: of the column, the operation, the export.

    ``default``: for a new one, unless another is given. ``required``: none is created without it.
    ``spellings``: other names of the API's parameter, of which it shows the value by
    ``shown_as``. ``exported``: in every export; a ``secret`` only where secrets are asked for.
    ``binds_password``: a change sends a stored password to another server or in another
    way. ``label``: as a field of its own in the form, where it has one.
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
    binds_password: bool = False

    @property
    def is_flag(self) -> bool:
        """Whether it is on or off."""
        return self.rule is validators.flag


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
)  # fmt: skip
APP = _by_name(
    Field("name", validators.app_name, Sentence("Name"), required=True),
    # The first three come from the account where a new app does not say them
    Field("testemail", validators.email, Sentence("Send test emails to")),
    Field("defaultfromemail", validators.email, Sentence("Default From address")),
    Field("defaultfromname", validators.display_name, Sentence("Default From name")),
    Field("strategy", validators.strategy, Sentence("SMTP server to use"), "RANDOM"),
    Field("timebetweenemails", validators.seconds, None, 60),
    Field("retaindata", validators.flag, None, False),
    Field("useblacklist", validators.flag, None, False),
    Field("useautoblacklist", validators.flag, None, False),
)  # fmt: skip

SPELLINGS = {
    spelling: field.name
    for field in (*SMTP.values(), *APP.values())
    for spelling in field.spellings
}


def required_first(fields: Mapping[str, Field]) -> list[Field]:
    """In the order in which they are read: what has to be there is asked for first."""
    return sorted(fields.values(), key=lambda field: not field.required)


def defaults(fields: Mapping[str, Field]) -> dict[str, Any]:
    """What a new one begins with, by the names of columns."""
    return {field.name: field.default for field in fields.values() if field.default is not None}


def exported(fields: Mapping[str, Field], *, secrets: bool = False) -> Iterable[Field]:
    """What an export holds, secrets last and only where they are asked for."""
    yield from (field for field in fields.values() if field.exported)
    if secrets:
        yield from (field for field in fields.values() if field.secret)
