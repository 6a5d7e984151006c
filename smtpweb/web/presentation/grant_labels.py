"""The ways of getting OAuth access tokens, in words."""

from __future__ import annotations

from flask_babel import lazy_gettext

from ...database.models import SmtpOauth
from ...mailcheck.diagnosis.token import Grant

GRANTS = {
    Grant.CLIENT_CREDENTIALS: lazy_gettext("As an application, with a client secret"),
    Grant.AUTHORIZATION_CODE: lazy_gettext("A person signs in, in this browser"),
    Grant.DEVICE_CODE: lazy_gettext("A person signs in, on another device"),
    Grant.JWT_BEARER: lazy_gettext("As a Google service account"),
    Grant.REFRESH_TOKEN: lazy_gettext("With a refresh token that you have"),
}


def of(row: SmtpOauth) -> str:
    """Return how an SMTP server gets its access tokens."""
    return str(GRANTS[Grant(row.grant)])
