"""An installation with many servers that are due, and the SMTP server that plays all of them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import insert

from bench.load.databases import Database, database
from smtpweb.accounts.users import USUAL_EVENTS
from smtpweb.app import create_app
from smtpweb.config import MIGRATIONS, ROOT, Settings
from smtpweb.database import migrations
from smtpweb.database.models import AlarmChannel, App, Due, Smtp, User, new_id
from smtpweb.database.secret_box import new_key
from smtpweb.database.session import db, now
from smtpweb.mailcheck import EgressPolicy
from tests.support.serving import free_port

KEY = new_key()
SECRET_KEY = "0123456789abcdef0123456789abcdef"
CHECK_TIMEOUT = 10  # seconds
FIRST_HOST = (127 << 24) + (1 << 16)  # 127.1.0.0: nobody's
_BATCH = 10_000


def settings_for(url: str) -> Settings:
    """Return the settings of an installation whose servers are all on loopback."""
    return Settings(
        secret_key=SECRET_KEY,
        encryption_keys=(KEY,),
        database_url=url,
        check_timeout=CHECK_TIMEOUT,
        egress=EgressPolicy.parse("127.0.0.0/8", "*"),
        ehlo_name="bench.example",
        queue_file=Path(tempfile.gettempdir()) / "unused-queue.db",
    )


@contextlib.contextmanager
def migrated(kind: str) -> Iterator[tuple[Database, str]]:
    """Provide a database server or folder, and the URL of a migrated database without rows."""
    with database(kind) as place:
        url = place.url("schedule")
        app = create_app(settings_for(url))
        with app.app_context():
            migrations.upgrade(MIGRATIONS)
            db.engine.dispose()
        yield place, url


def fill(app: Flask, count: int, port: int, due_at: Callable[[int], datetime]) -> list[str]:
    """Register servers, each on a host of its own, 100 an app and user; return their ids."""
    ids: list[str] = []
    with app.app_context():
        apps = [_app_of(number) for number in range(max(10, count // 100))]
        db.session.commit()
        for first in range(0, count, _BATCH):
            smtps, dues = [], []
            for number in range(first, min(first + _BATCH, count)):
                app_id, user_id = apps[number * len(apps) // count]
                host = socket.inet_ntoa((FIRST_HOST + number).to_bytes(4, "big"))
                smtp_id = new_id()
                ids.append(smtp_id)
                smtps.append({"id": smtp_id, "app_id": app_id, "host": host, "port": port})
                due = {"smtp_id": smtp_id, "user_id": user_id, "host": host, "attempt": 0}
                dues.append(due | {"next_at": due_at(number)})
            db.session.execute(insert(Smtp), smtps)
            db.session.execute(insert(Due), dues)
            db.session.commit()
        if db.engine.dialect.name == "postgresql":
            with db.engine.connect() as connection:  # in autocommit mode until a statement begins
                driver: Any = connection.connection.driver_connection
                driver.execute("SET statement_timeout = 0")
                driver.execute("VACUUM ANALYZE")
        db.session.remove()
        db.engine.dispose()
    return ids


def fill_due(app: Flask, count: int, port: int) -> datetime:
    """Register servers that are all due; return since when."""
    moment = now()
    fill(app, count, port, lambda _: moment)
    return moment


def _app_of(number: int) -> tuple[str, str]:
    name = f"u{number}"
    user = User(name=name, name_key=name, email=f"{name}@example.com", password_hash="x")
    db.session.add(user)
    db.session.flush()
    app = App(
        user_id=user.id, name="bench", testemail="a@example.com",
        defaultfromemail="b@example.com", emailevery="never",
    )  # fmt: skip
    db.session.add(app)
    db.session.add(AlarmChannel(user_id=user.id, kind="email", events=USUAL_EVENTS))
    db.session.flush()
    return app.id, user.id


@contextlib.contextmanager
def scripted_server(log: Path | None = None) -> Iterator[int]:
    """Run the scripted server in a process of its own; yield its port."""
    port = free_port()
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
