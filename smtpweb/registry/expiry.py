"""What expires of an SMTP server: certificates, passwords, client secrets."""

from __future__ import annotations

from typing import Any

from ..database.models import Smtp

CERTIFICATE, CLIENT_CERTIFICATE = "certificate", "client certificate"
PASSWORD, CLIENT_SECRET = "password", "client secret"

# The column of each. ``Smtp.passwordexpires`` is that of a client secret if it signs in with OAuth.
COLUMNS: dict[str, Any] = {
    CERTIFICATE: Smtp.certificate_expires,
    CLIENT_CERTIFICATE: Smtp.clientcertificate_expires,
    PASSWORD: Smtp.passwordexpires,
}


def named(what: str, smtp: Smtp) -> str:
    """Return the name of a key of :data:`COLUMNS` for this SMTP server."""
    return CLIENT_SECRET if what == PASSWORD and smtp.uses_oauth else what
