"""What monitoring systems and load balancers see, with the storage there and with it gone."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from smtpweb.checking import tally
from smtpweb.database.models import Check, Due, Incident, Smtp, Tally, Worker
from smtpweb.database.session import db, now, writing
from smtpweb.extensions import services
from smtpweb.registry.states import smtp_state
from tests.conftest import KEY, settings_for
from tests.support.counting import statements
from tests.support.fake_smtp import fake_smtp
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


STATES = ("active", "degraded", "off", "disabled", "unchecked", "uncheckable")
EMPTY: dict[tuple[str, ...], float] = {
    ("smtpweb_storage_reachable",): 1,
    **{("smtpweb_smtps", state): 0 for state in STATES},
    ("smtpweb_apps",): 0,
    **{("smtpweb_certificates", days): 0 for days in ("0", "1", "7", "21")},
    ("smtpweb_queued_checks",): 0,
    ("smtpweb_due_checks",): 0,
    ("smtpweb_due_lag_seconds",): 0,
    ("smtpweb_workers",): 0,
    ("smtpweb_incidents",): 0,
    ("smtpweb_stale_seals",): 0,
}


def test_figures_of_an_empty_installation(app: Flask) -> None:
    assert figures(app) == EMPTY


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


def test_figures_count_what_is_registered_whoever_changes_it(app: Flask, alice: Person) -> None:
    shop = alice.make_app("shop")["_id"]
    blog = alice.make_app("blog")["_id"]
    smtp = alice.make_smtp(shop)["_id"]
    for _ in range(2):
        alice.make_smtp(shop)
    alice.make_smtp(blog)
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("UPDATE smtp SET enabled = false WHERE id = :id"), {"id": smtp})
    alice.post("/private/apps/remove", idapp=blog)  # takes its server along
    add_checks(app, smtp)
    found = figures(app)
    assert 600 <= found.pop(("smtpweb_last_check_age_seconds",)) < 660
    found = {name: value for name, value in found.items() if "due" not in name[0]}
    expected = EMPTY | {
        ("smtpweb_smtps", "unchecked"): 2,
        ("smtpweb_smtps", "disabled"): 1,
        ("smtpweb_apps",): 1,
    }
    assert found == {name: value for name, value in expected.items() if "due" not in name[0]}


@pytest.mark.parametrize("numbers", [range(32)])
def test_counters_know_every_state_as_the_registry_does(
    app: Flask, alice: Person, numbers: range
) -> None:
    idapp = alice.make_app("shop")["_id"]
    expected: Counter[str] = Counter()
    with app.app_context():
        for number in numbers:
            smtp = Smtp(app_id=idapp, host="a.example", port=25)
            db.session.add(smtp)
            db.session.commit()
            smtp.enabled, smtp.judged = bool(number & 1), bool(number & 2)
            smtp.uncheckable = "SMTP_X" if number & 4 else None
            smtp.degraded_since = now() if number & 8 else None
            smtp.off_since = now() if number & 16 else None
            db.session.commit()
            expected[smtp_state(smtp).value] += 1
    found = figures(app)
    assert {state: found["smtpweb_smtps", state] for state in STATES} == {
        state: expected[state] for state in STATES
    }


def test_figures_count_checks_and_their_stages_for_ever(app: Flask, alice: Person) -> None:
    with fake_smtp(login=("u", "p")) as server:
        idapp = alice.make_app("shop", testemail="t@example.com")["_id"]
        smtp = alice.make_smtp(
            idapp, host="127.0.0.1", port=server.port, defaultfromemail="a@example.com",
            auth="true", username="u", password="p",
        )  # fmt: skip
        for _ in range(2):
            alice.post("/private/smtps/check", idsmtp=smtp["_id"])
        server.knobs["replies"] = {"AUTH": "535 5.7.8 no"}
        alice.post("/private/smtps/check", idsmtp=smtp["_id"])
    found = figures(app)
    alice.post("/private/apps/remove", idapp=idapp)  # counters never go back
    tally_rows(app, compact=True)
    for shown in (found, figures(app)):
        checks = {name[1:]: value for name, value in shown.items() if "checks_total" in name[0]}
        assert checks == {
            ("SMTP_ACCEPTED", "hand", "accepted", "accepted"): 2,
            ("SMTP_AUTH_WRONG_CREDENTIALS", "hand", "failed", "auth"): 1,
        }
        assert shown["smtpweb_stage_seconds_count", "auth"] == 3
        assert 0 < shown["smtpweb_stage_seconds_sum", "total"] < 60


def tally_rows(app: Flask, *, compact: bool = False) -> int:
    with app.app_context(), pytest.MonkeyPatch.context() as patch:
        if compact:
            patch.setattr(tally, "MOST", 0)
            tally.compact()
        return db.session.query(Tally).count()


def test_counters_are_summed_up_without_a_change(app: Flask, alice: Person) -> None:
    shop = alice.make_app("shop")["_id"]
    for _ in range(5):
        alice.make_smtp(shop)
    before = figures(app)
    assert tally_rows(app) > 3
    assert tally_rows(app, compact=True) <= 3
    after = figures(app)
    for shown in (before, after):
        shown.pop(("smtpweb_due_lag_seconds",))
    assert after == before


def test_counters_are_summed_up_in_portions(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "PORTION", 10)
    with app.app_context():
        for number in range(95):
            with writing():
                tally.add("checks", f"of {number % 3}")
        before = tally.read()
        with statements() as seen:
            assert tally_rows(app, compact=True) < 30  # three for each portion
        assert len([one for one in seen if one.startswith("DELETE")]) == 10
        assert tally.read() == before
        assert sum(before.values()) == 95


def test_counters_are_summed_up_by_several_workers_without_a_change(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "MOST", 0)
    monkeypatch.setattr(tally, "PORTION", 10)
    with app.app_context():
        for number in range(60):
            with writing():
                tally.add("checks", f"of {number % 3}")

    def compact(_: int) -> None:
        with app.app_context():
            tally.compact()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(compact, range(8)))
    with app.app_context():
        assert sum(tally.read().values()) == 60


def count_and_fail() -> None:
    with writing():
        tally.add("checks", "x")
        _ = 1 / 0


def test_transaction_that_fails_counts_nothing(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(ZeroDivisionError):
            count_and_fail()
        with writing():
            tally.add("deliveries", tally.label("email", "sent"), 2)
    found = figures(app)
    assert found["smtpweb_deliveries_total", "email", "sent"] == 2
    assert not any("checks_total" in name[0] for name in found)


def test_figures_tell_the_queue_the_lag_workers_and_certificates(app: Flask, alice: Person) -> None:
    smtp_id = alice.make_smtp(alice.make_app("shop")["_id"])["_id"]
    moment = now()
    with app.app_context():
        db.session.get_one(Smtp, smtp_id).certificate_expires = moment + timedelta(days=5)
        due = db.session.get(Due, smtp_id) or Due(smtp_id=smtp_id, attempt=0, host="a")
        due.user_id, due.next_at = alice.user_id, moment - timedelta(seconds=90)
        db.session.add(due)
        db.session.add(
            Check(smtp_id=smtp_id, smtp_version=1, ends_by=moment, kind="bulk",
                  queued=moment - timedelta(seconds=30))
        )  # fmt: skip
        db.session.add(Worker(name="a:1", version="1", seen=moment, started=moment))
        db.session.add(Worker(name="b:2", version="1", seen=moment - timedelta(hours=1)))
        db.session.add(Incident(cause="SMTP_RESOLVE_SILENT"))
        db.session.commit()
    found = figures(app)
    assert found["smtpweb_queued_checks",] == 1
    assert 30 <= found["smtpweb_oldest_queued_seconds",] < 60
    assert found["smtpweb_due_checks",] == 1
    assert 90 <= found["smtpweb_due_lag_seconds",] < 120
    assert found["smtpweb_workers",] == 1
    assert found["smtpweb_worker_heartbeat_age_seconds",] < 30
    assert found["smtpweb_incidents",] == 1
    assert found["smtpweb_certificates", "7"] == found["smtpweb_certificates", "21"] == 1
    assert found["smtpweb_certificates", "1"] == 0
    assert 4.9 < found["smtpweb_certificate_days_least",] <= 5


def test_metrics_count_no_servers(app: Flask, alice: Person) -> None:
    """What is read of a table is a counter, or is looked up in an index and cut at a limit."""
    with statements() as seen:
        figures(app)
    for statement in seen:
        plan = plan_of(app, statement)
        assert "SCAN smtp" not in plan or "USING" in plan, plan
        assert "SCAN app" not in plan, plan


def plan_of(app: Flask, statement: str) -> str:
    if app.config["SQLALCHEMY_DATABASE_URI"].startswith("postgresql") or "tally" in statement:
        return ""
    with app.app_context(), db.engine.connect() as connection:
        given = tuple("2026-01-01" for _ in range(statement.count("?")))
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        return "\n".join(row[-1] for row in rows)


# --- ready -------------------------------------------------------------------------------------


def test_readiness_fails_while_every_worker_is_gone(app: Flask) -> None:
    def seen(minutes: float) -> None:
        with app.app_context():
            moment = now() - timedelta(minutes=minutes)
            db.session.add(Worker(name="a:1", version="1", seen=moment))
            db.session.commit()

    seen(10)
    reply = ask(app, "/readyz")
    assert reply.status_code == 503
    assert "No worker has been seen for 10 minutes" in reply.text
    assert ask(app, "/readyz?only=database").status_code == 200
    assert ask(app, "/readyz?only=worker").status_code == 503
    seen(0)
    assert ask(app, "/readyz").text == "ok\n"


def test_readiness_fails_while_redis_is_configured_and_away(app: Flask, tmp_path: Path) -> None:
    settings = services(app).settings
    away = f"unix://{tmp_path}/secret-place.sock"
    services(app).settings = dataclasses.replace(settings, redis_url=away)
    reply = ask(app, "/readyz")
    assert (reply.status_code, reply.text) == (503, "Redis cannot be reached right now.\n")
    assert ask(app, "/readyz?only=database").status_code == 200


def test_readyz_refuses_an_unknown_part(app: Flask) -> None:
    assert ask(app, "/readyz?only=moon").status_code == 400


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
