"""The page that sends one test email to another address than the app's."""

from __future__ import annotations

from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SubmitField

from ... import validators
from ...registry import smtps
from ..http import auth
from . import checks
from .blueprint import bp
from .form_fields import text_field
from .forms import Form


class ElsewhereForm(Form):
    """The address for one test email."""

    email = text_field(lazy_gettext("Email address"), validators.email)
    submit = SubmitField(lazy_gettext("Send one test email"))


@bp.route("/smtps/<id:smtp_id>/elsewhere", methods=["GET", "POST"])
def send_elsewhere(smtp_id: str) -> AnyResponse:
    """Ask for an address, and send one test email to it."""
    smtp = smtps.find(auth.user().id, smtp_id)
    form = ElsewhereForm()
    if form.validate_on_submit():
        with form.catches():
            return checks.start(smtp.id, "", form.accepted["email"])
    return form.page("smtps/elsewhere.html", smtp=smtp, app=smtp.app)
