"""An hour of the schedule, or a part of it, with two workers of which one is killed repeatedly."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

from flask import Flask
from sqlalchemy import func, select

from bench.load.processes import cpu_of_children, pss
from bench.schedule import chart
from bench.schedule.installed import (
    CHECK_TIMEOUT,
    KEY,
    SECRET_KEY,
    fill,
    migrated,
    scripted_server,
    settings_for,
)
from smtpweb.app import create_app
from smtpweb.config import ROOT
from smtpweb.database.models import AlarmDelivery, Check, StatusChange, Worker
from smtpweb.database.session import db, fetch, now
from smtpweb.monitoring import schedule
from tests.support.redis_server import redis_server

_FILLED = 5000  # rows a second, at least
_SAMPLE = 2.0  # seconds
_DRAIN = CHECK_TIMEOUT + 60  # seconds for what a killed worker has lost to come back


@dataclass
class Sample:
    """The state of the schedule at a time: seconds since the start, sums, seconds, MiB."""

    at: float
    checks: int
    lag: float
    memory: float  # of the larger worker


@dataclass
class Workers:
    """Two worker processes."""

    env: dict[str, str]
    log: Path
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    kills: list[float] = field(default_factory=list)

    def start(self) -> None:
        command = [sys.executable, "-m", "smtpweb", "worker"]
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL, stderr=log
            )
        self.running.append(started)

    def kill_older(self, at: float) -> None:
        victim = self.running.pop(0)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        self.kills.append(at)
        self.start()

    def end(self) -> float:
        """End them by SIGTERM; return the seconds it took."""
        started = time.monotonic()
        for worker in self.running:
            worker.terminate()
        for worker in self.running:
            worker.wait(60)
        return time.monotonic() - started

    @property
    def memory(self) -> float:
        return max(pss(worker.pid) for worker in self.running)


def run(
    kind: str, count: int, within: float, minutes: float, every: float, picture: Path | None
) -> None:
    """Print what came of ``minutes`` of a schedule of ``count`` servers due ``within`` minutes."""
    folder = Path(tempfile.mkdtemp(prefix="smtpweb-bench-"))
    share = min(1.0, minutes / within)
    with ExitStack() as stack:
        place, url = stack.enter_context(migrated(kind))
        port = stack.enter_context(scripted_server(folder / "seen"))
        redis_url, _ = stack.enter_context(redis_server(folder))
        app = create_app(settings_for(url))
        begins = now() + timedelta(seconds=5 + count / _FILLED)
        ids = fill(
            app, count, port, lambda number: begins + timedelta(minutes=within) * number / count
        )
        time.sleep(max(0.0, (begins - now()).total_seconds()))
        workers = Workers(_environment(url, redis_url), folder / "log")
        database_cpu = cpu_of_children(place.postmaster) if place.postmaster else 0.0
        samples = _watch(app, workers, minutes * 60, every, ids[: int(count * share)])
        took = workers.end()
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        worker_cpu = spent.ru_utime + spent.ru_stime
        if place.postmaster:
            database_cpu = cpu_of_children(place.postmaster) - database_cpu
        print(f"{kind}, Redis, {count} servers due within {within:g} minutes, {minutes:g} minutes:")
        with app.app_context():
            done = _report(ids[: int(count * share)], folder / "seen")
            db.engine.dispose()
        print(
            f"- {len(workers.kills)} kills -9, SIGTERM ended both workers in {took:.1f} s\n"
            f"- CPU of a check: workers {worker_cpu / done * 1000:.2f} ms,"
            f" database {database_cpu / done * 1000:.2f} ms\n"
            f"- lag: median {median(one.lag for one in samples):.1f} s,"
            f" largest {max(one.lag for one in samples):.1f} s\n"
            f"- memory of the larger worker: {samples[len(samples) // 4].memory:.0f} MiB after a"
            f" quarter, {samples[-1].memory:.0f} MiB at the end,"
            f" at most {max(one.memory for one in samples):.0f} MiB"
        )
    if picture:
        picture.write_text(chart.of(samples, workers.kills, minutes * 60))


def _environment(url: str, redis_url: str) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if "SMTPWEB" not in name}
    return others | {
        "SMTPWEB_DATABASE_URL": url,
        "SMTPWEB_REDIS_URL": redis_url,
        "SMTPWEB_SECRET_KEY": SECRET_KEY,
        "SMTPWEB_ENCRYPTION_KEYS": KEY,
        "SMTPWEB_CHECK_TIMEOUT": str(CHECK_TIMEOUT),
        "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
        "SMTPWEB_EGRESS_PORTS": "*",
        "SMTPWEB_EHLO_NAME": "bench.example",
    }


def _watch(
    app: Flask, workers: Workers, seconds: float, every: float, expected: list[str]
) -> list[Sample]:
    """Let them work, kill one every so many seconds, and wait for what is missing at the end."""
    samples: list[Sample] = []
    workers.start()
    workers.start()
    started = time.monotonic()
    while (elapsed := time.monotonic() - started) < seconds + _DRAIN:
        time.sleep(_SAMPLE)
        if elapsed < seconds:
            if elapsed > (len(workers.kills) + 1) * every:
                workers.kill_older(elapsed)
            with app.app_context():
                samples.append(Sample(elapsed, _checks(), schedule.lag(), workers.memory))
        else:
            with app.app_context():
                if not set(expected) - _finished():
                    break
    return samples


def _checks() -> int:
    return int(fetch(select(func.sum(Worker.checks)))[0][0] or 0)


def _finished() -> set[str]:
    return {row[0] for row in fetch(select(Check.smtp_id).where(Check.finished.is_not(None)))}


def _report(expected: list[str], seen: Path) -> int:
    """Print what was missed, repeated or told twice; return the number of finished checks."""
    finished = Counter(
        row[0] for row in fetch(select(Check.smtp_id).where(Check.finished.is_not(None)))
    )
    changes = Counter(row[0] for row in fetch(select(StatusChange.smtp_id)))
    conversations: Counter[str] = Counter()
    emails: Counter[str] = Counter()
    for line in seen.read_text().splitlines():
        what, _, which = line.partition(" ")
        (conversations if what == "check" else emails)[which] += 1
    alarms = {message: number for message, number in emails.items() if ".alarm@" in message}
    waits = [
        (row.finished - row.at).total_seconds()
        for row in fetch(
            select(AlarmDelivery.finished, AlarmDelivery.created.label("at")).where(
                AlarmDelivery.finished.is_not(None)
            )
        )
    ]
    told = f"median {median(waits):.1f} s, largest {max(waits):.1f} s" if waits else "none"
    print(
        f"- {finished.total()} checks finished, {len(set(expected) - set(finished))} of"
        f" {len(expected)} servers missed, {_more_than_one(finished)} checked twice\n"
        f"- {changes.total()} changes of state, {_more_than_one(changes)} servers with two;"
        f" {_more_than_one(conversations)} servers saw a second conversation after a kill\n"
        f"- {len(alarms)} alarms by email, {_more_than_one(alarms)} of them twice;"
        f" from the change of state to the mailbox: {told}"
    )
    return finished.total()


def _more_than_one(counts: dict[str, int]) -> int:
    return sum(number > 1 for number in counts.values())
