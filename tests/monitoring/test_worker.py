"""Real worker processes, on SQLite and on Redis: told to end, killed, without their Redis."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from smtpweb.app import create_app
from smtpweb.config import load
from smtpweb.database.models import App, Check, Due, Smtp, User, Worker
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.monitoring import engine
from tests.conftest import cannot_run
from tests.support import redis_server as redis_support
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.serving import Program, clean_environment, flask, installation_settings, program


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("migrated")
    flask(clean_environment(folder, **installation_settings(folder)), "db", "upgrade")
    return (folder / "smtpweb.db").read_bytes()


class Place:
    """An installation in a folder, and the application that looks into its database."""

    def __init__(self, folder: Path, migrated: bytes, **settings: str) -> None:
        (folder / "smtpweb.db").write_bytes(migrated)
        self.folder = folder
        self.settings = installation_settings(folder) | {
            "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
            "SMTPWEB_EGRESS_PORTS": "*",
            "SMTPWEB_CHECK_TIMEOUT": "3",
            **settings,
        }
        self.app: Flask = create_app(load(self.settings))

    @contextmanager
    def worker(self, name: str = "worker") -> Iterator[Program]:
        command = [sys.executable, "-m", "smtpweb", "worker"]
        env = clean_environment(self.folder, **self.settings)
        with program(command, env=env, log=self.folder / f"{name}.log") as running:
            running.wait_for(lambda: self.count(Worker) > 0)
            yield running

    def count(self, model: type, *which: object) -> int:
        with self.app.app_context():
            return len(db.session.scalars(select(model).where(*which)).all())  # type: ignore[arg-type]

    def add_due(self, server: FakeServer, count: int = 1) -> None:
        with self.app.app_context():
            user = db.session.scalar(select(User))
            if user is None:
                user = User(name="a", name_key="a", email="a@example.com", password_hash="x")
                db.session.add(user)
                db.session.flush()
                db.session.add(
                    App(user_id=user.id, name="shop", testemail="a@example.com",
                        defaultfromemail="b@example.com")
                )  # fmt: skip
                db.session.flush()
            app = db.session.scalars(select(App)).one()
            for _ in range(count):
                smtp = Smtp(app_id=app.id, host=server.host, port=server.port)
                db.session.add(smtp)
                db.session.flush()
                db.session.add(
                    Due(smtp_id=smtp.id, user_id=user.id, host=server.host, next_at=now(),
                        attempt=0)
                )  # fmt: skip
            db.session.commit()

    def finished(self) -> int:
        return self.count(Check, Check.finished.is_not(None))

    def close(self) -> None:
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path, migrated: bytes) -> Iterator[Place]:
    if request.param == "sqlite":
        found = Place(tmp_path, migrated)
        yield found
        found.close()
        return
    if redis_support.PROGRAM is None:
        cannot_run("no redis-server")
    with redis_support.redis_server(tmp_path) as (url, _):
        found = Place(tmp_path, migrated, SMTPWEB_REDIS_URL=url)
        yield found
        found.close()


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


def test_worker_checks_what_is_due_and_ends_when_told(place: Place) -> None:
    with fake_smtp() as server:
        place.add_due(server, 3)
        with place.worker() as running:
            until(lambda: place.finished() == 3)
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(30) == 0
            assert "Traceback" not in running.output
    assert place.count(Worker) == 0  # it has left
    assert place.count(Due, Due.lease_until.is_not(None)) == 0


def test_claims_of_a_killed_worker_are_checked_by_the_next_one(place: Place) -> None:
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


def test_redis_may_go_away_and_come_back_empty(tmp_path: Path, migrated: bytes) -> None:
    if redis_support.PROGRAM is None:
        cannot_run("no redis-server")
    with fake_smtp() as server:
        with redis_support.redis_server(tmp_path) as (url, _):
            place = Place(tmp_path, migrated, SMTPWEB_REDIS_URL=url)
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


def test_jobs_in_redis_are_signed_and_hold_no_secret(tmp_path: Path, migrated: bytes) -> None:
    """Whoever can write there must not make us load an object of theirs."""
    place = Place(tmp_path, migrated)
    settings = services(place.app).settings
    huey = engine.make_huey(settings)
    assert type(huey.serializer).__name__ == "SignedSerializer"
    forged = engine.make_huey(load(place.settings | {"SMTPWEB_SECRET_KEY": "another secret key"}))
    with pytest.raises(ValueError):
        huey.serializer.deserialize(forged.serializer.serialize({"a": 1}))
    huey.storage.close()
    forged.storage.close()
    place.close()
