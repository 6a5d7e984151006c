"""The database under stress: many writers, a lock, a lost connection, a full disk."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import StatementError

from smtpweb.database import session
from smtpweb.database.models import App, User
from smtpweb.database.session import db, engine_options, fetch, now, writing
from tests.support.browser import signed_in
from tests.support.databases import ON_POSTGRESQL, ON_SQLITE, flushed_commits
from tests.support.people import Person
from tests.support.threads import at_once


def is_sqlite(app: Flask) -> bool:
    return str(app.config["SQLALCHEMY_DATABASE_URI"]).startswith("sqlite")


def test_saves_at_once_are_all_kept(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    replies = at_once(
        32,
        lambda number: (
            alice.post("/private/smtps/save", idapp=idapp, host=f"h{number}", port=25).status_code
        ),
    )
    assert Counter(replies) == {200: 32}
    assert {smtp["host"] for smtp in alice.smtps(idapp)} == {f"h{n}" for n in range(32)}


def test_apps_of_one_name_created_at_once_become_one(alice: Person) -> None:
    replies = at_once(16, lambda _: alice.post("/private/apps/save", name="shop").status_code)
    assert Counter(replies) == {200: 1, 406: 15}


def test_edits_at_once_never_mix(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    smtp = alice.make_smtp(idapp)

    def edit(number: int) -> int:
        return alice.post(
            "/private/smtps/save", idapp=idapp, idsmtp=smtp["_id"], host=f"h{number}",
            port=1000 + number, priority=number, password=f"p{number}",
        ).status_code  # fmt: skip

    assert Counter(at_once(12, edit)) == {200: 12}
    last = alice.smtp(smtp["_id"])
    number = last["priority"]
    assert (last["host"], last["port"], last["password"]) == (
        f"h{number}", 1000 + number, f"p{number}",
    )  # fmt: skip


def test_edits_of_different_parts_at_once_are_both_kept(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    smtp = alice.make_smtp(idapp)
    edit = {"idapp": idapp, "idsmtp": smtp["_id"], "host": smtp["host"], "port": smtp["port"]}
    parts: list[dict[str, Any]] = [{"priority": 3}, {"debug": "true"}, {"defaultfromname": "Shop"}]
    replies = at_once(
        3, lambda n: alice.post("/private/smtps/save", **(edit | parts[n])).status_code
    )
    assert replies == [200] * 3
    last = alice.smtp(smtp["_id"])
    assert (last["priority"], last["debug"], last["defaultfromname"]) == (3, True, "Shop")


def test_reads_go_on_and_writes_answer_503_while_another_program_writes(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_sqlite(alice.app):
        blocker = ("lock_timeout = '300ms'", 'LOCK TABLE "app" IN ACCESS EXCLUSIVE MODE')
    else:
        blocker = ("busy_timeout = 300", "BEGIN EXCLUSIVE")
    shop = alice.make_app()

    with alice.app.app_context():

        def hurry(connection: Any, *_: Any) -> None:
            word = "PRAGMA" if is_sqlite(alice.app) else "SET"
            connection.execute(f"{word} {blocker[0]}")
            connection.commit()

        db.engine.dispose()
        event.listen(db.engine, "connect", hurry)
        if is_sqlite(alice.app):
            other = sqlite3.connect(db.engine.url.database or "", isolation_level=None)
            other.execute(blocker[1])
            reply = alice.post("/private/apps/save", name="two")
            assert alice.get("/private/apps/findById", idapp=shop["_id"]).json == shop
            other.execute("ROLLBACK")
            other.close()
        else:
            with db.engine.connect() as locker:
                locker.execute(text(blocker[1]))
                reply = alice.post("/private/apps/save", name="two")
    assert reply.status_code == 503
    assert (reply.json["code"], reply.headers["Retry-After"]) == ("STORAGE", "5")
    assert alice.make_app("two")["name"] == "two"
    assert alice.get("/private/apps/findAll", page=0, size=9).json["totalElements"] == 2


@ON_SQLITE
def test_writers_wait_only_for_another_writer(
    alice: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = alice.make_app()
    monkeypatch.setattr(session, "_WRITER_PAUSE", "no pause for any other error")
    with app.app_context():
        db.engine.dispose()

        def refuse_writes(connection: Any, *_: Any) -> None:
            connection.execute("PRAGMA query_only = ON")

        event.listen(db.engine, "connect", refuse_writes)
        reply = alice.post("/private/apps/save", name="two")
        event.remove(db.engine, "connect", refuse_writes)
        db.engine.dispose()
    assert (reply.status_code, reply.json["code"]) == (503, "STORAGE")
    assert alice.get("/private/apps/findById", idapp=shop["_id"]).json == shop


@ON_SQLITE
def test_save_waits_until_another_program_has_written(alice: Person, app: Flask) -> None:
    with app.app_context():
        path = db.engine.url.database or ""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ("COMMIT",))
    release.start()
    assert alice.make_app("after")["name"] == "after"
    release.join()
    other.close()


def test_requests_without_a_free_connection_answer_503(
    alice: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = alice.make_app()
    with app.app_context(), ExitStack() as stack:
        monkeypatch.setattr(db.engine.pool, "_timeout", 0.1)
        options = engine_options(app.config["SQLALCHEMY_DATABASE_URI"])
        for _ in range(options["pool_size"] + options["max_overflow"]):
            stack.enter_context(db.engine.connect())
        save = {"idapp": shop["_id"], "host": "mail.example.net", "port": 25}
        replies = [
            alice.post("/private/smtps/save", **save),
            alice.get("/private/smtps/findByApp", idapp=shop["_id"]),
        ]
    for reply in replies:
        assert reply.status_code == 503
        assert (reply.json["code"], reply.headers["Retry-After"]) == ("STORAGE", "5")
    assert alice.smtps(shop["_id"]) == []


@ON_POSTGRESQL
def test_requests_that_the_server_gives_no_connection_answer_503(alice: Person, app: Flask) -> None:
    shop = alice.make_app()
    save = {"idapp": shop["_id"], "host": "mail.example.net", "port": 25}
    with app.app_context():
        url, name = db.engine.url, db.engine.url.database
        db.engine.dispose()
    elsewhere = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with elsewhere.connect() as connection:
        # Like "too many clients", it is refused while connecting
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        try:
            replies = [
                alice.post("/private/smtps/save", **save),
                alice.get("/private/smtps/findByApp", idapp=shop["_id"]),
            ]
        finally:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    elsewhere.dispose()
    for reply in replies:
        assert reply.status_code == 503
        assert (reply.json["code"], reply.headers["Retry-After"]) == ("STORAGE", "5")
    assert alice.post("/private/smtps/save", **save).status_code == 200


@ON_POSTGRESQL
def test_pools_of_two_workers_leave_connections_to_others(app: Flask, database_url: str) -> None:
    options = engine_options(database_url)
    with app.app_context(), db.engine.connect() as connection:
        most = int(connection.execute(text("SHOW max_connections")).scalar_one())
    assert 2 * (options["pool_size"] + options["max_overflow"]) <= most * 2 // 3


def use_connections(app: Flask, count: int) -> None:
    """Leave so many connections in the pool."""
    with app.app_context(), ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(db.engine.connect())


def lose_connections(app: Flask) -> None:
    """Let the server close all connections to this database, as when it restarts."""
    with app.app_context():
        other = create_engine(db.engine.url)
        with other.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        other.dispose()


@ON_POSTGRESQL
@pytest.mark.parametrize("first", ["read", "write", "page"])
def test_lost_connections_cost_a_request_nothing(alice: Person, app: Flask, first: str) -> None:
    """Whatever it does first: nobody sees that the database was restarted."""
    shop = alice.make_app()
    smtp = alice.make_smtp(shop["_id"])
    browser = signed_in(app, alice)
    use_connections(app, 3)
    lose_connections(app)
    if first == "read":
        assert alice.smtps(shop["_id"]) == [smtp]
    elif first == "write":
        assert alice.make_app("after")["name"] == "after"
    else:
        browser.get("/apps")


@ON_POSTGRESQL
def test_connections_that_are_lost_without_a_word_cost_a_read_nothing(
    alice: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a firewall forgets them, or between the look and the statement."""
    smtp = alice.make_smtp(alice.make_app()["_id"])
    use_connections(app, 3)
    lose_connections(app)
    monkeypatch.setattr("smtpweb.database.session._is_readable", lambda _descriptor: False)
    assert alice.smtps(smtp["idapp"]) == [smtp]


