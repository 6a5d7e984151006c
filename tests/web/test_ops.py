"""What monitoring systems and load balancers see, with the storage there and with it gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine, text
from werkzeug.test import TestResponse

from smtpweb.app import create_app
from smtpweb.database.models import Check
from smtpweb.database.session import db, now
from tests.conftest import KEY, settings_for
from tests.support.counting import statements
from tests.support.people import Person

OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs")


def ask(app: Flask, path: str, method: str = "GET", **options: Any) -> TestResponse:
    return app.test_client().open(path, method=method, **options)


def figures(app: Flask) -> dict[tuple[str, ...], float]:
    """Every figure by its name and the values of its labels."""
    reply = ask(app, "/metrics")
    assert reply.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


@contextmanager
def storage_gone(tmp_path: Path) -> Iterator[Flask]:
    """An application whose database cannot be opened."""
    app = create_app(settings_for(f"sqlite:///{tmp_path}/nowhere/secret-name.db"))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_answer_without_login_and_set_no_cookie(app: Flask, path: str, method: str) -> None:
    reply = ask(app, path, method)
    assert reply.status_code == 200
    assert "Set-Cookie" not in reply.headers
    assert (reply.data == b"") is (method == "HEAD")


def test_healthy_process_asks_nothing_of_the_database(app: Flask, tmp_path: Path) -> None:
    with statements() as seen:
        assert ask(app, "/healthz").text == "ok\n"
    assert seen == []
    with storage_gone(tmp_path) as lost:
        assert ask(lost, "/healthz").status_code == 200


def test_readyz_is_200_while_the_schema_is_at_head(app: Flask) -> None:
    reply = ask(app, "/readyz")
    assert (reply.status_code, reply.text) == (200, "ok\n")


def test_readyz_is_503_while_the_schema_is_another(app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        head = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    try:
        reply = ask(app, "/readyz")
        assert reply.status_code == 503
        assert f"at revision 0000, this version needs {head}" in reply.text
    finally:
        with app.app_context(), db.engine.begin() as connection:
            connection.execute(
                text("UPDATE alembic_version SET version_num = :head"), {"head": head}
            )
    assert ask(app, "/readyz").status_code == 200


def test_readyz_is_503_while_the_storage_is_gone_and_names_no_place(
    tmp_path: Path,
) -> None:
    with storage_gone(tmp_path) as app:
        reply = ask(app, "/readyz")
    assert reply.status_code == 503
    assert reply.text == "The database cannot be reached right now.\n"


def test_readyz_is_200_at_once_after_the_database_dropped_its_connections(
    postgres_url: str,
) -> None:
    app = create_app(settings_for(postgres_url))
    assert ask(app, "/readyz").status_code == 200  # its connection stays in the pool
    others = create_engine(postgres_url)
    with others.begin() as connection:
        dropped = connection.execute(
            text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).scalar_one()
    others.dispose()
    assert dropped >= 1
    assert ask(app, "/readyz").status_code == 200
    with app.app_context():
        db.engine.dispose()


def test_figures_of_an_empty_installation(app: Flask) -> None:
    assert figures(app) == {
        ("smtpweb_storage_reachable",): 1,
        ("smtpweb_smtps", "enabled"): 0,
        ("smtpweb_smtps", "disabled"): 0,
        ("smtpweb_apps",): 0,
        ("smtpweb_stale_seals",): 0,
    }


def add_checks(app: Flask, smtp_id: str) -> None:
    """Two failed and one accepted lately, one long ago, one under way."""
    moment = now()
    outcomes = [
        (moment - timedelta(hours=1), False, "auth"),
        (moment - timedelta(minutes=10), False, "auth"),
        (moment - timedelta(hours=23), True, "accepted"),
        (moment - timedelta(hours=25), False, "connect"),
        (None, None, None),
    ]
    with app.app_context():
        for finished, accepted, stage in outcomes:
            db.session.add(
                Check(
                    smtp_id=smtp_id, smtp_version=1, started=finished or moment,
                    ends_by=moment, finished=finished, accepted=accepted, stage=stage,
                )
            )  # fmt: skip
        db.session.commit()


def test_figures_count_smtps_apps_and_the_checks_of_a_day(app: Flask, alice: Person) -> None:
    shop = alice.make_app("shop")["_id"]
    alice.make_app("blog")
    smtp = alice.make_smtp(shop)["_id"]
    alice.make_smtp(shop)
    alice.make_smtp(shop)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE smtp SET enabled = false WHERE id = :id"), {"id": smtp})
    add_checks(app, smtp)
    found = figures(app)
    assert 600 <= found.pop(("smtpweb_last_check_age_seconds",)) < 660
    assert found == {
        ("smtpweb_storage_reachable",): 1,
        ("smtpweb_smtps", "enabled"): 2,
        ("smtpweb_smtps", "disabled"): 1,
        ("smtpweb_apps",): 2,
        ("smtpweb_checks_last_day", "failed", "auth"): 2,
        ("smtpweb_checks_last_day", "accepted", "accepted"): 1,
        ("smtpweb_stale_seals",): 0,
    }


def test_figures_take_the_same_few_statements_however_much_there_is(
    app: Flask, alice: Person
) -> None:
    with statements() as empty:
        figures(app)
    shop = alice.make_app("shop")["_id"]
    for _ in range(3):
        add_checks(app, alice.make_smtp(shop)["_id"])
    with statements() as full:
        figures(app)
    assert len(full) == len(empty) <= 5


def test_figures_name_nobody(app: Flask, alice: Person) -> None:
    shop = alice.make_app("private-shop", testemail="someone@secret.example")
    smtp = alice.make_smtp(
        shop["_id"], host="mail.secret.example", username="user1", password="pass-1", auth="true"
    )
    add_checks(app, smtp["_id"])
    shown = ask(app, "/metrics").text
    for private in ("secret.example", "private-shop", "alice", "user1", "pass-1", "v1."):
        assert private not in shown
    for known in (shop["_id"], smtp["_id"], alice.user_id):
        assert known not in shown


def test_secrets_under_an_old_key_are_counted(app: Flask, alice: Person) -> None:
    shop = alice.make_app("shop")["_id"]
    for _ in range(2):
        alice.make_smtp(shop, username="u", password="p")
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    rotated = create_app(settings_for(url, encryption_keys=(Fernet.generate_key().decode(), KEY)))
    assert figures(rotated)[("smtpweb_stale_seals",)] == 3  # two passwords and the canary
    with rotated.app_context():
        db.engine.dispose()


def test_figures_without_a_storage_say_so(tmp_path: Path) -> None:
    with storage_gone(tmp_path) as app:
        assert figures(app) == {("smtpweb_storage_reachable",): 0}


def test_figures_speak_openmetrics_to_who_asks_for_it(app: Flask) -> None:
    plain = ask(app, "/metrics")
    assert plain.content_type.startswith("text/plain; version=")
    asked = ask(app, "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert asked.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert asked.text.endswith("# EOF\n")
