"""The page that explains a pasted error; it is public and stores nothing."""

from __future__ import annotations

from flask import Blueprint
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SelectChoice, SubmitField
from wtforms.validators import Optional

from ...checking import explain as operation
from ...mailcheck.diagnosis.providers import providers
from ..http import auth
from ..presentation import causes
from .form_fields import HostField, OptionalChoice
from .forms import Form
from .noted_fields import SelectField, TextAreaField

bp = Blueprint("explain", __name__)
bp.url_value_preprocessor(auth.require_utf8)


class ExplainForm(Form):
    """The text to explain, and details that it may not contain."""

    text = TextAreaField(lazy_gettext("Error message, log or transcript"))
    host = HostField(lazy_gettext("SMTP server"), [Optional()])
    provider = SelectField(lazy_gettext("Provider"), [OptionalChoice()])
    submit = SubmitField(lazy_gettext("Explain"))

    def __init__(self) -> None:
        super().__init__()
        known = sorted(providers(), key=lambda one: one.name.casefold())
        self.provider.choices = [
            SelectChoice("", lazy_gettext("Not known, or another")),
            *(SelectChoice(one.id, one.name) for one in known),
        ]


@bp.route("/explain", methods=["GET", "POST"])
def explain() -> AnyResponse:
    """Ask for a text, and explain it."""
    form = ExplainForm()
    found = None
    if form.is_submitted():
        text, form.text.data = form.text.data or "", ""
        if form.validate():
            with form.catches():
                operation.count(auth.network())
                form.text.data = operation.shown(text)  # without credentials
                found = operation.explain_for_all(
                    text, form.host.data or "", form.provider.data or ""
                )
    diagnosis = causes.diagnosis(found.diagnosis) if found and found.diagnosis else None
    return form.page("explain.html", found=found, diagnosis=diagnosis)
