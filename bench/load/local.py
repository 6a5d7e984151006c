"""An installation inside the process of the bench, for its CPU time without a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

from flask import Flask
from sqlalchemy import insert

from smtpweb import installation
from smtpweb.app import create_app
from smtpweb.config import MIGRATIONS, Settings
from smtpweb.database import migrations, secret_box
from smtpweb.database.models import App, Smtp, User, new_id
from smtpweb.database.session import db
from smtpweb.mailcheck import EgressPolicy
from tests.support.people import Person, make_person

BATCH = 10_000


def installed(url: str) -> Flask:
    """Return an application whose database at ``url`` is migrated and ready."""
    app = create_app(
        Settings(
            secret_key="0123456789abcdef0123456789abcdef",
            encryption_keys=(secret_box.new_key(),),
            database_url=url,
            check_timeout=5,
            egress=EgressPolicy.parse("127.0.0.0/8", "*"),
            ehlo_name="smtpweb.example",
        )
    )
    with app.app_context():
        migrations.upgrade(MIGRATIONS)
        installation.make_ready()
    return app


def fill(app: Flask, servers: int, *, of_one_owner: int) -> Person:
    """Add SMTP servers, two an app; return the owner of ``of_one_owner`` apps among them."""
    owner = make_person(app, "owner")
    with app.app_context():
        others = [
            User(name=f"u{n}", name_key=f"u{n}", email="u@bench.example", password_hash="x")
            for n in range(100)
        ]
        db.session.add_all(others)
        db.session.commit()
        ids = [other.id for other in others]
        done = 0
        while done < servers // 2:
            count = min(BATCH, servers // 2 - done)
            apps = [
                {
                    "id": new_id(), "name": f"App {number}", "testemail": "a@bench.example",
                    "user_id": owner.user_id if number < of_one_owner else ids[number % 100],
                }
                for number in range(done, done + count)
            ]  # fmt: skip
            db.session.execute(insert(App), apps)
            row = {"host": "smtp.example.net", "port": 587, "judged": True}
            # One server in fifty is disabled
            db.session.execute(
                insert(Smtp),
                [
                    row | {"id": new_id(), "app_id": one["id"], "enabled": number % 50 != 0}
                    for number, one in enumerate(apps * 2)
                ],
            )
            db.session.commit()
            done += count
        if db.engine.dialect.name == "postgresql":
            with db.engine.connect() as connection:  # in autocommit mode until a statement begins
                driver: Any = connection.connection.driver_connection
                driver.execute("VACUUM ANALYZE")
    return owner


def times_of(acts: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, float]]:
    """Return the median (CPU, wall) milliseconds of each act, all of them once a round."""
    for act in acts.values():
        act()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            cpu, wall = time.process_time(), time.perf_counter()
            act()
            found[name].append(
                ((time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000)
            )
    return {
        name: (median(cpu for cpu, _ in times), median(wall for _, wall in times))
        for name, times in found.items()
    }
