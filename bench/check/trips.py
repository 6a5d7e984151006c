"""One conversation at a time: the number of round trips, the time, and the CPU cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from .testbed import Client, Testbed

DELAYS = (0.0, 0.05, 0.1, 0.15)  # seconds of a round trip
# Round trips are counted between these two: far enough apart that no noise makes up a trip, and
# short enough that TCP does not send its SYN again, which it does after a second
COUNTED = (0.05, 0.55)


@dataclass
class Trips:
    """One client at one kind of TLS. The numbers of round trips are slopes over the delay."""

    total: float = 0.0  # until the client was done
    verdict: float = 0.0  # until the answer to the final dot was with the client
    quit: str = ""
    walls: dict[float, float] = field(default_factory=dict)  # delay -> seconds, medians


def trips(testbed: Testbed, clients: dict[str, Client], tls: str, count: int) -> dict[str, Trips]:
    """Measure all clients: in parallel if they mostly wait, otherwise one after the other."""
    found = {name: Trips() for name in clients}
    # Noise only ever adds: the least of a client's times is nearest to what it has to wait for
    least: dict[str, dict[float, float]] = {name: {} for name in clients}
    verdicts: dict[str, dict[float, float]] = {name: {} for name in clients}
    for client in clients.values():  # so that nobody's first time is measured
        client.do(testbed.job(client.name, tls, 1))
    testbed.stories()
    for delay in (*DELAYS, COUNTED[1]):
        number = min(2, count) if delay not in DELAYS else count
        with testbed.link.delayed(delay):
            measured = {}
            for group in _groups(clients) if delay else [[one] for one in clients.values()]:
                for client in group:
                    client.begin(testbed.job(client.name, tls, number))
                for client in group:
                    measured[client.name] = client.end()
            stories = testbed.stories()
        for name, one in found.items():
            if delay in DELAYS:
                one.walls[delay] = median(measured[name].walls)
            least[name][delay] = min(measured[name].walls)
            assert len(stories[name]) == number, f"{name}: {len(stories[name])} conversations"
            assert all(story["complete"] for story in stories[name]), f"{name} left something out"
            ats = [story["at"] for story in stories[name]]
            # The server accepts one and a half round trips after the client's SYN
            verdicts[name][delay] = min(at["verdict"] - at["accept"] for at in ats) + 2 * delay
            one.quit = _quit(ats, delay)
    for name, one in found.items():
        one.total = _slope(least[name])
        one.verdict = _slope(verdicts[name])
    return found


def _groups(clients: dict[str, Client]) -> list[list[Client]]:
    """Separate the clients that mostly wait from those that would slow the others down."""
    busy = [one for one in clients.values() if "documented" in one.name or "swaks" in one.name]
    return [[one for one in clients.values() if one not in busy], busy]


def _slope(seconds: dict[float, float]) -> float:
    low, high = COUNTED
    return (seconds[high] - seconds[low]) / (high - low)


def _quit(ats: list[dict[str, float]], delay: float) -> str:
    if not all("quit" in at for at in ats):
        return "never sent"
    waited = median(at["quit"] - at["verdict"] for at in ats)
    return "answered, in the verdict's turn" if waited <= delay / 2 else "answered, a turn later"


@dataclass
class Cost:
    """What one conversation costs the client's process."""

    cpu: float  # seconds
    ratio: float  # to the asyncio baseline of the same round
    contexts: float


def cost(
    testbed: Testbed, clients: dict[str, Client], baseline: str, rounds: int, count: int
) -> dict[str, Cost]:
    """The CPU time per check without delay; medians over rounds that include every client."""
    seconds: dict[str, list[float]] = {name: [] for name in clients}
    contexts: dict[str, float] = {}
    order = list(clients)
    for _ in range(rounds):
        for name in order:
            # A program a check is slow, and steady enough
            number = max(2, count // 10) if name.startswith("swaks") else count
            measured = clients[name].do(testbed.job(name, "starttls", number))
            seconds[name].append(measured.cpu / number)
            contexts[name] = measured.contexts / number
        order = order[1:] + order[:1]
    testbed.stories()
    return {
        name: Cost(
            median(seconds[name]),
            median(a / b for a, b in zip(seconds[name], seconds[baseline], strict=True)),
            contexts[name],
        )
        for name in clients
    }
