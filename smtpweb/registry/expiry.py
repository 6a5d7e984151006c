"""What expires of an SMTP server, and when: certificates, passwords, client secrets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
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


def of(smtp: Smtp) -> Iterator[tuple[str, datetime]]:
    """Yield what expires of an SMTP server, with the time."""
    for what, column in COLUMNS.items():
        moment: datetime | None = getattr(smtp, column.key)
        if moment is not None:
            yield named(what, smtp), moment