@ON_SQLITE
def test_full_disk_is_a_503_and_reads_go_on(alice: Person, app: Flask) -> None:
    idapp = alice.make_app()["_id"]
    with app.app_context():

        def full(connection: Any, *_: Any) -> None:
            connection.execute("PRAGMA max_page_count = 1")

        db.engine.dispose()
        event.listen(db.engine, "connect", full)
    replies = [
        alice.post("/private/smtps/save", idapp=idapp, host="h", port=25, password="x" * 1000)
        for _ in range(20)
    ]
    told = [reply for reply in replies if reply.status_code != 200]
    assert told
    assert {reply.status_code for reply in told} == {503}
    assert "full" in told[0].json["detail"]
    assert len(alice.smtps(idapp)) == len(replies) - len(told)


@ON_SQLITE
def test_sqlite_is_opened_with_its_pragmas(app: Flask, inside: None) -> None:
    db.engine.dispose()  # of the connection that does not wait for the disk
    with flushed_commits(), db.engine.connect() as connection:
        for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1), ("synchronous", 2)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_failed_write_leaves_nothing(app: Flask, inside: None) -> None:
    user = User(name="x", name_key="x", email="x@y.example", password_hash="h")

    def fail() -> None:
        with writing() as session:
            session.add(user)
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert fetch(db.select(User.id)) == []


def test_times_come_back_aware_and_naive_ones_are_refused(app: Flask, inside: None) -> None:
    moment = now()
    with writing() as session:
        session.add(User(name="x", name_key="x", email="e", password_hash="h", created=moment))
    assert fetch(db.select(User.created)) == [(moment,)]
    assert moment.tzinfo is UTC
    with pytest.raises(StatementError):
        fetch(db.select(App.id).where(App.created > datetime(2026, 1, 1)))


def test_new_connection_leaves_the_locks_of_others_in_this_process(tmp_path: Path) -> None:
    """To close a descriptor of a file drops the process's POSIX locks on it: data would be lost."""
    path = tmp_path / "locked.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as first, engine.connect() as _second:
        first.exec_driver_sql("CREATE TABLE x (y)")
        first.commit()
        # Another process that believes itself alone removes the log when it closes
        command = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
            "c.execute('SELECT * FROM x'); c.close()"
        )
        with engine.connect():
            subprocess.run([sys.executable, "-c", command, str(path)], check=True)
        assert path.with_name("locked.db-wal").exists()
    engine.dispose()


@ON_POSTGRESQL
def test_connection_gives_up_on_a_machine_that_is_gone(inside: None) -> None:
    """Its kernel then says nothing: only our own one can end the wait for an answer."""
    with db.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        parameters = driver.info.get_parameters()
    assert int(parameters["tcp_user_timeout"]) <= 30_000  # milliseconds
    idle, interval, count = (
        int(parameters[f"keepalives_{name}"]) for name in ("idle", "interval", "count")
    )
    assert idle + interval * count <= 30
