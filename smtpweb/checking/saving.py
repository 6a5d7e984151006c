"""Save an SMTP server together with how it gets its access tokens."""

from __future__ import annotations

from ..database.models import Smtp
from ..registry import smtps
from ..registry.grants import OauthChanges
from ..registry.idempotency import Once
from ..registry.smtps import SmtpChanges
from . import tokens


def save(
    user_id: str,
    app_id: str,
    changes: SmtpChanges,
    oauth: OauthChanges | None = None,
    smtp_id: str | None = None,
    *,
    version: int | None = None,
    once: Once | None = None,
    keep_password: bool = False,
) -> Smtp:
    """Create or edit an SMTP server as :func:`.smtps.save` does.

    If only the issuer of the access tokens is given, its metadata is read first. What is wrong
    with it is raised as :class:`BadInput`; also raises :class:`TooMany` and :class:`Busy`.
    """
    if oauth:
        oauth = tokens.with_metadata(user_id, oauth)
    return smtps.save(
        user_id,
        app_id,
        changes,
        smtp_id,
        oauth=oauth,
        version=version,
        once=once,
        keep_password=keep_password,
    )
