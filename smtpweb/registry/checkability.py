"""Whether an SMTP server can be checked at all, given its From and our policy."""

from __future__ import annotations

from sqlalchemy import select

from .. import validators
from ..config import settings
from ..database.models import App, Smtp, encryption_of, hides_username
from ..database.rows import SmtpSettings
from ..database.session import db
from ..providers import reachability
from ..providers.settings import Settings
from . import status
from .status import Reason


def sender(smtp: SmtpSettings, app_sender: str | None) -> str:
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


def settings_of(smtp: SmtpSettings, app_sender: str | None) -> Settings:
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
        policy=settings().egress,
    )


def prevented_by(smtp: SmtpSettings, app_sender: str | None) -> str | None:
    """Return the code that ends every check of it before anything is sent; None: checkable."""
    return reachability.prevents_check(settings_of(smtp, app_sender))


def renew(app: App) -> None:
    """Update which SMTP servers can be checked after the app's default From has changed."""
    lacking = Smtp.defaultfromemail.is_(None)
    for smtp in db.session.scalars(select(Smtp).where(Smtp.app_id == app.id, lacking)):
        with status.changing(smtp, Reason.EDITED):
            smtp.uncheckable = prevented_by(smtp, app.defaultfromemail)
