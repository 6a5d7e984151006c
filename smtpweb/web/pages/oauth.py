"""The pages on which a person signs in at the provider of an SMTP server, once."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from ... import mailcheck
from ...checking import limits
from ...config import settings
from ...errors import NotFound
from ...mailcheck import TokenFailure
from ...oauth import sign_in
from ...oauth.failure import TokenNotObtained
from ...oauth.sign_in import SignInOver
from ...registry import grants, smtps
from ..http import auth
from ..presentation import causes
from .blueprint import bp


@bp.get("/smtps/<id:smtp_id>/oauth")
def show_sign_in(smtp_id: str) -> str:
    """Show how to sign in at the provider, or the sign-in that was started."""
    user = auth.user()
    smtp = smtps.find(user.id, smtp_id)
    started = sign_in.pending(user.id, smtp_id, user.session_key)
    return render_template(
        "smtps/oauth.html",
        smtp=smtp,
        app=smtp.app,
        grant=grants.find(smtp.id),
        started=started,
        place=urlsplit(started.uri).hostname if started else "",
        redirect_uri=redirect_uri(),
    )


@bp.post("/smtps/<id:smtp_id>/oauth")
def start_sign_in(smtp_id: str) -> AnyResponse:
    """Start a sign-in at the provider."""
    user = auth.user()
    try:
        with limits.token_requests(user.id) as count:
            sign_in.start(user.id, smtp_id, user.session_key, redirect_uri(), count)
    except TokenNotObtained as error:
        _flash(error.failure)
    return redirect(url_for(".show_sign_in", smtp_id=smtp_id), 303)


@bp.post("/smtps/<id:smtp_id>/oauth/continue")
def continue_sign_in(smtp_id: str) -> AnyResponse:
    """Ask the provider whether the device code was entered."""
    user = auth.user()
    try:
        with limits.token_requests(user.id) as count:
            is_complete = sign_in.poll(user.id, smtp_id, user.session_key, count)
        if is_complete:
            flash(_("Signed in. Send a test email to see whether sending works."), "success")
            return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)
        flash(_("The code was not entered at the provider yet. Try again in a moment."), "info")
    except TokenNotObtained as error:
        _flash(error.failure)
    except SignInOver as error:
        flash(error.detail, "warning")
    return redirect(url_for(".show_sign_in", smtp_id=smtp_id), 303)


@bp.get("/oauth/callback")
def end_sign_in() -> AnyResponse:
    """Take the answer of the provider, to which it sent the browser back (RFC 6749 4.1.2)."""
    user = auth.user()
    state, code = request.args.get("state", ""), request.args.get("code", "")
    try:
        if not code:
            error, said = (request.args.get(name, "") for name in ("error", "error_description"))
            sign_in.refused(user.id, user.session_key, state, error or "invalid_request", said)
        with limits.token_requests(user.id) as count:
            smtp_id, is_lasting = sign_in.finish(user.id, user.session_key, state, code, count)
    except TokenNotObtained as refusal:
        _flash(refusal.failure)
        return redirect(url_for(".show_sign_in", smtp_id=sign_in.smtp_of(state)), 303)
    if is_lasting:
        flash(_("Signed in. Send a test email to see whether sending works."), "success")
    else:
        flash(
            _(
                "Signed in, but the provider gave no refresh token, so this ends within an hour or"
                " so. Allow offline access in the settings of the application, and sign in again."
            ),
            "warning",
        )
    return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)


def redirect_uri() -> str:
    """Return where a provider sends the browser back to."""
    base = settings().base_url or auth.base_url()
    if base is None:
        raise NotFound("Link")
    return f"{base}/oauth/callback"


def _flash(failure: TokenFailure) -> None:
    """Show why there is no token, as the page of a failed check does."""
    found = causes.diagnosis(mailcheck.diagnose_token_error(failure))
    flash(". ".join((found.title, *found.steps[:1])), "danger")
