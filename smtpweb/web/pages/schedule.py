"""The pages of the schedule: turn off and enable, pauses, maintenance windows, workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import flash, redirect, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SelectChoice, SubmitField

from ... import validators
from ...accounts import users
from ...database.models import App, Smtp
from ...database.session import now
from ...errors import BadInput, Sentence
from ...monitoring import maintenance, schedule, workers
from ...registry import apps, names, smtps, switches
from ..http import auth
from ..http.i18n import say
from . import messages
from .blueprint import bp
from .form_fields import OptionalChoice, text_field
from .forms import Form
from .noted_fields import SelectField

# How long something is off, in hours; "" means until somebody enables it.
SPANS = [
    ("1", lazy_gettext("for 1 hour")),
    ("4", lazy_gettext("for 4 hours")),
    ("24", lazy_gettext("for 1 day")),
    ("168", lazy_gettext("for 1 week")),
]
OPEN_ENDED = ("", lazy_gettext("until somebody enables it"))
REPEATS = {
    "once": lazy_gettext("once"),
    "daily": lazy_gettext("every day"),
    "weekly": lazy_gettext("every week"),
}


class WindowForm(Form):
    """Add a maintenance window to an app or to one of its servers."""

    starts = text_field(lazy_gettext("Starts (UTC)"), validators.moment)
    hours = SelectField(
        lazy_gettext("Duration"),
        choices=[
            SelectChoice(str(hours), lazy_gettext("%(num)s h", num=hours))
            for hours in (1, 2, 4, 8, 12, 24)
        ],
        default="2",
    )
    repeat = SelectField(
        lazy_gettext("Repeats"),
        choices=[SelectChoice(name, label) for name, label in REPEATS.items()],
    )
    smtp = SelectField(lazy_gettext("For"), validators=[OptionalChoice()], default="")
    note = text_field(lazy_gettext("Why"), validators.note, required=False)
    submit = SubmitField(lazy_gettext("Add window"))


def about_server(smtp: Smtp) -> dict[str, Any]:
    """Return what the page of a server shows about its schedule."""
    return {
        "next_check": schedule.next_check(smtp),
        "off_by": users.name_of(smtp.off_by) if smtp.off_by else None,
        "has_worker": workers.is_any_alive(),
        "spans": SPANS,
        "open_ended": OPEN_ENDED,
    }


def about_app(app: App) -> dict[str, Any]:
    """Return what the page of an app shows about its schedule."""
    return {
        "paused": app.off_until is not None and app.off_until > now(),
        "has_worker": workers.is_any_alive(),
        "spans": SPANS,
    }


# --- off and on ----------------------------------------------------------------------------


@bp.post("/smtps/<id:smtp_id>/disable")
def disable_smtp(smtp_id: str) -> AnyResponse:
    """Turn an SMTP server off."""
    try:
        smtp, act_id = switches.disable_undoably(
            auth.user().id, smtp_id, until=_until(), note=request.form.get("note", "")
        )
    except BadInput as error:
        _flash(error)
    else:
        messages.tell(_("%(smtp)s is off. No check enables it.", smtp=names.shown(smtp)), act_id)
    return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)


@bp.post("/smtps/<id:smtp_id>/enable")
def enable_smtp(smtp_id: str) -> AnyResponse:
    """Enable an SMTP server, whether a person or a check disabled it."""
    smtp, act_id = switches.enable_undoably(auth.user().id, smtp_id)
    messages.tell(_("%(smtp)s is enabled.", smtp=names.shown(smtp)), act_id)
    return redirect(url_for(".show_smtp", smtp_id=smtp.id), 303)


@bp.post("/apps/<id:app_id>/pause")
def pause_app(app_id: str) -> AnyResponse:
    """Pause the scheduled checks of an app."""
    try:
        until = _until()
        if until is None:
            raise BadInput({"hours": [Sentence("Select how long.")]})
        note = request.form.get("note", "")
        act_id = switches.pause_undoably(auth.user().id, app_id, until=until, note=note)
    except BadInput as error:
        _flash(error)
    else:
        messages.tell(_("Scheduled checks are paused."), act_id)
    return redirect(url_for(".show_app", app_id=app_id), 303)


@bp.post("/apps/<id:app_id>/resume")
def resume_app(app_id: str) -> AnyResponse:
    """End the pause of an app."""
    act_id = switches.resume_undoably(auth.user().id, app_id)
    messages.tell(_("Scheduled checks have resumed."), act_id)
    return redirect(url_for(".show_app", app_id=app_id), 303)


def _until() -> datetime | None:
    hours = request.form.get("hours", "")
    if not hours:
        return None
    try:
        return now() + timedelta(hours=validators.integer(hours, 1, 24 * 366))
    except ValueError as error:
        raise BadInput({"hours": [error.args[0]]}) from None


def _flash(error: BadInput) -> None:
    for texts in error.errors.values():
        for message in texts:
            flash(say(message), "warning")


# --- maintenance windows -------------------------------------------------------------------


@bp.route("/apps/<id:app_id>/maintenance", methods=["GET", "POST"])
def show_windows(app_id: str) -> AnyResponse:
    """Show the maintenance windows of an app and its servers, with a form to add one."""
    user = auth.user()
    app = apps.find(user.id, app_id)
    servers = {smtp.id: names.with_address(smtp) for smtp in app.smtps[:MOST_LISTED]}
    form = WindowForm()
    form.smtp.choices = [
        SelectChoice("", _("all servers of the app")),
        *(SelectChoice(smtp_id, name) for smtp_id, name in servers.items()),
    ]
    if form.validate_on_submit():
        with form.catches():
            starts = form.accepted["starts"]
            maintenance.add(
                user.id,
                app_id=app.id,
                smtp_id=form.smtp.data or None,
                starts=starts,
                ends=starts + timedelta(hours=int(form.hours.data)),
                repeat=form.repeat.data,
                note=form.accepted.get("note") or "",
            )
            flash(_("The window was added."), "success")
            return redirect(url_for(".show_windows", app_id=app.id), 303)
    elif request.method == "GET":
        form.starts.data = datetime.now(UTC).strftime("%Y-%m-%dT%H:00")
    windows = maintenance.windows_of([app.id, *servers])
    return form.page(
        "apps/maintenance.html", app=app, windows=windows, servers=servers, repeats=REPEATS
    )


MOST_LISTED = 500  # servers that can be selected for a window


@bp.post("/windows/<id:window_id>/remove")
def remove_window(window_id: str) -> AnyResponse:
    """Remove a maintenance window."""
    user = auth.user()
    window, act_id = maintenance.remove(user.id, window_id)
    app_id = window.app_id or smtps.find(user.id, window.smtp_id or "").app_id
    messages.tell(_("The window was removed."), act_id)
    return redirect(url_for(".show_windows", app_id=app_id), 303)
