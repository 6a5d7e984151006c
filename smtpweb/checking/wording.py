"""What a test email says, in the language of the account that owns the app."""

from __future__ import annotations

import secrets
from datetime import datetime

from flask import has_request_context
from flask_babel import force_locale, get_locale
from flask_babel import gettext as _

from ..database.models import Smtp, User
from ..database.session import db
from ..mailcheck import Content
from ..registry import names


def content_of(smtp: Smtp, arrival_url: str, moment: datetime) -> Content:
    """Return subject and text of the test email that is sent through this server now.

    The time in the subject is UTC, and tells several emails apart. Needs an application context.
    """
    owner = db.session.get(User, smtp.app.user_id)
    language = owner.language if owner else None
    # The account leaves it to the browser: a worker has none
    spoken = str(get_locale()) if has_request_context() else "en"
    with force_locale(language or spoken):
        return Content(
            subject=f"[smtpweb] {smtp.app.name} · {names.label(smtp)} · {moment:%H:%M}",
            text="\n".join(_lines(smtp, arrival_url)),
            message_id=f"{secrets.token_hex(16)}.check",
        )


def _lines(smtp: Smtp, arrival_url: str) -> list[str]:
    facts = [
        (_("App"), smtp.app.name),
        (_("Server"), names.label(smtp)),
        (_("Host"), smtp.host),
        (_("Port"), str(smtp.port)),
    ]
    lines = [
        _("This is a test email. It was sent to find out whether this SMTP server accepts mail:"),
        "",
        *(f"    {name}: {value}" for name, value in facts),
        "",
    ]
    if not arrival_url:
        return [
            *lines,
            _("It was delivered, so the server works. No action needed. Replies are not read."),
        ]
    return [
        *lines,
        _("It was delivered, so the server works. To let the sender know, open"),
        "",
        f"    {arrival_url}",
        "",
        _('and press "I received this email". Replies are not read.'),
    ]
