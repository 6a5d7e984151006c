"""The overview page: what needs attention, what expires next, what is queued."""

from __future__ import annotations

from flask import redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from ...monitoring import attention
from ...registry import overview
from ..http import auth
from .blueprint import bp


@bp.get("/")
def home() -> AnyResponse | str:
    """Show what needs attention, worst first; redirect users without apps to the list of apps."""
    user = auth.user()
    totals = attention.totals(user.id)
    if not totals.apps:
        return redirect(url_for(".list_apps"))
    problems = attention.problems(user.id) if totals.needing else []
    marks = overview.marks([problem.smtp.id for problem in problems]) if problems else {}
    return render_template(
        "home.html",
        totals=totals,
        needing=problems,
        newest=overview.newest(marks) if marks else {},
        expiring=attention.expiring(user.id),
        queue=attention.queue(user.id),
    )
