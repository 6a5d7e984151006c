"""Which priorities put SMTPs into a wanted order, so that few of them have to change."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from ..validators import PRIORITIES


class Place(NamedTuple):
    """What decides where an SMTP stands: (priority, created, id), smallest first."""

    priority: int
    created: datetime
    id: str


def renumber(wanted: Sequence[Place]) -> dict[str, int]:
    """The new priority of each SMTP that needs one for this order, by its id.

    Most rows stay as they are: those that stand in the right order among each other. The others
    are put in between, where there is room without touching anybody; else the rows on one side
    make room, on the side where fewer have to.
    """
    line: list[Place | None] = [None] * len(wanted)
    for index in _in_order(wanted):
        line[index] = wanted[index]
    for index, place in enumerate(wanted):
        if line[index] is None:
            _insert(line, index, place)
    return {
        now.id: now.priority
        for was, now in zip(wanted, line, strict=True)
        if now is not None and now.priority != was.priority
    }


def _in_order(wanted: Sequence[Place]) -> list[int]:
    """The indexes of a longest series of places that rise as they stand."""
    ends: list[Place] = []  # the smallest place that a series of each length can end with
    at: list[int] = []  # its index
    before: list[int | None] = []
    for index, place in enumerate(wanted):
        length = bisect_left(ends, place)
        before.append(at[length - 1] if length else None)
        if length == len(ends):
            ends.append(place)
            at.append(index)
        else:
            ends[length], at[length] = place, index
    series: list[int] = []
    last = at[-1] if at else None
    while last is not None:
        series.append(last)
        last = before[last]
    return series[::-1]


def _insert(line: list[Place | None], index: int, place: Place) -> None:
    ways = [_push(line, index, place, step) for step in (1, -1)]
    best = min((way for way in ways if way is not None), key=len)
    for position, moved in best.items():
        line[position] = moved


def _push(line: list[Place | None], index: int, place: Place, step: int) -> dict[int, Place] | None:
    """Put the place close to its neighbour behind, and let those ahead (``step``) give way.

    The changes by index, or None where the priorities do not reach so far.
    """
    behind = _next(line, index, -step)
    if behind is not None:
        previous = _beside(line[behind], place, step)
    else:
        # Nobody behind: beside the one ahead, if there is one, which then stays.
        ahead = _next(line, index, step)
        beside = place if ahead is None else _beside(line[ahead], place, -step)
        least, most = PRIORITIES
        previous = place._replace(priority=min(max(beside.priority, least), most))
    changes = {index: previous}
    position = _next(line, index, step)
    while position is not None:
        here = line[position]
        if here is None or (here > previous if step > 0 else here < previous):
            break
        previous = changes[position] = _beside(previous, here, step)
        position = _next(line, position, step)
    least, most = PRIORITIES
    return changes if all(least <= one.priority <= most for one in changes.values()) else None


def _beside(other: Place | None, place: Place, step: int) -> Place:
    """The place with the priority closest to the other's that comes after it, or before it."""
    if other is None:
        raise AssertionError("beside nobody")
    same = place._replace(priority=other.priority)
    fits = same > other if step > 0 else same < other
    return same if fits else place._replace(priority=other.priority + step)


def _next(line: list[Place | None], index: int, step: int) -> int | None:
    index += step
    while 0 <= index < len(line):
        if line[index] is not None:
            return index
        index += step
    return None
