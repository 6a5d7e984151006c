"""What a rule reads of an SMTP server: an ``Smtp``, or a row with these columns, will do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, cast

from .session import AnyRow


class SmtpUser(Protocol):
    """Its user name, and whether that is as secret as the password."""

    @property
    def username(self) -> str | None: ...
    @property
    def username_is_secret(self) -> bool | None: ...


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


class SmtpSettings(SmtpUser, SmtpPassword, Protocol):
    """All that a check depends on."""

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


class SmtpRow(SmtpSettings, SmtpStanding, Protocol):
    """All that the API shows of it."""

    @property
    def app_id(self) -> str: ...
    @property
    def priority(self) -> int: ...
    @property
    def debug(self) -> bool: ...
    @property
    def defaultfromname(self) -> str | None: ...
    @property
    def passwordexpires(self) -> datetime | None: ...
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


class TokenAndSmtp(TokenRow, SmtpRow, Protocol):
    """Both in one row; null columns where the owner of the token has no such app or SMTP."""

    @property
    def app_found(self) -> str | None: ...
    @property
    def app_sender(self) -> str | None: ...


def with_tokens(rows: Sequence[AnyRow]) -> Sequence[TokenRow]:
    """Rows that were selected by ``tokens.token_rows``."""
    return cast(Sequence[TokenRow], rows)


def with_tokens_and_smtps(rows: Sequence[AnyRow]) -> Sequence[TokenAndSmtp]:
    """Rows that have the columns of a token, of an app, and of an SMTP."""
    return cast(Sequence[TokenAndSmtp], rows)
