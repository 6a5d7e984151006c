"""Real worker processes, on SQLite and on Redis: told to end, killed, without their Redis."""

from __future__ import annotations

import signal
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpweb.config import load
from smtpweb.database.models import Check, Due, Smtp, Worker
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.monitoring import engine
from tests.conftest import cannot_run
from tests.support import redis_server as redis_support
from tests.support.deployed import Installation, until
from tests.support.fake_smtp import fake_smtp


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Installation]:
    if request.param == "sqlite":
        found = Installation(tmp_path)
        yield found
        found.close()
        return
    if redis_support.PROGRAM is None:
        cannot_run("no redis-server")
    with redis_support.redis_server(tmp_path) as (url, _):
        found = Installation(tmp_path, SMTPWEB_REDIS_URL=url)
        yield found
        found.close()


def test_worker_checks_what_is_due_and_ends_when_told(place: Installation) -> None:
    with fake_smtp() as server:
        place.add_due(server, 3)
        with place.worker() as running:
            until(lambda: place.finished() == 3)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(30) == 0
            assert "Traceback" not in running.output
    assert place.count(Worker) == 0  # it has left
    assert place.count(Due, Due.lease_until.is_not(None)) == 0


def test_claims_of_a_killed_worker_are_checked_by_the_next_one(place: Installation) -> None:
    from smtpweb.monitoring import claims

    with fake_smtp() as server:
        place.add_due(server, 2)
        with place.app.app_context():
            lost = claims.claim("f" * 24, 10)
            assert len(lost) == 2
            for model, column in ((Due, "lease_until"), (Due, "next_at"), (Smtp, "checking_until")):
                db.session.query(model).update({column: now()})
            db.session.commit()
        with place.worker():
            until(lambda: place.finished() == 2)
    assert place.count(Check) == 4  # the lost ones stay, interrupted


def test_redis_may_go_away_and_come_back_empty(tmp_path: Path) -> None:
    if redis_support.PROGRAM is None:
        cannot_run("no redis-server")
    with fake_smtp() as server:
        with redis_support.redis_server(tmp_path) as (url, _):
            place = Installation(tmp_path, SMTPWEB_REDIS_URL=url)
            port = int(url.rsplit(":", 1)[1].partition("/")[0])
            running = place.worker()
            worker = running.__enter__()
            place.add_due(server)
            until(lambda: place.finished() == 1)
        try:
            place.add_due(server)  # while Redis is away
            time.sleep(1.5)
            assert worker.process.poll() is None
            with redis_support.redis_server(tmp_path, port):
                until(lambda: place.finished() == 2)
        finally:
            running.__exit__(None, None, None)
            place.close()


def test_jobs_in_redis_are_signed_and_hold_no_secret(tmp_path: Path) -> None:
    """Whoever can write there must not make us load an object of theirs."""
    place = Installation(tmp_path)
    settings = services(place.app).settings
    huey = engine.make_huey(settings)
    assert stat.S_IMODE(settings.queue_file.stat().st_mode) == 0o600
    assert type(huey.serializer).__name__ == "SignedSerializer"
    forged = engine.make_huey(load(place.settings | {"SMTPWEB_SECRET_KEY": "another secret key"}))
    with pytest.raises(ValueError):
        huey.serializer.deserialize(forged.serializer.serialize({"a": 1}))
    huey.storage.close()
    forged.storage.close()
    place.close()
