"""What a rule reads of an SMTP server: an ``Smtp``, or a row with these columns, will do."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol


class SmtpUser(Protocol):
    """Its user name, and whether that is as secret as the password."""

    @property
    def username(self) -> str | None: ...
    @property
    def username_is_secret(self) -> bool | None: ...


class SmtpNamed(SmtpUser, Protocol):
    """What its name on a page follows from."""

    @property
    def name(self) -> str | None: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def auth(self) -> bool: ...


class SmtpPassword(Protocol):
    """Its sealed password, which opens for its id only."""

    @property
    def id(self) -> str: ...
    @property
    def password_sealed(self) -> str | None: ...


class SmtpStanding(Protocol):
    """What its state follows from."""

    @property
    def enabled(self) -> bool: ...
    @property
    def off_since(self) -> datetime | None: ...
    @property
    def degraded_since(self) -> datetime | None: ...
    @property
    def judged(self) -> bool: ...
    @property
    def uncheckable(self) -> str | None: ...


class SmtpRules(SmtpUser, Protocol):
    """What the rules about its settings read."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def auth(self) -> bool: ...
    @property
    def uses_oauth(self) -> bool: ...
    @property
    def starttls(self) -> bool: ...
    @property
    def ssltls(self) -> bool: ...
    @property
    def defaultfromemail(self) -> str | None: ...
    @property
    def password_findings(self) -> str | None: ...


class SmtpSettings(SmtpRules, SmtpPassword, Protocol):
    """All that a check depends on."""


class SmtpRow(SmtpSettings, Protocol):
    """All that the API shows of it."""

    @property
    def version(self) -> int: ...
    @property
    def app_id(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def debug(self) -> bool: ...
    @property
    def defaultfromname(self) -> str | None: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def name(self) -> str | None: ...
    @property
    def note(self) -> str | None: ...
    @property
    def tags(self) -> str | None: ...
    @property
    def passwordexpires(self) -> datetime | None: ...
    @property
    def mechanism(self) -> str | None: ...
    @property
    def ehloname(self) -> str | None: ...
    @property
    def envelopefrom(self) -> str | None: ...
    @property
    def sourceaddress(self) -> str | None: ...
    @property
    def cacertificates(self) -> str | None: ...
    @property
    def certificatepin(self) -> str | None: ...
    @property
    def clientcertificate(self) -> str | None: ...
    @property
    def off_since(self) -> datetime | None: ...
    @property
    def off_until(self) -> datetime | None: ...
    @property
    def off_note(self) -> str | None: ...
    @property
    def numerrors(self) -> int: ...
    @property
    def created(self) -> datetime: ...
    @property
    def modified(self) -> datetime: ...


class TokenRow(Protocol):
    """An API token with its owner, as the guard of the API reads it."""

    @property
    def token_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def scopes(self) -> str: ...
    @property
    def last_used(self) -> datetime | None: ...


class TokenAlone(NamedTuple):
    """A token in one row."""

    token_id: str
    user_id: str
    scopes: str
    last_used: datetime | None


class TokenAndSmtp(NamedTuple):
    """A token, an app, and an SMTP server in one row of a frequent read.

    ``app_found`` and all after it are null where the owner of the token has no such app, ``id`` and
    all after it where that has no SMTP server, what starts with ``oauth`` where that signs in with
    a password. Attributes of a named tuple are read several times faster than those of a row of
    SQLAlchemy.
    """

    token_id: str
    user_id: str
    scopes: str
    last_used: datetime | None
    app_found: str | None
    app_sender: str | None
    id: str
    app_id: str
    priority: int
    host: str
    port: int
    username: str | None
    password_sealed: str | None
    username_is_secret: bool | None
    password_findings: str | None
    auth: bool
    uses_oauth: bool
    starttls: bool
    ssltls: bool
    debug: bool
    defaultfromemail: str | None
    defaultfromname: str | None
    name: str | None
    note: str | None
    tags: str | None
    enabled: bool
    passwordexpires: datetime | None
    mechanism: str | None
    ehloname: str | None
    envelopefrom: str | None
    sourceaddress: str | None
    cacertificates: str | None
    certificatepin: str | None
    clientcertificate: str | None
    off_since: datetime | None
    off_until: datetime | None
    off_note: str | None
    numerrors: int
    version: int
    created: datetime
    modified: datetime
    oauthgrant: str | None
    oauthprovider: str | None
    oauthtenant: str | None
    oauthclientid: str | None
    oauthscope: str | None
    oauthissuer: str | None
    oauthtokenurl: str | None
    oauthauthurl: str | None
    oauthdeviceurl: str | None
    oauthclientauth: str | None
    oauthready: int | None


class AppRow(NamedTuple):
    """All that the API shows of an app."""

    id: str
    user_id: str
    name: str
    testemail: str
    defaultfromemail: str | None
    defaultfromname: str | None
    strategy: str
    timebetweenemails: int
    retaindata: bool
    useblacklist: bool
    useautoblacklist: bool
    checkevery: int
    emailevery: str
    created: datetime
    modified: datetime


class TokenAndApp(NamedTuple):
    """A token, the number of its owner's apps, and one of those asked for."""

    token_id: str
    user_id: str
    scopes: str
    last_used: datetime | None
    total: int
    app: AppRow | None
