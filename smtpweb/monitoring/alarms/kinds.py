"""The kinds of events: what channels choose from, and what is always told."""

from __future__ import annotations

from enum import StrEnum

from ... import validators


class Kind(StrEnum):
    """What happened. The first five are what a channel may want or not."""

    LOST = "lost"
    LAST_LOST = "lastlost"
    RECOVERED = "recovered"
    EXPIRING = "expiring"
    DEGRADED = "degraded"
    UNSTEADY = "unsteady"  # changes so often that it is told once
    CHANNEL_OFF = "channeloff"
    OPERATOR = "operator"  # a cause on our side, for administrators
    WEEKLY = "weekly"
    TEST = "test"


CHOICES = tuple(Kind(word) for word in validators.ALARM_EVENTS)
# Which choice lets an event through; what is not here is told to every channel it concerns.
CHOSEN_BY = {kind: (kind,) for kind in CHOICES} | {Kind.UNSTEADY: (Kind.LOST, Kind.LAST_LOST)}


def wants(events: str, kind: Kind) -> bool:
    """Whether a channel with these words wants events of this kind."""
    choices = CHOSEN_BY.get(kind)
    return choices is None or any(choice in events.split() for choice in choices)
