"""Undo what was done: the button in the message that says that it was done."""

from __future__ import annotations

from flask import flash, redirect, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse

from ...errors import EditConflict, NotFound, QuotaReached
from ...registry import undoing
from ...registry.acts import Act
from ..http import auth
from ..http.i18n import say
from .blueprint import bp

_DONE = {
    Act.ORDER: lazy_gettext("The order is as it was before."),
    Act.MOVE: lazy_gettext("The SMTP server was moved back."),
    Act.COPY: lazy_gettext("The copy was deleted."),
    Act.SWITCH: lazy_gettext("It is switched as it was before."),
    Act.PAUSE: lazy_gettext("Scheduled checks are as they were before."),
    Act.WINDOW: lazy_gettext("The maintenance window is back."),
    Act.DELETE_SMTP: lazy_gettext("The SMTP server is back, with its checks and its password."),
    Act.DELETE_APP: lazy_gettext("The app is back, with its SMTP servers and their checks."),
}


@bp.post("/undo/<id:act_id>")
def undo(act_id: str) -> AnyResponse:
    """Undo an act, and redirect to the page that shows it."""
    try:
        undone = undoing.undo(auth.user().id, act_id)
    except (NotFound, EditConflict, QuotaReached) as error:
        flash(_("Nothing was undone. %(why)s", why=say(error.detail)), "warning")
        return redirect(url_for(".list_apps"), 303)
    flash(str(_DONE[undone.kind]), "success")
    if undone.smtp_id:
        return redirect(url_for(".show_smtp", smtp_id=undone.smtp_id), 303)
    page = ".show_order" if undone.kind is Act.ORDER else ".show_app"
    return redirect(url_for(page, app_id=undone.app_id), 303)
