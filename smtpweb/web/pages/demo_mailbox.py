"""The mailbox of ``make demo``: the emails that its sandbox servers accepted."""

from __future__ import annotations

import email
import email.policy
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flask import Blueprint, render_template

from ...checking import arrival
from ...config import settings
from ..http import auth
from . import drafts

SHOWN = 50
# Only to a page of this installation: anybody on this machine can send to the sandbox servers.
_LINK = re.compile(rf"https?://[^\s/]+({arrival.PATH}[A-Za-z0-9_-]+)(?!\S)")

bp = Blueprint("demo", __name__)  # registered in the demo only
bp.url_value_preprocessor(auth.require_utf8)
bp.before_request(drafts.require_login)


@dataclass(frozen=True)
class ShownEmail:
    """An email as the page shows it; ``link``: the path that confirms its delivery."""

    moment: datetime
    sender: str
    recipient: str
    subject: str
    text: str
    link: str


@bp.get("/demo/mailbox")
def mailbox() -> str:
    """Show the newest emails."""
    folder = settings().demo_mailbox
    paths = sorted(folder.glob("*.eml"), reverse=True) if folder and folder.is_dir() else []
    return render_template("demo/mailbox.html", emails=[_read(path) for path in paths[:SHOWN]])


def _read(path: Path) -> ShownEmail:
    parsed = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = parsed.get_body(("plain",))
    text = str(body.get_content()) if body is not None else ""
    link = _LINK.search(text)
    return ShownEmail(
        moment=datetime.fromtimestamp(path.stat().st_mtime, UTC),
        sender=str(parsed["From"] or ""),
        recipient=str(parsed["To"] or ""),
        subject=str(parsed["Subject"] or ""),
        text=text,
        link=link[1] if link else "",
    )
