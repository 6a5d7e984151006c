"""The page "No SMTP server yet?": email services that can be tried without paying. It is public."""

from __future__ import annotations

from datetime import date

from flask import Blueprint, render_template, request, url_for

from ... import validators
from ...providers import offers
from ...providers.offers import Offer
from ..http import auth

bp = Blueprint("offers", __name__)
bp.url_value_preprocessor(auth.require_utf8)


@bp.get("/offers")
def show() -> str:
    """List the offers; ``app``: the app that the settings are for, else for a new one."""
    app_id = _app_id()

    def use_url(offer: Offer) -> str:
        preset = offer.preset
        if app_id is None:
            return url_for("pages.start_at", provider=preset.id)
        # The form asks which one, if there are several servers.
        username = preset.word or None
        return url_for("pages.new_smtp", app_id=app_id, provider=preset.name, username=username)

    return render_template(
        "offers.html", offers=offers.offers(), today=date.today(), use_url=use_url
    )


def _app_id() -> str | None:
    """Return the id in the URL; whether it exists is checked by the page that it leads to."""
    try:
        return validators.object_id(request.args["app"])
    except (KeyError, ValueError):
        return None
