"""Confirm that a test email was delivered: its reader opens the one-time link that it contains.

Only a digest of the link's token is stored: nobody can confirm delivery by reading the database.
"""

from __future__ import annotations

import re
import secrets

from sqlalchemy import select, update

from ..database.models import Check
from ..database.secret_box import digest_of
from ..database.session import db, now, writing
from ..errors import NotFound

PATH = "/received/"  # path of the link's page, below the base URL
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def new_link(base_url: str) -> tuple[str, str]:
    """Return a link for one test email, and the digest to store for it."""
    token = secrets.token_urlsafe(32)
    return base_url + PATH + token, digest_of(token)


def find(token: str) -> Check:
    """Return the check whose test email contained this token; raise :class:`NotFound`."""
    found = None
    if _TOKEN.fullmatch(token):
        found = db.session.scalar(select(Check).where(Check.arrival_digest == digest_of(token)))
    if found is None:
        raise NotFound("Link")
    return found


def confirm(token: str) -> bool:
    """Record that the email was delivered; False if already recorded. Raises :class:`NotFound`."""
    check = find(token)
    with writing() as session:
        told = session.execute(
            update(Check)
            .where(Check.id == check.id, Check.arrived.is_(None))
            .values(arrived=now())
            .execution_options(synchronize_session=False)
        )
        return bool(told.rowcount)  # type: ignore[attr-defined]
