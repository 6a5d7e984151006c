"""The API of alarms."""

from __future__ import annotations

from typing import cast

from flask import Response, g

from ... import validators
from ...monitoring.alarms import channels
from ..http import auth
from . import schema
from .views import bp


@bp.post("/private/alarms/save")
@auth.needs("write")
def save_alarm() -> Response:
    """Create an alarm of an app, or edit the one with ``idalarm``."""
    sent = schema.Sent()
    channel_id = sent.id("idalarm", required=False)
    app_id = sent.id("idapp")
    is_new = "idalarm" not in sent
    values = {
        "kind": sent.text("kind", validators.alarm_kind, required=is_new),
        "target": sent.text("target", str, required=is_new),
        "label": sent.text("label", validators.display_name),
        "events": sent.text("events", validators.alarm_events),
        "timezone": sent.text("timezone", validators.timezone),
        "quiet_from": sent.text("quietfrom", validators.clock_time),
        "quiet_until": sent.text("quietuntil", validators.clock_time),
    }
    given = {name: value for name, value in values.items() if value is not None}
    changes = cast(channels.ChannelChanges, given)
    once = sent.once()
    sent.done()
    channel, secret = channels.save(
        g.caller.user_id, app_id, changes, channel_id or None, once=once
    )
    return schema.reply(schema.alarm(channel, secret))


@bp.get("/private/alarms/findByApp")
@auth.needs("read")
def find_alarms_by_app() -> Response:
    """List the alarms of an app, oldest first."""
    sent = schema.Sent()
    app_id = sent.id("idapp")
    sent.done()
    listed = channels.of_app(g.caller.user_id, app_id)
    return schema.reply([schema.alarm(channel) for channel in listed])


@bp.post("/private/alarms/remove")
@auth.needs("write")
def remove_alarm() -> Response:
    """Remove an alarm."""
    channels.remove(g.caller.user_id, _alarm_id())
    return Response(status=200)


@bp.post("/private/alarms/test")
@auth.needs("check")
def test_alarm() -> Response:
    """Send a test to an alarm and return the result."""
    channel_id = _alarm_id()
    attempt = channels.test(g.caller.user_id, channel_id)
    return schema.reply(
        {"idalarm": channel_id, "delivered": attempt.delivered, "result": attempt.result}
    )


def _alarm_id() -> str:
    sent = schema.Sent()
    channel_id = sent.id("idalarm")
    sent.done()
    return channel_id
