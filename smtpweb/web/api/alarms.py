"""The calls of alarms: where the alarms of an app go."""

from __future__ import annotations

from flask import Response, g

from ... import validators
from ...monitoring.alarms import channels
from ..http import auth
from . import schema
from .views import bp


@bp.post("/private/alarms/save")
@auth.needs("write")
def save_alarm() -> Response:
    """Create an alarm channel of an app, or edit the one that ``idalarm`` names."""
    sent = schema.Sent()
    channel_id = sent.id("idalarm", required=False)
    app_id = sent.id("idapp")
    changes: channels.ChannelChanges = {}
    sent.into(changes, "kind", validators.alarm_kind, required="idalarm" not in sent)
    sent.into(changes, "target", str, required="idalarm" not in sent)
    sent.into(changes, "label", validators.display_name)
    sent.into(changes, "events", validators.alarm_events)
    sent.into(changes, "timezone", validators.timezone)
    quiet_from = sent.text("quietfrom", validators.clock_time)
    quiet_until = sent.text("quietuntil", validators.clock_time)
    if quiet_from is not None:
        changes["quiet_from"] = quiet_from
    if quiet_until is not None:
        changes["quiet_until"] = quiet_until
    once = sent.once()
    sent.done()
    channel, secret = channels.save(
        g.caller.user_id, app_id, changes, channel_id or None, once=once
    )
    return schema.reply(schema.alarm(channel, secret))


@bp.get("/private/alarms/findByApp")
@auth.needs("read")
def find_alarms_by_app() -> Response:
    """The alarm channels of an app, the oldest first."""
    sent = schema.Sent()
    app_id = sent.id("idapp")
    sent.done()
    return schema.reply([schema.alarm(one) for one in channels.of_app(g.caller.user_id, app_id)])


@bp.post("/private/alarms/remove")
@auth.needs("write")
def remove_alarm() -> Response:
    """Remove an alarm channel."""
    channels.remove(g.caller.user_id, _alarm_id())
    return Response(status=200)


@bp.post("/private/alarms/test")
@auth.needs("check")
def test_alarm() -> Response:
    """Send a test to an alarm channel, and say what came of it."""
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
