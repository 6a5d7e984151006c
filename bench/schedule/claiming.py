"""Claiming and settling without any network: of the schedule alone, and of whole checks."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update

from bench.schedule.installed import fill_due, migrated, settings_for
from smtpweb.app import create_app
from smtpweb.database.models import Check, Due
from smtpweb.database.session import db, now, writing
from smtpweb.mailcheck import Encryption, Report, Side, Stage
from smtpweb.monitoring import claims, settlement, workers
from smtpweb.monitoring.settlement import Result

ROOM = 500  # rows in one transaction
_Turn = Callable[[str], int]


def rates(kind: str, count: int, processes: int, seconds: float) -> None:
    """Print how many rows of ``due``, and how many checks, are claimed and finished a second."""
    for name, turn in (("rows of due", _select_due), ("checks with their rows", _whole)):
        with migrated(kind) as (_, url):
            app = create_app(settings_for(url))
            moment = fill_due(app, count, 25)
            context = multiprocessing.get_context("fork")
            counts = context.Queue()
            claimers = [
                context.Process(target=_claimer, args=(url, turn, seconds, counts))
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
                done = db.session.scalar(select(func.count()).where(Due.next_at > moment))
                db.engine.dispose()
            assert done == total, "a row was claimed twice"
            assert rows == servers, "a server was checked twice"
            print(
                f"{kind}, {count} due: {total} {name} claimed and finished by {processes}"
                f" processes in {seconds:.0f} s: {total / seconds:,.0f} a second, none twice"
            )


def _claimer(url: str, turn: _Turn, seconds: float, counts: Any) -> None:
    app = create_app(settings_for(url))
    count = 0
    with app.app_context():
        worker_id = workers.register()
        until = time.monotonic() + seconds
        while time.monotonic() < until and (done := turn(worker_id)):
            db.session.remove()
            count += done
        db.engine.dispose()
    counts.put(count)


def _whole(worker_id: str) -> int:
    claimed = claims.claim(worker_id, ROOM)
    settlement.settle(worker_id, [Result(one, _accepted()) for one in claimed])
    return len(claimed)


def _accepted() -> Report:
    return Report(
        accepted=True, stage=Stage.ACCEPTED, code="SMTP_PROBE_ACCEPTED", title="", meaning="",
        advice=(), temporary=False, side=Side.NONE, host="h", port=25,
        encryption=Encryption.NONE,
    )  # fmt: skip


def _select_due(worker_id: str) -> int:
    """Do with the rows of ``due`` alone what a claim and its settlement do with them."""
    moment = now()
    until = moment + timedelta(seconds=40)
    table: Any = Due.__table__
    with writing() as session:
        ids = [row.smtp_id for row in claims.due_rows(moment, ROOM)]
        leased = {"lease_until": until, "leased_by": worker_id, "next_at": until}
        session.connection().execute(update(table).where(table.c.smtp_id.in_(ids)).values(leased))
    with writing() as session:
        finished = {"lease_until": None, "leased_by": None, "next_at": bindparam("at")}
        statement = update(table).where(table.c.smtp_id == bindparam("id")).values(finished)
        hour = timedelta(hours=1)
        rows = [
            {"id": one, "at": moment + hour * (1 + place / 5000)} for place, one in enumerate(ids)
        ]
        if rows:
            session.connection().execute(statement, rows)
    return len(ids)
