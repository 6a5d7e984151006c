"""Create an app together with its first SMTP server: both, or neither."""

from __future__ import annotations

from ..database.models import Smtp
from ..database.session import writing
from . import apps, smtps
from .apps import AppChanges
from .grants import OauthChanges
from .idempotency import Once
from .smtps import SmtpChanges


def create(
    user_id: str,
    app: AppChanges,
    smtp: SmtpChanges,
    oauth: OauthChanges | None = None,
    *,
    once: Once | None = None,
) -> Smtp:
    """Create both and return the server, or the one that the same request created earlier.

    Raises :class:`BadInput`, :class:`NameTaken`, :class:`QuotaReached` and, with ``once``,
    :class:`KeyReused`.
    """
    with writing():
        saved = apps.save(user_id, app, once=once)
        return smtps.save(user_id, saved.id, smtp, oauth=oauth, once=once)
