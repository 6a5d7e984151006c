"""A worker in the process of a test: it carries out what is due, and returns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import update

from smtpweb.database.models import Due
from smtpweb.database.session import db, now
from smtpweb.monitoring import workers
from smtpweb.monitoring.carrier import Carrier
from tests.support.matching import not_none


def work(app: Flask, *, at_once: int = 50, is_over: Callable[[], bool] = lambda: False) -> int:
    """Carry out what is due until nothing is; how many checks that were."""
    with app.app_context():
        worker_id = workers.register()
        db.session.remove()
    return Carrier(app, worker_id, is_over, at_once).run()


def make_due(app: Flask, *smtp_ids: str, ago: timedelta = timedelta(0), **values: object) -> None:
    """Let the schedule of these servers, or of all, be due; inside no application context."""
    with app.app_context():
        which = [Due.smtp_id.in_(smtp_ids)] if smtp_ids else []
        db.session.execute(update(Due).where(*which).values(next_at=now() - ago, **values))
        db.session.commit()


def due_row(app: Flask, smtp_id: str) -> Due:
    with app.app_context():
        return db.session.get_one(Due, smtp_id)


def next_at_of(app: Flask, smtp_id: str) -> datetime:
    """When the next scheduled check is; one is scheduled."""
    return not_none(due_row(app, smtp_id).next_at)
