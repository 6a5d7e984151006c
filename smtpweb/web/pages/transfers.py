"""The page that copies an SMTP server, or moves it to another app."""

from __future__ import annotations

from flask import redirect, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SelectChoice, SubmitField

from ...database.models import Smtp
from ...errors import SecretUnreadable
from ...registry import apps, fields, names, smtps, transfers
from ..http import auth
from ..http.i18n import say
from . import messages
from .blueprint import bp
from .form_fields import field_of
from .forms import Form, once_field
from .noted_fields import SelectField

MOST_APPS = 1000  # in the list of the form


class TransferForm(Form):
    """Choose the app, and whether to copy or to move."""

    app = SelectField(lazy_gettext("App"))
    name = field_of(fields.SMTP["name"])
    once_key = once_field()
    copy = SubmitField(lazy_gettext("Copy"))
    move = SubmitField(lazy_gettext("Move"))


@bp.route("/smtps/<id:smtp_id>/transfer", methods=["GET", "POST"])
def transfer_smtp(smtp_id: str) -> AnyResponse:
    """Copy an SMTP server into an app, or move it to another one."""
    user = auth.user()
    smtp = smtps.find(user.id, smtp_id)
    form = TransferForm({"app": smtp.app_id})
    choices, _total = apps.find_all(user.id, 0, MOST_APPS)
    form.app.choices = [SelectChoice(app.id, app.name) for app in choices]
    if form.validate_on_submit():
        with form.catches():
            try:
                return _move(smtp, form) if form.move.data else _copy(smtp, form)
            except SecretUnreadable as error:
                form.form_errors.append(say(error.detail))
    return form.page("smtps/transfer.html", smtp=smtp, app=smtp.app)


def _copy(smtp: Smtp, form: TransferForm) -> AnyResponse:
    name = form.accepted.get("name")
    if not name and form.app.data == smtp.app_id:
        name = _("%(name)s (copy)", name=names.shown(smtp)[:80])
    made, act_id = transfers.copy(
        auth.user().id, smtp.id, form.app.data, name=name, once=form.once()
    )
    told = _("%(name)s was copied. Nothing was checked yet.", name=names.shown(smtp))
    messages.tell(told, act_id)
    return redirect(url_for(".show_smtp", smtp_id=made.id), 303)


def _move(smtp: Smtp, form: TransferForm) -> AnyResponse:
    moved, act_id = transfers.move(auth.user().id, smtp.id, form.app.data)
    told = _("%(name)s was moved to %(app)s.", name=names.shown(moved), app=moved.app.name)
    messages.tell(told, act_id)
    return redirect(url_for(".show_smtp", smtp_id=moved.id), 303)
