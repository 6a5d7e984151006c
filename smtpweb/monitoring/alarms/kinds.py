"""The kinds of events: those that a channel can select, and those that are always sent."""

from __future__ import annotations

from enum import StrEnum

from ... import validators


class Kind(StrEnum):
    """What happened. A channel can select among the first five."""

    LOST = "lost"
    LAST_LOST = "lastlost"
    RECOVERED = "recovered"
    EXPIRING = "expiring"
    DEGRADED = "degraded"
    UNSTEADY = "unsteady"  # the state changes too often for single notifications
    CHANNEL_OFF = "channeloff"
    OPERATOR = "operator"  # a cause on our side, for administrators
    WEEKLY = "weekly"
    TEST = "test"


CHOICES = tuple(Kind(word) for word in validators.ALARM_EVENTS)
# The selections that include a kind of event; other kinds go to every channel concerned.
CHOSEN_BY = {kind: (kind,) for kind in CHOICES} | {Kind.UNSTEADY: (Kind.LOST, Kind.LAST_LOST)}


def wants(events: str, kind: Kind) -> bool:
    """Check if a channel with this selection is notified of events of this kind."""
    choices = CHOSEN_BY.get(kind)
    return choices is None or any(choice in events.split() for choice in choices)
