"""The pages of alarms: those of an app, and those for all apps of an account."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from ...config import settings
from ...database.models import AlarmChannel, App
from ...monitoring.alarms import channels
from ...registry import apps
from ..http import auth
from . import account
from .alarm_form import AlarmForm
from .blueprint import bp


@bp.get("/apps/<id:app_id>/alarms")
def app_alarms(app_id: str) -> str:
    """List the alarms of an app."""
    user = auth.user()
    app = apps.find(user.id, app_id)
    return _list(app, channels.of_app(user.id, app.id))


@account.bp.get("/account/alarms")
def alarms() -> str:
    """List the alarms for all apps of the account."""
    return _list(None, channels.of_account(auth.user().id))


def _list(app: App | None, listed: list[AlarmChannel]) -> str:
    return render_template(
        "alarms/list.html",
        app=app,
        channels=listed,
        of_account=channels.of_account(auth.user().id) if app else [],
        services=settings().apprise_schemas,
    )


@bp.route("/apps/<id:app_id>/alarms/new/email", methods=["GET", "POST"], defaults={"kind": "email"})
@bp.route(
    "/apps/<id:app_id>/alarms/new/webhook", methods=["GET", "POST"], defaults={"kind": "webhook"}
)
@bp.route(
    "/apps/<id:app_id>/alarms/new/apprise", methods=["GET", "POST"], defaults={"kind": "apprise"}
)
def new_app_alarm(app_id: str, kind: str) -> AnyResponse:
    """Add an alarm to an app."""
    return _new(apps.find(auth.user().id, app_id), kind)


@account.bp.route("/account/alarms/new/email", methods=["GET", "POST"], defaults={"kind": "email"})
@account.bp.route(
    "/account/alarms/new/webhook", methods=["GET", "POST"], defaults={"kind": "webhook"}
)
@account.bp.route(
    "/account/alarms/new/apprise", methods=["GET", "POST"], defaults={"kind": "apprise"}
)
def new_alarm(kind: str) -> AnyResponse:
    """Add an alarm for all apps of the account."""
    return _new(None, kind)


def _new(app: App | None, kind: str) -> AnyResponse:
    is_required = kind != "email" or app is not None
    form = AlarmForm(kind, None, required=is_required)
    if form.validate_on_submit():
        with form.catches():
            app_id = app.id if app else None
            channel, secret = channels.save(
                auth.user().id, app_id, form.changes(), once=form.once()
            )
            return _saved(channel, secret)
    return _form(form, app)


@bp.route("/alarms/<id:channel_id>/edit", methods=["GET", "POST"])
def edit_alarm(channel_id: str) -> AnyResponse:
    """Edit an alarm."""
    user = auth.user()
    channel = channels.find(user.id, channel_id)
    form = AlarmForm(channel.kind, channel, required=False)
    if form.validate_on_submit():
        with form.catches():
            saved, secret = channels.save(user.id, channel.app_id, form.changes(), channel.id)
            return _saved(saved, secret)
    return _form(form, channel.app)


def _form(form: AlarmForm, app: App | None) -> AnyResponse:
    return form.page(
        "alarms/edit.html",
        app=app,
        kind=form.kind,
        channel=form.channel,
        address=auth.user().email,
        services=sorted(settings().apprise_schemas),
    )


def _saved(channel: AlarmChannel, secret: str | None) -> AnyResponse:
    """Redirect to the list, or show a new secret, which is not shown again."""
    if secret is None:
        flash(_("The alarm was saved. Send a test to make sure that it arrives."), "success")
        return redirect(_address(channel), 303)
    page = render_template("alarms/secret.html", channel=channel, secret=secret)
    return AnyResponse(page, mimetype="text/html")


def _address(channel: AlarmChannel) -> str:
    if channel.app_id is None:
        return url_for("account.alarms")
    return url_for("pages.app_alarms", app_id=channel.app_id)


@bp.post("/alarms/<id:channel_id>/test")
def test_alarm(channel_id: str) -> AnyResponse:
    """Send a test and show the result in the row of the alarm."""
    user = auth.user()
    attempt = channels.test(user.id, channel_id)
    channel = channels.find(user.id, channel_id)
    if attempt.delivered:
        flash(_("The test was delivered: %(result)s", result=attempt.result),
              f"row-success-{channel.id}")  # fmt: skip
    else:
        flash(_("The test was not delivered: %(result)s", result=attempt.result),
              f"row-warning-{channel.id}")  # fmt: skip
    return redirect(f"{_address(channel)}#alarm-{channel.id}", 303)


@bp.post("/alarms/<id:channel_id>/on")
def switch_alarm_on(channel_id: str) -> AnyResponse:
    """Switch an alarm on."""
    return _switch(channel_id, off=False)


@bp.post("/alarms/<id:channel_id>/off")
def switch_alarm_off(channel_id: str) -> AnyResponse:
    """Switch an alarm off."""
    return _switch(channel_id, off=True)


def _switch(channel_id: str, *, off: bool) -> AnyResponse:
    user = auth.user()
    channel = channels.find(user.id, channel_id)
    channel, _secret = channels.save(user.id, channel.app_id, {"off": off}, channel.id)
    return redirect(f"{_address(channel)}#alarm-{channel.id}", 303)


@bp.get("/alarms/<id:channel_id>/remove")
def ask_to_remove_alarm(channel_id: str) -> str:
    """Ask for confirmation."""
    return render_template("alarms/remove.html", channel=channels.find(auth.user().id, channel_id))


@bp.post("/alarms/<id:channel_id>/remove")
def remove_alarm(channel_id: str) -> AnyResponse:
    """Remove an alarm."""
    user = auth.user()
    channel = channels.find(user.id, channel_id)
    channels.remove(user.id, channel.id)
    flash(_("The alarm was removed."), "success")
    return redirect(_address(channel), 303)
