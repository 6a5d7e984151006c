"""``python -m bench.schedule``: measure the cost and robustness of scheduled checks.

``checks``: how many checks per second one worker runs, and the cost of each.
``claims``: how many are claimed and finished per second, without network.
``hour``: whether a server is missed or a change reported twice while workers are killed.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

from sqlalchemy import func, select

from bench.load.databases import KINDS
from bench.schedule import claiming, hour
from bench.schedule.installed import fill_due, migrated, scripted_server, settings_for
from smtpweb.app import create_app
from smtpweb.database.models import Check
from smtpweb.database.session import db
from smtpweb.monitoring import workers
from smtpweb.monitoring.carrier import Carrier


def checks(kind: str, count: int) -> None:
    """Print how many checks per second a worker runs, and what each costs it."""
    with migrated(kind) as (_, url), scripted_server() as port:
        app = create_app(settings_for(url))
        fill_due(app, count, port)
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.schedule", description=__doc__)
    parser.add_argument("part", choices=("checks", "claims", "hour"))
    parser.add_argument("--database", choices=KINDS, default="sqlite")
    parser.add_argument("--count", type=int, default=5000, help="registered servers")
    parser.add_argument("--workers", type=int, default=4, help="of claims")
    parser.add_argument("--seconds", type=float, default=10, help="of claims")
    parser.add_argument("--within", type=float, default=60, help="minutes in which all are due")
    parser.add_argument("--minutes", type=float, default=3, help="of the hour that are run")
    parser.add_argument("--every", type=float, default=30, help="seconds between two kills")
    parser.add_argument("--chart", type=Path, help="file for a chart of the hour (SVG)")
    given = parser.parse_args()
    if given.count > 2_000_000 or given.minutes > 60 or given.seconds > 600:
        parser.error("that is more than a bench may take")
    if given.part == "checks":
        checks(given.database, given.count)
    elif given.part == "claims":
        claiming.rates(given.database, given.count, given.workers, given.seconds)
    else:
        hour.run(given.database, given.count, given.within, given.minutes, given.every, given.chart)


if __name__ == "__main__":
    main()
