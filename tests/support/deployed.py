"""An installation of real processes, web and worker, and an application that reads its database."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import func, select

from smtpweb.app import create_app
from smtpweb.config import load
from smtpweb.database.models import App, Check, Due, Smtp, Worker
from smtpweb.database.session import db, now, writing
from tests.support.fake_smtp import FakeServer
from tests.support.people import make_person
from tests.support.serving import (
    Program,
    clean_environment,
    flask,
    installation_settings,
    migrate,
    program,
    smtpweb_server,
)

PATIENCE = 60  # seconds


class Installation:
    """An installation with a migrated database: that of its folder, or the one with a given URL."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.settings = installation_settings(folder) | {
            "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
            "SMTPWEB_EGRESS_PORTS": "*",
            "SMTPWEB_CHECK_TIMEOUT": "3",
            **settings,
        }
        env = clean_environment(folder, **self.settings)
        if "SMTPWEB_DATABASE_URL" in settings:
            flask(env, "db", "upgrade")
        else:
            migrate(folder, env)
        self.app: Flask = create_app(load(self.settings))
        self.owner = make_person(self.app, "owner", is_admin=True)

    @contextmanager
    def worker(self, name: str = "worker") -> Iterator[Program]:
        """Run a worker; it may be without its database or Redis."""
        command = [sys.executable, "-m", "smtpweb", "worker"]
        env = clean_environment(self.folder, **self.settings)
        with program(command, env=env, log=self.folder / f"{name}.log") as running:
            running.wait_for(lambda: self.count(Worker) > 0)
            yield running

    @contextmanager
    def web(self) -> Iterator[tuple[str, Program]]:
        """Run the web process and yield its URL."""
        with smtpweb_server(self.folder, **self.settings) as served:
            yield served

    def count(self, model: type, *which: object) -> int:
        with self.app.app_context():
            counted = select(func.count()).select_from(model).where(*which)  # type: ignore[arg-type]
            return int(db.session.scalar(counted) or 0)

    def finished(self) -> int:
        return self.count(Check, Check.finished.is_not(None))

    def add_due(self, server: FakeServer, count: int = 1, *, hosts: int = 1) -> None:
        """Add servers that are due now, on the same port of ``hosts`` addresses in turn."""
        with self.app.app_context(), writing() as session:  # a worker may be writing
            app = session.scalar(select(App))
            if app is None:
                app = App(user_id=self.owner.user_id, name="shop", testemail="a@example.com",
                          defaultfromemail="b@example.com")  # fmt: skip
                session.add(app)
                session.flush()
            for number in range(count):
                host = server.host if hosts == 1 else f"127.0.0.{number % hosts + 1}"
                smtp = Smtp(app_id=app.id, host=host, port=server.port)
                session.add(smtp)
                session.flush()
                session.add(
                    Due(smtp_id=smtp.id, user_id=app.user_id, host=host, next_at=now(), attempt=0)
                )

    def close(self) -> None:
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()


def until(condition: Callable[[], bool]) -> None:
    """Wait until this is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)
