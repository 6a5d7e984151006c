"""The page that explains a pasted error; anybody may use it, nothing of it is kept."""

from __future__ import annotations

from flask import Blueprint
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SelectChoice, SelectField, SubmitField, TextAreaField
from wtforms.validators import Optional

from ...checking import explain as operation
from ...mailcheck.diagnosis.providers import providers
from ..http import auth
from ..presentation import causes
from .forms import Form, LineField

bp = Blueprint("explain", __name__)
bp.url_value_preprocessor(auth.require_utf8)


class ExplainForm(Form):
    """The text to explain, and what it may not say itself."""

    text = TextAreaField(lazy_gettext("Error message, log or transcript"))
    host = LineField(lazy_gettext("SMTP server"), [Optional()])
    provider = SelectField(lazy_gettext("Provider"), [Optional()])
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
    """Ask for a text, and say what it means."""
    form = ExplainForm()
    found = None
    if form.is_submitted():
        text = form.text.data or ""
        form.text.data = operation.shown(text)  # the page never repeats a credential
        if form.validate():
            with form.catches():
                found = operation.explain(
                    text, form.host.data or "", form.provider.data or "", auth.network()
                )
    diagnosis = causes.diagnosis(found.diagnosis) if found and found.diagnosis else None
    return form.page("explain.html", found=found, diagnosis=diagnosis)
