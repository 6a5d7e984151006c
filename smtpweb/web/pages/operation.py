"""The operator's page: how the whole installation runs, for administrators."""

from __future__ import annotations

from flask import abort, render_template

from ...monitoring import operation
from ..http import auth
from .blueprint import bp


@bp.get("/operation")
def show_operation() -> str:
    """Workers and their heartbeats, what waits, rates, causes on our side."""
    if not auth.user().is_admin:
        abort(404)
    return render_template("operation.html", operation=operation.read())
