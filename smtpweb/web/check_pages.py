"""The pages of checks: start one, show one."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from .. import checks
from ..errors import Busy, SecretUnreadable, TooMany
from . import access, causes
from .language import say
from .pages import bp


@bp.post("/smtps/<id:smtp_id>/check")
def check_smtp(smtp_id: str) -> AnyResponse:
    """Check an SMTP, then show how it went."""
    return start(smtp_id, "")


@bp.get("/checks/<id:check_id>")
def show_check(check_id: str) -> str:
    """One check: the cause, what to do, the stages, the transcript."""
    check = checks.find(access.user().id, check_id)
    return render_template(
        "checks/show.html",
        check=check,
        smtp=check.smtp,
        app=check.smtp.app,
        report=causes.said(check.report),
    )


def start(smtp_id: str, done: str) -> AnyResponse:
    """Check, and lead to the check's own page; ``done`` is what stands even if it cannot run."""
    try:
        check = checks.run(access.page_caller(), smtp_id)
    except (Busy, TooMany, SecretUnreadable) as error:
        # Not an error page: what was saved is saved, and the user is led to where it can be seen.
        told = [done, say(error.detail)]
        if hasattr(error, "retry_after"):
            told.append(_("Try again in %(seconds)s s.", seconds=error.retry_after))
        flash(" ".join(filter(None, told)), "warning")
        return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)
    return redirect(url_for(".show_check", check_id=check.id), 303)
