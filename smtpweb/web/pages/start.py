"""The first run: choose a provider, enter the credentials, see the test email arrive."""

from __future__ import annotations

from typing import Any

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from ...database.session import db
from ...errors import Sentence
from ...mailcheck import Encryption
from ...providers import preflight, presets
from ...providers.presets import Preset
from ...providers.settings import Settings
from ...registry import first_run, grants
from ..http import auth
from . import checks, drafts, forewarning, oauth
from .blueprint import bp
from .discovery import FindForm
from .start_form import StartForm, initial

OTHER = "other"


@bp.get("/start")
def start() -> AnyResponse | str:
    """Choose a provider: the usual ones as tiles, all others in a list."""
    chosen = request.args.get("provider")
    if chosen:
        return redirect(url_for(".start_at", provider=chosen))
    usual = [presets.of_id(preset_id) for preset_id in presets.USUAL]
    return render_template(
        "start/choose.html",
        usual=usual,
        others=sorted(
            (one for one in presets.presets() if one not in usual),
            key=lambda one: one.name.casefold(),
        ),
        form=FindForm(sent=False),
    )


@bp.route("/start/<provider>", methods=["GET", "POST"])
def start_at(provider: str) -> AnyResponse:
    """Enter the credentials, then check the server and follow the check."""
    preset = presets.of_id(provider)
    if preset is None and provider != OTHER:
        abort(404)
    user = auth.user()
    form = StartForm(preset, initial(preset, user.email, request.args), typed=drafts.restored())
    if form.validate_on_submit():
        with form.catches():
            smtp = first_run.create(
                user.id, form.app_changes(), form.smtp_changes(), form.oauth_changes(),
                once=form.once(),
            )  # fmt: skip
            if grants.awaits_sign_in(smtp.id):
                return redirect(url_for(".show_sign_in", smtp_id=smtp.id), 303)
            return checks.start(smtp.id, "")
    if form.is_submitted() or request.args:
        form.judge()
    return form.page(
        "start/credentials.html",
        preset=preset,
        provider=provider,
        notice=_notice(preset),
        redirect_uri=oauth.redirect_uri() if form.authorization_server else "",
    )


@bp.post("/start/<provider>/preflight")
def start_preflight(provider: str) -> dict[str, Any]:
    """Return warnings about the settings in the form, for its script. Nothing is stored."""
    preset = presets.of_id(provider)
    if preset is None and provider != OTHER:
        abort(404)
    auth.user()
    form = StartForm(preset)
    db.session.close()  # hold no database connection during DNS queries
    form.judge(forewarning.resolver())
    return forewarning.findings(form)


def _notice(preset: Preset | None) -> Sentence | None:
    """Return what prevents or will prevent the use of this provider."""
    if preset is None:
        return None
    host = next(iter(preset.hosts.values()))
    found = preflight.warnings(Settings(host, None, Encryption.STARTTLS, auth=True))
    return next((one.text for one in found if one.code == "BASIC_AUTH_ENDS"), None)
