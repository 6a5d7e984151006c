"""``python -m bench.schedule``: measure the cost and robustness of scheduled checks.

``checks``: how many checks per second one worker runs, and the cost of each.
``claims``: how many checks per second are claimed and settled, without network.
``kill``: whether a server is missed or a change recorded twice while workers are killed.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, select, update

from bench.load.databases import database
from smtpweb.app import create_app
from smtpweb.config import MIGRATIONS, ROOT, Settings
from smtpweb.database import migrations
from smtpweb.database.models import App, Check, Due, Smtp, StatusChange, User, new_id
from smtpweb.database.secret_box import new_key
from smtpweb.database.session import db, now
from smtpweb.mailcheck import Encryption, Report, Side, Stage
from smtpweb.mailcheck.core.egress import EgressPolicy
from smtpweb.monitoring import claims, schedule, settlement, workers
from smtpweb.monitoring.carrier import Carrier
from smtpweb.monitoring.settlement import Result

KEY = new_key()
FIRST_HOST = (127 << 24) + (1 << 16)  # 127.1.0.0: nobody's


def settings_for(url: str, key: str = KEY) -> Settings:
    return Settings(
        secret_key="0123456789abcdef0123456789abcdef",
        encryption_keys=(key,),
        database_url=url,
        check_timeout=10,
        egress=EgressPolicy.parse("127.0.0.0/8", "*"),
        ehlo_name="bench.example",
        queue_file=Path(tempfile.gettempdir()) / "unused-queue.db",
    )


@contextlib.contextmanager
def migrated(kind: str) -> Iterator[str]:
    """Provide the URL of a migrated database without rows."""
    with database(kind) as place:
        url = place.url("schedule")
        app = create_app(settings_for(url))
        with app.app_context():
            migrations.upgrade(MIGRATIONS)
            db.engine.dispose()
        yield url


def fill(app: Flask, count: int, port: int, *, hosts: int | None = None, users: int = 10) -> None:
    """Register so many servers on different hosts, all due now, for so many users."""
    with app.app_context():
        moment = now()
        apps = []
        for number in range(users):
            user = User(
                name=f"u{number}", name_key=f"u{number}", email="a@example.com", password_hash="x"
            )
            db.session.add(user)
            db.session.flush()
            one = App(
                user_id=user.id,
                name="bench",
                testemail="a@example.com",
                defaultfromemail="b@example.com",
                emailevery="never",
            )
            db.session.add(one)
            db.session.flush()
            apps.append((one.id, user.id))
        db.session.commit()
        for first in range(0, count, 10_000):
            numbers = range(first, min(first + 10_000, count))
            smtps, dues = [], []
            for number in numbers:
                app_id, user_id = apps[number % users]
                host = socket.inet_ntoa((FIRST_HOST + number % (hosts or count)).to_bytes(4, "big"))
                smtp_id = new_id()
                smtps.append({"id": smtp_id, "app_id": app_id, "host": host, "port": port})
                dues.append(
                    {
                        "smtp_id": smtp_id,
                        "user_id": user_id,
                        "host": host,
                        "next_at": moment,
                        "attempt": 0,
                    }
                )
            db.session.execute(insert(Smtp), smtps)
            db.session.execute(insert(Due), dues)
            db.session.commit()


@contextlib.contextmanager
def scripted_server(log: Path | None = None) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "bench.schedule.server", str(port)]
    process = subprocess.Popen(
        [*command, *([str(log)] if log else [])], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
    finally:
        process.kill()
        process.wait()


# --- checks --------------------------------------------------------------------------------


def checks(kind: str, count: int) -> None:
    with migrated(kind) as url, scripted_server() as port:
        app = create_app(settings_for(url))
        fill(app, count, port)
        with app.app_context():
            worker_id = workers.register()
            db.session.remove()
        before = resource.getrusage(resource.RUSAGE_SELF)
        started = time.monotonic()
        done = Carrier(app, worker_id, lambda: False).run()
        wall = time.monotonic() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        with app.app_context():
            good = db.session.scalar(
                select(func.count()).select_from(Check).where(Check.accepted.is_(True))
            )
            db.engine.dispose()
        print(
            f"{kind}: {done} checks ({good} accepted) in {wall:.1f} s: {done / wall:.0f} a second,"
            f" {cpu / done * 1000:.2f} ms CPU a check, peak {after.ru_maxrss // 1024} MiB"
        )


# --- claims --------------------------------------------------------------------------------


def _claimer(url: str, key: str, seconds: float, counts: Any) -> None:
    app = create_app(settings_for(url, key))
    count = 0
    with app.app_context():
        worker_id = workers.register()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            claimed = claims.claim(worker_id, 500)
            if not claimed:
                break
            settlement.settle(worker_id, [Result(one, _accepted()) for one in claimed])
            db.session.remove()
            count += len(claimed)
        db.engine.dispose()
    counts.put(count)


def _accepted() -> Report:
    return Report(
        accepted=True, stage=Stage.ACCEPTED, code="SMTP_PROBE_ACCEPTED", title="", meaning="",
        advice=(), temporary=False, side=Side.NONE, host="h", port=25,
        encryption=Encryption.NONE,
    )  # fmt: skip


def claim_rate(kind: str, count: int, processes: int, seconds: float) -> None:
    with migrated(kind) as url:
        app = create_app(settings_for(url))
        fill(app, count, 25)
        with app.app_context():
            db.engine.dispose()
        context = multiprocessing.get_context("fork")
        counts = context.Queue()
        started = time.monotonic()
        claimers = [
            context.Process(target=_claimer, args=(url, KEY, seconds, counts))
            for _ in range(processes)
        ]
        for claimer in claimers:
            claimer.start()
        total = sum(counts.get() for _ in claimers)
        for claimer in claimers:
            claimer.join()
        with app.app_context():
            rows = db.session.scalar(select(func.count()).select_from(Check))
            servers = db.session.scalar(select(func.count(func.distinct(Check.smtp_id))))
            db.engine.dispose()
        print(
            f"{kind}: {total} claimed and settled by {processes} workers, {seconds:.0f} s each"
            f" ({time.monotonic() - started:.0f} s with their start): {total / seconds:.0f} a"
            f" second; {rows} rows of check for {servers} servers"
        )


# --- kill ----------------------------------------------------------------------------------


def kill(kind: str, count: int, minutes: float, every: float, redis_url: str | None) -> None:
    """Run two workers, one of which is killed repeatedly."""
    folder = Path(tempfile.mkdtemp(prefix="smtpweb-bench-"))
    with migrated(kind) as url, scripted_server(folder / "seen") as port:
        app = create_app(settings_for(url))
        fill(app, count, port)
        spread = timedelta(minutes=minutes)
        with app.app_context():
            from smtpweb.registry import schedule as rule

            db.session.execute(update(Due).values(next_at=rule.some_time(spread * 0.9)))
            db.session.commit()
            db.session.remove()
        env = {name: value for name, value in os.environ.items() if "SMTPWEB" not in name} | {
            "SMTPWEB_DATABASE_URL": url,
            "SMTPWEB_SECRET_KEY": "0123456789abcdef0123456789abcdef",
            "SMTPWEB_ENCRYPTION_KEYS": KEY,
            "SMTPWEB_CHECK_TIMEOUT": "10",
            "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
            "SMTPWEB_EGRESS_PORTS": "*",
            "SMTPWEB_EHLO_NAME": "bench.example",
        }
        if redis_url:
            env["SMTPWEB_REDIS_URL"] = redis_url

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [sys.executable, "-m", "smtpweb", "worker"], cwd=ROOT, env=env,
                stdout=subprocess.DEVNULL, stderr=(folder / "log").open("ab"),
            )  # fmt: skip

        running = [start(), start()]
        kills, started, worst = 0, time.monotonic(), 0.0
        end = started + minutes * 60 + 90
        try:
            while time.monotonic() < end:
                time.sleep(1)
                elapsed = time.monotonic() - started
                if elapsed < minutes * 60 and elapsed > (kills + 1) * every:
                    victim = running.pop(0)
                    victim.send_signal(signal.SIGKILL)
                    victim.wait()
                    running.append(start())
                    kills += 1
                with app.app_context():
                    worst = max(worst, schedule.lag())
                    left = db.session.scalar(
                        select(func.count())
                        .select_from(Smtp)
                        .where(~select(Check.id).where(
                            Check.smtp_id == Smtp.id, Check.finished.is_not(None)).exists())
                    )  # fmt: skip
                    db.session.remove()
                if not left and elapsed > minutes * 60:
                    break
        finally:
            for worker in running:
                worker.terminate()
            ended = time.monotonic()
            for worker in running:
                worker.wait(40)
            took = time.monotonic() - ended
        with app.app_context():
            rows = db.session.scalar(select(func.count()).select_from(Check))
            changes = db.session.scalar(select(func.count()).select_from(StatusChange))
            twice = db.session.scalar(
                select(func.count()).select_from(
                    select(StatusChange.smtp_id)
                    .group_by(StatusChange.smtp_id)
                    .having(func.count() > 1)
                    .subquery()
                )
            )
            db.engine.dispose()
        print(
            f"{kind}, {'Redis' if redis_url else 'SQLite queue'}: {count} servers due within"
            f" {minutes:g} minutes, {kills} kills -9: {left} missed, {rows} checks begun,"
            f" {changes} changes of state ({twice} servers with more than one), largest lag"
            f" {worst:.0f} s, SIGTERM ended both in {took:.1f} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.schedule", description=__doc__)
    parser.add_argument("part", choices=("checks", "claims", "kill"))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--every", type=float, default=30, help="seconds between two kills")
    parser.add_argument("--redis", help="URL of a Redis for the queue")
    given = parser.parse_args()
    if given.count > 2_000_000 or given.minutes > 60 or given.seconds > 600:
        parser.error("that is more than a bench may take")
    if given.part == "checks":
        checks(given.database, given.count)
    elif given.part == "claims":
        claim_rate(given.database, given.count, given.workers, given.seconds)
    else:
        kill(given.database, given.count, given.minutes, given.every, given.redis)


if __name__ == "__main__":
    main()
