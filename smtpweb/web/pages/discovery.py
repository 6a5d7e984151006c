"""The page that finds the settings for an email address."""

from __future__ import annotations

import dns.resolver
from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SubmitField

from ... import validators
from ...checking import limits
from ...config import settings
from ...errors import Busy
from ...extensions import services
from ...providers import discovery, presets
from ...registry import apps
from ..http import auth
from ..http.i18n import say
from ..presentation import causes
from .blueprint import bp
from .form_fields import text_field
from .forms import Form


class FindForm(Form):
    """The address to find settings for."""

    email = text_field(lazy_gettext("Email address"), validators.email)
    submit = SubmitField(lazy_gettext("Find"))


@bp.route("/apps/<id:app_id>/smtps/find", methods=["GET", "POST"])
def find_settings(app_id: str) -> AnyResponse:
    """Ask for an address, and show what was found; a search contacts servers, so it is a POST."""
    app = apps.find(auth.user().id, app_id)
    form = FindForm()
    found = None
    if form.validate_on_submit():
        with form.catches():
            found = _search(form)

    def use_url(proposal: discovery.Proposal) -> str:
        address = form.accepted["email"]
        known = presets.of_host(proposal.host)
        return url_for(
            ".new_smtp",
            app_id=app.id,
            host=proposal.host,
            port=proposal.port,
            encryption=proposal.encryption.value,
            username=(known.username_of(address) if known else address) or None,
            # If the app has its own From address, its SMTP servers do not need one.
            defaultfromemail=None if app.defaultfromemail else address,
        )

    return form.page("smtps/find.html", app=app, found=found, title=causes.title, use_url=use_url)


def _search(form: FindForm) -> discovery.Found | None:
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
