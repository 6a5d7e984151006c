"""Many simultaneous conversations of one process: wall time, CPU, memory, threads, TLS contexts."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from . import link
from .testbed import Client, NotInstalled, Testbed

ROUND_TRIP = 0.1
SLOW = ("smtplib-documented", "aiosmtplib-documented")  # 15 s each: one round is enough


@dataclass
class Concurrency:
    """The figures of a client; each list has one entry per round."""

    walls: list[float] = field(default_factory=list)  # round trips
    cpus: list[float] = field(default_factory=list)  # seconds a check
    wall_ratios: list[float] = field(default_factory=list)  # to the baseline of the same round
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


def concurrency(
    testbed: Testbed, names: list[str], baseline: str, count: int, rounds: int
) -> dict[str, Concurrency]:
    """Run ``count`` conversations at once, in a new process per round, after a warm-up."""
    found: dict[str, Concurrency] = {name: Concurrency() for name in names}
    order = list(names)
    for number in range(rounds):
        for name in order:
            if number and name in SLOW:
                continue
            _one(testbed, name, count, found[name])
        for name in order:
            one = found[name]
            if len(one.walls) > len(one.wall_ratios):
                one.wall_ratios.append(one.walls[-1] / found[baseline].walls[-1])
                one.cpu_ratios.append(one.cpus[-1] / found[baseline].cpus[-1])
        order = order[1:] + order[:1]
    return found


def _one(testbed: Testbed, name: str, count: int, into: Concurrency) -> None:
    try:
        client = Client(name)
    except NotInstalled:
        return
    with testbed.link.delayed(ROUND_TRIP):
        # The first checks of a process pay for imports, caches and the TLS context
        client.do(testbed.job(name, "starttls", min(20, count), at_once=True))
        testbed.stories()
        dropped = link.lost_packets()
        measured = client.do(testbed.job(name, "starttls", count, at_once=True))
        stories = testbed.stories()[name]
    client.close()
    assert link.lost_packets() == dropped, "the link dropped packets: the run is void"
    assert len(stories) == count, f"{name}: {len(stories)} conversations"
    assert all(story["complete"] for story in stories), f"{name} left something out"
    into.walls.append(measured.walls[0] / ROUND_TRIP)
    into.cpus.append(measured.cpu / count)
    into.memories.append(measured.memory / count)
    into.threads = max(into.threads, measured.threads)
    into.contexts = measured.contexts / count
