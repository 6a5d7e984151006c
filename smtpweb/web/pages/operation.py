"""The page about the state of the whole installation, for administrators."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from ...monitoring import operation, schedule
from ..http import auth
from .blueprint import bp


@bp.get("/operation")
def show_operation() -> str:
    """Show workers, backlog, rates and causes on our side."""
    _require_admin()
    return render_template("operation.html", operation=operation.read())


@bp.post("/operation/due")
def make_due() -> AnyResponse:
    """Make every scheduled check due now."""
    _require_admin()
    count = schedule.make_due()
    flash(ngettext("%(num)s check is due now.", "%(num)s checks are due now.", count), "success")
    return redirect(url_for(".show_operation"), 303)


def _require_admin() -> None:
    if not auth.user().is_admin:
        abort(404)
