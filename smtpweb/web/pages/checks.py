"""The pages of checks: start, follow, show the result."""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import (
    Response,
    flash,
    get_template_attribute,
    redirect,
    render_template,
    stream_with_context,
    url_for,
)
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from ...checking import runner, service, verdict
from ...errors import BadInput, Busy, EditConflict, NotFound, SecretUnreadable, TooMany
from ...registry import smtps
from ..http import auth
from ..http.i18n import say
from ..presentation import causes, labels, plain_text, remedies
from .blueprint import bp


@bp.post("/smtps/<id:smtp_id>/check")
def check_smtp(smtp_id: str) -> AnyResponse:
    """Start a check of an SMTP server, and redirect to its page."""
    return start(smtp_id, "")


@bp.post("/smtps/<id:smtp_id>/test")
def probe_smtp(smtp_id: str) -> AnyResponse:
    """Test the connection of an SMTP server without sending an email."""
    return start(smtp_id, "", mode=verdict.PROBE)


@bp.get("/checks/<id:check_id>")
def show_check(check_id: str) -> str:
    """Show a check: cause, steps, stages and transcript; or its progress while it is running."""
    check = service.find(auth.user().id, check_id)
    report = causes.said(check.report)
    return render_template(
        "checks/show.html",
        check=check,
        smtp=check.smtp,
        app=check.smtp.app,
        report=report,
        diagnosis=plain_text.text(check, report) if report else "",
    )


@bp.get("/checks/<id:check_id>/earlier/<int:count>")
def show_earlier(check_id: str, count: int) -> AnyResponse:
    """Redirect to the check this many before it, which a mark of a bar in a list stands for."""
    return redirect(
        url_for(".show_check", check_id=service.earlier(auth.user().id, check_id, count))
    )


@bp.post("/checks/<id:check_id>/cancel")
def cancel_check(check_id: str) -> AnyResponse:
    """Cancel a check that is running."""
    if not service.cancel(auth.user().id, check_id):
        flash(_("The check had ended already."), "info")
    return redirect(url_for(".show_check", check_id=check_id), 303)


@bp.post("/checks/<id:check_id>/trust")
def trust_key(check_id: str) -> AnyResponse:
    """Trust exactly the key that the server of a failed check has shown."""
    user = auth.user()
    check = service.find(user.id, check_id)
    pin = remedies.pin_to_trust(check.report) if check.report else ""
    if not pin:
        raise NotFound("Check")
    changes: smtps.SmtpChanges = {"certificatepin": pin, "cacertificates": None}
    smtp = check.smtp
    try:
        smtps.save(
            user.id, smtp.app_id, changes, smtp.id, version=check.smtp_version, keep_password=True
        )
    except (BadInput, EditConflict):
        flash(_("The SMTP server has changed since then. Check it again."), "warning")
        return redirect(url_for(".show_smtp", smtp_id=smtp.id), 303)
    return start(smtp.id, _("From now on, only this key is trusted."))


@bp.get("/checks/<id:check_id>/arrival")
def show_arrival(check_id: str) -> dict[str, bool]:
    """Return whether delivery of the test email was confirmed, for the script of the page."""
    return {"arrived": service.find(auth.user().id, check_id).arrived is not None}


@bp.get("/smtps/<id:smtp_id>/fix")
def fix_smtp(smtp_id: str) -> AnyResponse:
    """Redirect to where the failure of the last check can be fixed, like the link in its result."""
    smtp = smtps.find(auth.user().id, smtp_id)
    newest = service.history(smtp, 0, 1)[0]
    report = newest[0].report if newest and not newest[0].accepted else None
    fix = remedies.fix_url(report, smtp) if report else ""
    return redirect(fix or url_for(".edit_smtp", smtp_id=smtp.id))


@bp.get("/checks/<id:check_id>/progress")
def follow_check(check_id: str) -> Response:
    """Stream the stages of a check as server-sent events until it finishes."""
    following = runner.Following(auth.user().id, check_id)
    response = Response(stream_with_context(_events(following)), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"  # nginx: do not buffer events
    response.call_on_close(following.close)
    return response


def start(
    smtp_id: str, done: str, recipient: str | None = None, *, mode: str = verdict.EMAIL
) -> AnyResponse:
    """Start a check and redirect to its page.

    ``done``: what succeeded before, for the message if the check cannot be started.
    ``recipient``: instead of the app's test address; raises :class:`BadInput` if refused.
    """
    try:
        check_id = runner.start(auth.page_caller(), smtp_id, auth.base_url(), recipient, mode=mode)
    except (Busy, TooMany, SecretUnreadable) as error:
        # Not an error page: the settings were saved, so redirect to the page that shows them.
        told = [done, say(error.detail)]
        if hasattr(error, "retry_after"):
            told.append(_("Try again in %(seconds)s s.", seconds=error.retry_after))
        flash(" ".join(filter(None, told)), "warning")
        return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)
    return redirect(url_for(".show_check", check_id=check_id), 303)


def _events(following: runner.Following) -> Iterator[str]:
    """Yield events: "stages" with the HTML of changed stages; "end" when the result is ready."""
    rung = get_template_attribute("checks/_ladder.html", "rung")
    shown: dict[str, str] = {}
    for steps in following:
        if steps is None:
            yield ":\n\n"  # a comment, to detect a closed connection
            continue
        drawn = {one.stage.value: str(rung(one)) for one in labels.rungs(steps, tokens=True)}
        changed = {name: html for name, html in drawn.items() if shown.get(name) != html}
        shown = drawn
        yield _event("stages", {"rungs": changed, "said": labels.now_doing(steps)})
    yield _event("end", {"said": _("The check is done.")})


def _event(name: str, data: dict[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
