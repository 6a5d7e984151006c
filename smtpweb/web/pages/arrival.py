"""The page behind the link in a test email: its reader, signed in or not, confirms delivery."""

from __future__ import annotations

from flask import Blueprint, Response, render_template
from flask_login import current_user

from ...checking import arrival
from ..http import auth

bp = Blueprint("received", __name__)
bp.url_value_preprocessor(auth.require_utf8)


@bp.get(f"{arrival.PATH}<token>")
def ask(token: str) -> tuple[str, int]:
    """Ask for confirmation; a GET confirms nothing, because email scanners follow links."""
    check = arrival.find(token)
    return _page(token, "ask" if check.arrived is None else "used")


@bp.post(f"{arrival.PATH}<token>")
def confirm(token: str) -> tuple[str, int]:
    """Record that the test email was delivered."""
    return _page(token, "confirmed" if arrival.confirm(token) else "used")


@bp.after_request
def hide(response: Response) -> Response:
    """Keep the link out of search engines."""
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _page(token: str, now: str) -> tuple[str, int]:
    check = arrival.find(token)
    mine = current_user.is_authenticated and check.user_id == current_user.id
    page = render_template("received.html", check=check, now=now, mine=mine)
    return page, 410 if now == "used" else 200
