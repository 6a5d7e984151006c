"""The process of one client: reads jobs from stdin and writes their figures to stdout.

``nodemailer.mjs`` uses the same protocol, one JSON object per line.
"""

from __future__ import annotations

import gc
import json
import resource
import ssl
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .clients import CLIENTS, Missing
from .job import Job, Measured

_made = 0


def _count_contexts() -> None:
    """Count every TLS context that is made in this process, whoever makes it."""
    new = ssl.SSLContext.__new__

    def counting(cls: Any, *words: Any, **named: Any) -> ssl.SSLContext:
        global _made
        _made += 1
        return new(cls, *words, **named)

    ssl.SSLContext.__new__ = counting  # type: ignore[method-assign, assignment]


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    return 0


def _cpu() -> float:
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


class _MostThreads:
    """Track the highest number of threads, at negligible cost."""

    def __init__(self) -> None:
        self.most = threading.active_count()
        self._start = threading.Thread.start

    def __enter__(self) -> _MostThreads:
        start = self._start

        def counted(thread: threading.Thread) -> None:
            start(thread)
            self.most = max(self.most, threading.active_count())

        threading.Thread.start = counted  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        threading.Thread.start = self._start  # type: ignore[method-assign]


def measure(client: Any, job: Job) -> Measured:
    """Run the job and return its figures."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak
    memory, contexts, cpu = _memory("VmRSS"), _made, _cpu()
    walls = []
    accepted: list[bool] = []
    why = ""
    with _MostThreads() as threads:
        began = time.monotonic()
        try:
            if job.at_once:
                accepted = client.at_once(job)
                walls.append(time.monotonic() - began)
            else:
                for _ in range(job.count):
                    began = time.monotonic()
                    accepted.append(client.one(job))
                    walls.append(time.monotonic() - began)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"[:300]
    spent = _cpu() - cpu
    peak = max(_memory("VmHWM") - memory, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return Measured(
        walls, spent, _made - contexts, peak, threads.most, job.count - sum(accepted), why
    )


def main() -> None:
    """Serve jobs until stdin ends."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    _count_contexts()
    try:
        client = CLIENTS[sys.argv[1]]()
    except Missing as missing:
        print(json.dumps({"missing": str(missing)}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(measure(client, Job.from_json(line)))), flush=True)


if __name__ == "__main__":
    main()
