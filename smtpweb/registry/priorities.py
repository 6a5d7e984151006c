"""Compute the priorities that put SMTP servers into a given order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ..validators import PRIORITIES


class Place(NamedTuple):
    """The sort key of an SMTP server: (priority, created, id), smallest first."""

    priority: int
    created: datetime
    id: str


def renumber(order: Sequence[Place]) -> dict[str, int]:
    """Return the new priority, by id, of each server that must change to produce this order.

    The existing priorities are reassigned in ascending order, so that a server which keeps its
    position keeps its priority, unless equal priorities before it have to be made distinct.
    """
    places: list[Place] = []
    for place, least in zip(order, sorted(place.priority for place in order), strict=True):
        after = places[-1].priority if places else least
        candidate = place._replace(priority=max(least, after))
        if places and candidate < places[-1]:
            candidate = place._replace(priority=after + 1)
        places.append(candidate)
    if places and places[-1].priority > PRIORITIES[1]:
        places = [place._replace(priority=number) for number, place in enumerate(order)]
    return {
        new.id: new.priority
        for old, new in zip(order, places, strict=True)
        if new.priority != old.priority
    }
