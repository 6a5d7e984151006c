"""Which priorities put SMTP servers into a wanted order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ..validators import PRIORITIES


class Place(NamedTuple):
    """What decides where an SMTP server stands: (priority, created, id), smallest first."""

    priority: int
    created: datetime
    id: str


def renumber(order: Sequence[Place]) -> dict[str, int]:
    """The new priority of each server that needs one to stand in this order, by its id.

    The priorities in use are handed out anew from the smallest up, so that a server which keeps
    its position keeps its priority, unless equal ones before it have to be told apart.
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
