"""Many conversations at once from one process: wall, CPU, memory, threads, TLS contexts."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from . import link
from .place import Client, NotInstalled, Place

ROUND_TRIP = 0.1
SLOW = ("smtplib-documented", "aiosmtplib-documented")  # 15 s each: one round will do


@dataclass
class Crowd:
    """One client; a list has one entry for each round."""

    walls: list[float] = field(default_factory=list)  # round trips
    cpus: list[float] = field(default_factory=list)  # seconds a check
    wall_ratios: list[float] = field(default_factory=list)  # to the floor of the same round
    cpu_ratios: list[float] = field(default_factory=list)
    memories: list[float] = field(default_factory=list)  # KiB a check: peak minus start
    threads: int = 0
    contexts: float = 0.0

    @property
    def wall(self) -> float:
        return median(self.walls)

    @property
    def cpu(self) -> float:
        return median(self.cpus)

    @property
    def memory(self) -> float:
        return median(self.memories)


def crowd(place: Place, names: list[str], floor: str, count: int, rounds: int) -> dict[str, Crowd]:
    """``count`` conversations at once, each time in a fresh process that has warmed up."""
    found: dict[str, Crowd] = {name: Crowd() for name in names}
    order = list(names)
    for number in range(rounds):
        for name in order:
            if number and name in SLOW:
                continue
            _one(place, name, count, found[name])
        for name in order:
            one = found[name]
            if len(one.walls) > len(one.wall_ratios):
                one.wall_ratios.append(one.walls[-1] / found[floor].walls[-1])
                one.cpu_ratios.append(one.cpus[-1] / found[floor].cpus[-1])
        order = order[1:] + order[:1]
    return found


def _one(place: Place, name: str, count: int, into: Crowd) -> None:
    try:
        client = Client(name)
    except NotInstalled:
        return
    with place.link.delayed(ROUND_TRIP):
        # The first checks of a process pay for imports, caches and the TLS context
        client.do(place.job(name, "starttls", min(20, count), at_once=True))
        place.stories()
        dropped = link.lost_packets()
        told = client.do(place.job(name, "starttls", count, at_once=True))
        stories = place.stories()[name]
    client.close()
    assert link.lost_packets() == dropped, "the link dropped packets: the run is void"
    assert len(stories) == count, f"{name}: {len(stories)} conversations"
    assert all(story["complete"] for story in stories), f"{name} left something out"
    into.walls.append(told.walls[0] / ROUND_TRIP)
    into.cpus.append(told.cpu / count)
    into.memories.append(told.memory / count)
    into.threads = max(into.threads, told.threads)
    into.contexts = told.contexts / count
