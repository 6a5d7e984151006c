"""Whether an SMTP server can be checked at all: its From, and what our policy refuses."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from .. import validators
from ..config import settings
from ..database.models import App, Smtp, encryption_of, hides_username
from ..database.session import db
from ..providers import reachability
from ..providers.settings import Settings
from . import status
from .status import Reason


def sender(smtp: Any, app_sender: str | None) -> str:
    """The From of mails through an SMTP or a row of one; ``app_sender`` is its app's default."""
    # A From goes to everybody: a user name that is a secret is none
    username = None if hides_username(smtp) else smtp.username
    return sender_of(smtp.defaultfromemail, app_sender, username)


def sender_of(own: str | None, app_sender: str | None, username: str | None) -> str:
    """The SMTP's own default From, else the app's, else the user name if it is an address."""
    return own or app_sender or _as_address(username) or ""


def _as_address(username: str | None) -> str | None:
    try:
        return validators.email(username or "")
    except ValueError:
        return None


def settings_of(smtp: Any, app_sender: str | None, password: str = "") -> Settings:
    """What is to be judged of an SMTP server, or of a row of one."""
    return Settings(
        host=smtp.host,
        port=smtp.port,
        encryption=encryption_of(smtp.starttls, smtp.ssltls),
        auth=smtp.auth,
        username=smtp.username or "",
        password=password,
        mail_from=sender(smtp, app_sender),
        both_flags=smtp.starttls and smtp.ssltls,
        policy=settings().egress,
    )


def prevented_by(smtp: Any, app_sender: str | None) -> str | None:
    """The code with which each check of it must end before anything is sent; None: none must."""
    return reachability.prevents_check(settings_of(smtp, app_sender))


def renew(app: App) -> None:
    """After the default From of an app has changed: which of its SMTP servers can be checked."""
    lacking = Smtp.defaultfromemail.is_(None)
    for smtp in db.session.scalars(select(Smtp).where(Smtp.app_id == app.id, lacking)):
        with status.changing(smtp, Reason.EDITED):
            smtp.uncheckable = prevented_by(smtp, app.defaultfromemail)
