"""The page that finds the settings for an email address."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SubmitField

from ... import validators
from ...checking import limits
from ...config import settings
from ...database.models import App
from ...errors import Busy
from ...extensions import services
from ...providers import presets
from ...registry import apps
from ..http import auth
from ..http.i18n import say
from ..presentation import causes
from .blueprint import bp
from .form_fields import text_field
from .forms import Form

if TYPE_CHECKING:
    from ...providers.discovery import Found, Proposal

Values = dict[str, Any]  # query parameters of the form that is filled in


class FindForm(Form):
    """The address to find settings for."""

    email = text_field(lazy_gettext("Email address"), validators.email)
    submit = SubmitField(lazy_gettext("Find"))


@bp.route("/apps/<id:app_id>/smtps/find", methods=["GET", "POST"])
def find_settings(app_id: str) -> AnyResponse:
    """Ask for an address, and show what was found for a server of this app."""
    app = apps.find(auth.user().id, app_id)

    def use_url(found: Values) -> str:
        own = found["defaultfromemail"]
        values = found | {"defaultfromemail": None if own == app.defaultfromemail else own}
        return url_for(".new_smtp", app_id=app.id, **values)

    return _page(app, url_for(".new_smtp", app_id=app.id), use_url)


@bp.route("/start/find", methods=["GET", "POST"])
def start_find() -> AnyResponse:
    """Do the same for the first server of the account."""

    def use_url(found: Values) -> str:
        known = presets.of_host(found["host"])
        # A provider that is known has a form that asks for less.
        if known is None or found["port"] != known.modes[0].port:
            return url_for(".start_at", provider="other", **found)
        return url_for(".start_at", provider=known.id, server=found["host"], **found)

    return _page(None, url_for(".start_at", provider="other"), use_url)


def _page(app: App | None, manual_url: str, use_url: Callable[[Values], str]) -> AnyResponse:
    """Answer a search, which is a POST because it contacts servers."""
    form = FindForm()
    found = None
    if form.validate_on_submit():
        with form.catches():
            found = _search(form)

    def url_of(proposal: Proposal) -> str:
        address = form.accepted["email"]
        known = presets.of_host(proposal.host)
        return use_url(
            {
                "host": proposal.host,
                "port": proposal.port,
                "encryption": proposal.encryption.value,
                "username": (known.username_of(address) if known else address) or None,
                "defaultfromemail": address,
            }
        )

    return form.page(
        "smtps/find.html",
        app=app,
        found=found,
        title=causes.title,
        use_url=url_of,
        manual_url=manual_url,
    )


def _search(form: FindForm) -> Found | None:
    # Loaded on first use, see smtpweb/deferred.py
    import dns.resolver

    from ...providers import discovery

    config = settings()
    reach = discovery.Reach(config.egress, config.ehlo_name, config.ca_file)
    resolver = services().resolver
    try:
        with limits.search(auth.user().id):
            resolver = resolver or dns.resolver.Resolver()
            return discovery.find(form.accepted["email"], resolver, reach)
    except Busy as error:
        form.form_errors.append(say(error.detail))
    except dns.resolver.NoResolverConfiguration:
        form.form_errors.append(_("No DNS server is configured on the machine that runs smtpweb."))
    return None
