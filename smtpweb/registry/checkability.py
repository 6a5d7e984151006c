"""Whether an SMTP server can be checked at all, given its From and our policy."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import select

from .. import validators
from ..config import settings
from ..database.models import App, Smtp, encryption_of, hides_username
from ..database.rows import SmtpRules
from ..database.session import db
from ..mailcheck import EgressPolicy
from ..providers import preflight, reachability
from ..providers.settings import Settings, Warning
from . import status
from .status import Reason


def sender(smtp: SmtpRules, app_sender: str | None) -> str:
    """Return the From of emails sent through an SMTP server or row; ``app_sender``: app default."""
    # Every recipient sees the From, so never use a secret user name for it
    username = None if hides_username(smtp) else smtp.username
    return sender_of(smtp.defaultfromemail, app_sender, username)


def sender_of(own: str | None, app_sender: str | None, username: str | None) -> str:
    """Return the server's own default From, else the app's, else the user name if an address."""
    return own or app_sender or _as_address(username) or ""


def _as_address(username: str | None) -> str | None:
    try:
        return validators.email(username or "")
    except ValueError:
        return None


def _settings_of(smtp: SmtpRules, app_sender: str | None, policy: EgressPolicy) -> Settings:
    """Return the settings to evaluate for an SMTP server or a row of one."""
    return Settings(
        host=smtp.host,
        port=smtp.port,
        encryption=encryption_of(smtp.starttls, smtp.ssltls),
        auth=smtp.auth,
        oauth=smtp.uses_oauth,
        username=smtp.username or "",
        password_findings=smtp.password_findings or "",
        mail_from=sender(smtp, app_sender),
        both_flags=smtp.starttls and smtp.ssltls,
        policy=policy,
    )


class _Relevant(NamedTuple):
    """What the warnings of an SMTP server follow from, beside its app's default From."""

    host: str
    port: int
    auth: bool
    uses_oauth: bool
    starttls: bool
    ssltls: bool
    username: str | None
    username_is_secret: bool | None
    password_findings: str | None
    defaultfromemail: str | None


_relevant = attrgetter(*_Relevant._fields)
Finder = Callable[[SmtpRules], tuple[Warning, ...]]


def warnings_finder(app_sender: str | None) -> Finder:
    """Return a function that finds what is likely to fail with an SMTP server or row.

    It is for the servers of one request: what it found is remembered for at most a minute, for
    the next requests, unless their settings, our policy or the hosts file change.
    """
    find = _remembering(
        settings().egress, reachability.hosts_file_version(), int(time.monotonic() // 60)
    )
    return lambda smtp: find(_Relevant._make(_relevant(smtp)), app_sender)


@functools.lru_cache(4)
def _remembering(
    policy: EgressPolicy, _hosts_file: int, _minute: int
) -> Callable[[_Relevant, str | None], tuple[Warning, ...]]:
    @functools.lru_cache(4096)
    def find(smtp: _Relevant, app_sender: str | None) -> tuple[Warning, ...]:
        return preflight.warnings(_settings_of(smtp, app_sender, policy))

    return find


def prevented_by(smtp: SmtpRules, app_sender: str | None) -> str | None:
    """Return the code that ends every check of it before anything is sent; None: checkable."""
    return reachability.prevents_check(_settings_of(smtp, app_sender, settings().egress))


def renew(app: App) -> None:
    """Update which SMTP servers can be checked after the app's default From has changed."""
    lacking = Smtp.defaultfromemail.is_(None)
    for smtp in db.session.scalars(select(Smtp).where(Smtp.app_id == app.id, lacking)):
        with status.changing(smtp, Reason.EDITED):
            smtp.uncheckable = prevented_by(smtp, app.defaultfromemail)
