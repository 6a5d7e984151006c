"""The words of pages for alarms: kinds, targets, events, states."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext, pgettext

from ...database.models import AlarmChannel
from .labels import State

CHANNEL_KINDS = {
    "email": lazy_gettext("Email"),
    "webhook": lazy_gettext("Webhook"),
    "apprise": lazy_gettext("Chat or pager"),
}
NEW_ALARM = {
    "email": lazy_gettext("New alarm by email"),
    "webhook": lazy_gettext("New alarm by webhook"),
    "apprise": lazy_gettext("New alarm to a chat or pager"),
}
_EVENTS = {
    "lost": lazy_gettext("stopped working"),
    "lastlost": lazy_gettext("nothing can be sent"),
    "recovered": lazy_gettext("works again"),
    "expiring": lazy_gettext("expires soon"),
    "degraded": lazy_gettext("degraded for a day"),
}


def channel_target(channel: AlarmChannel) -> str:
    """Return the target of a channel without its secret part."""
    return channel.shown or _("the address of the account, %(address)s", address=channel.user.email)


def channel_events(channel: AlarmChannel) -> str:
    """Return the events of a channel, in a few words."""
    return ", ".join(str(_EVENTS[kind]) for kind in channel.events.split())


def channel_state(channel: AlarmChannel) -> State:
    """Return whether a channel is on, and if not, why."""
    if channel.off_since is None:
        if channel.failing_since is not None:
            return State(_("On, failing"), "warning", "alert")
        return State(_("On"), "success", "done")
    words = {
        "gone": _("Off: it answered 410"),
        "failing": _("Off: deliveries failed for a day"),
    }
    reason = words.get(channel.off_reason or "")
    if reason:
        return State(reason, "danger", "failed")
    return State(pgettext("alarm", "Off"), "secondary", "skipped")


def clock(minutes: int | None) -> str:
    """Return minutes since midnight as "HH:MM"; "" for None."""
    return "" if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}"
