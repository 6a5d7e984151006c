"""``python -m bench.api``: measure the API beside a bare Flask route and a FastAPI service.

All are loaded one after the other in every round; ratios are those of a round, and the medians of
all rounds are shown. CPU is that of the whole service: its master process and its workers.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.load import report
from bench.load.client import Client
from bench.load.databases import KINDS, Database, database
from bench.load.processes import cpu_of_children
from bench.load.wrk import Call, load

from . import services
from .services import COUNTS, Service


@dataclass(frozen=True)
class Target:
    """One call of one service; ``baseline``: the target that its cost is divided by."""

    name: str
    service: Service
    call: Call
    baseline: str
    refused: bool = False  # its answer is an error


@dataclass
class Cost:
    """Of each round: CPU microseconds a request, of the service and of the database server."""

    own: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)


Costs = dict[str, Cost]


def main() -> None:
    """Run the chosen measurements; print the report, and write it to docs/ with ``--write``."""
    options = _arguments()
    origin = report.origin()
    parts: dict[str, list[str]] = {name: [origin] for name in options.parts}
    for kind in options.databases:
        with database(kind) as running:
            for name in options.parts:
                found = MEASURES[name](running, options.rounds, options.seconds)
                print(*found, sep="\n\n", flush=True)
                parts[name] += found
    if options.write:
        for name, texts in parts.items():
            report.write_into(name, "\n\n".join(texts))


# --- reads ---------------------------------------------------------------------------------


def _reads(running: Database, rounds: int, seconds: int) -> list[str]:
    costs: dict[str, Cost] = defaultdict(Cost)
    with ExitStack() as stack:
        targets = _targets(running, stack)
        for target in targets:
            load(target.service.url, target.call, seconds=1)  # fill caches
        for _ in range(rounds):
            _round(running, targets, costs, seconds)
    rows = [
        [
            name,
            f"{median(cost.own):.0f}",
            f"{median(cost.ratio):.2f}",
            f"{median(cost.database):.0f}" if running.postmaster else "",
        ]
        for name, cost in costs.items()
    ]
    titles = ("call", "CPU us a request", "x bare Flask", "and of PostgreSQL itself, us")
    return [f"### Reads, {running.kind}", report.table(titles, rows)]


def _targets(running: Database, stack: ExitStack) -> list[Target]:
    def folder() -> Path:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smtpweb-bench-")))

    ours = stack.enter_context(services.smtpweb(running, folder()))
    peer = stack.enter_context(services.peer(running, folder()))
    bodies = {
        f"baseline{count}": Client(ours.url, ours.token).get(_by_app(ours, count))[0]
        for count in COUNTS
    }
    bodies["baseline1"] = json.dumps(
        json.loads(bodies["baseline2"])[0], separators=(",", ":")
    ).encode()
    baseline = stack.enter_context(services.baseline(folder(), bodies))
    targets = [
        Target(
            f"bare Flask, body of {count}",
            baseline,
            Call(f"/baseline{count}", {}),
            f"baseline{count}",
        )
        for count in (1, *COUNTS)
    ]
    for name, service in (("smtpweb", ours), ("FastAPI", peer)):
        client = Client(service.url, service.token)
        for count in COUNTS:
            path = _by_app(service, count)
            body, headers = client.get(path)
            targets.append(
                Target(
                    f"{name}, findByApp of {count}",
                    service,
                    Call(path, client.headers),
                    f"baseline{count}",
                )
            )
            if etag := headers.get("ETag"):
                known = client.headers | {"If-None-Match": etag}
                targets.append(
                    Target(
                        f"{name}, findByApp of {count}, unchanged (304)",
                        service,
                        Call(path, known),
                        f"baseline{count}",
                    )
                )
            if count == min(COUNTS):
                one = f"/private/smtps/findById?idsmtp={json.loads(body)[0]['_id']}"
                targets.append(
                    Target(f"{name}, findById", service, Call(one, client.headers), "baseline1")
                )
                stranger = Call(path, {"Authorization": "Bearer smw_unknown"})
                targets.append(
                    Target(f"{name}, unknown token", service, stranger, "baseline1", refused=True)
                )
    return targets


def _by_app(service: Service, count: int) -> str:
    return f"/private/smtps/findByApp?idapp={service.app(count)}"


def _round(running: Database, targets: list[Target], costs: dict[str, Cost], seconds: int) -> None:
    baselines: dict[str, float] = {}
    for target in targets:
        before, before_database = target.service.cpu, cpu_of_children(running.postmaster)
        found = load(target.service.url, target.call, seconds=seconds)
        time.sleep(0.05)  # the clock of the kernel ticks every hundredth of a second
        own = (target.service.cpu - before) / found.requests * 1e6
        assert found.failures == 0, target.name
        assert (found.refused == found.requests) == target.refused, target.name
        baselines.setdefault(target.baseline, own)
        cost = costs[target.name]
        cost.own.append(own)
        cost.ratio.append(own / baselines[target.baseline])
        cost.database.append(
            (cpu_of_children(running.postmaster) - before_database) / found.requests * 1e6
        )


# --- saves ---------------------------------------------------------------------------------


def _saves(running: Database, rounds: int, seconds: int) -> list[str]:
    """64 clients save at once; the disk's rate of fdatasync is measured in the same rounds."""
    starts: dict[str, Callable[[Database, Path], object]] = {
        "smtpweb": services.smtpweb,
        "FastAPI": services.peer,
    }
    rates: dict[str, list[float]] = defaultdict(list)
    slowest: dict[str, list[float]] = defaultdict(list)
    errors: dict[str, int] = defaultdict(int)
    with ExitStack() as stack:
        running_services: dict[str, Service] = {}
        for name, start in starts.items():
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="smtpweb-bench-")))
            running_services[name] = stack.enter_context(start(running, folder))  # type: ignore[arg-type]
        for _ in range(rounds):
            rates["fdatasync"].append(_syncs(running.folder, min(seconds, 2)))
            for name, service in running_services.items():
                form = {
                    "idapp": service.app(2), "host": "smtp.example.net", "port": 587,
                    "auth": "true", "starttls": "true", "username": "shop@example.com",
                    "password": "correct horse", "defaultfromemail": "shop@example.com",
                }  # fmt: skip
                call = Call("/private/smtps/save", Client("", service.token).headers, form)
                found = load(service.url, call, seconds=seconds, connections=64)
                rates[name].append((found.requests - found.refused) / found.seconds)
                slowest[name].append(found.p99)
                errors[name] += found.failures + found.refused
    sync = median(rates["fdatasync"])
    rows = [
        [
            name, f"{median(rates[name]):.0f}", f"{median(rates[name]) / sync:.2f}",
            f"{median(slowest[name]):.0f}", str(errors[name]),
        ]
        for name in starts
    ]  # fmt: skip
    titles = ("service", "saves a second", "x fdatasync", "p99 ms", "errors")
    return [
        f"### Saves, 64 clients at once, {running.kind}",
        f"The disk: {sync:.0f} times fdatasync a second, 4 KiB each.",
        report.table(titles, rows),
    ]


MEASURES = {"reads": _reads, "saves": _saves}


def _syncs(folder: Path, seconds: float) -> float:
    path = folder / "fdatasync"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    count, block = 0, os.urandom(4096)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        os.write(descriptor, block)
        os.fdatasync(descriptor)
        count += 1
    taken = time.perf_counter() - began
    os.close(descriptor)
    path.unlink()
    return count / taken


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="default: 7")
    parser.add_argument(
        "--seconds", type=int, default=2, metavar="S", help="of load a target and round; default: 2"
    )
    parser.add_argument("--parts", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--databases", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument(
        "--write", action="store_true", help=f"write the report into {report.DOCUMENT.name}"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
