"""The page about the state of the whole installation, for administrators."""

from __future__ import annotations

from flask import abort, render_template

from ...monitoring import operation
from ..http import auth
from .blueprint import bp


@bp.get("/operation")
def show_operation() -> str:
    """Show workers, backlog, rates and causes on our side."""
    if not auth.user().is_admin:
        abort(404)
    return render_template("operation.html", operation=operation.read())
