"""Reads never wait for the storage, writes only for seconds; who writes is alone."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select, text, update

from smtpweb import installation
from smtpweb.database import session as sessions
from smtpweb.database.models import ApiToken, BrowserSession, Smtp, User
from smtpweb.database.secret_box import SecretBox, new_key
from smtpweb.database.session import db, fetch, now, writing
from smtpweb.extensions import services
from tests.conftest import KEY
from tests.support.browser import signed_in
from tests.support.databases import ON_POSTGRESQL, ON_SQLITE
from tests.support.people import Person

LATE = 30  # seconds: a request that takes as long waits for something


def in_time(work: Callable[[], Any]) -> Any:
    """What the work gives; fails where it waits."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()), daemon=True)
    thread.start()
    thread.join(LATE)
    assert answers, "it waits"
    return answers[0]


def path_of(app: Flask) -> Path:
    with app.app_context():
        return Path(db.engine.url.database or "")


_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        try:
            yield
        finally:
            other.stdin.close()


def read_by_token_and_by_session(alice: Person) -> Callable[[], tuple[int, str]]:
    """Two reads that want to note that they were made."""
    browser = signed_in(alice.app, alice)
    alice.make_app("shop")
    with alice.app.app_context():
        db.session.execute(update(ApiToken).values(last_used=None))
        db.session.execute(update(BrowserSession).values(seen=now() - timedelta(hours=1)))
        db.session.commit()

    def read() -> tuple[int, str]:
        status = alice.get("/private/apps/findAll", page=0, size=9).status_code
        return status, browser.get("/apps").url

    return read


def noted(app: Flask) -> tuple[bool, bool]:
    with app.app_context():
        [(token,)] = fetch(select(ApiToken.last_used))
        [(session,)] = fetch(select(BrowserSession.seen))
    return token is not None, session > now() - timedelta(minutes=1)


@ON_SQLITE
def test_read_does_not_wait_for_another_process_that_writes(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_by_token_and_by_session(alice)
    monkeypatch.setattr(sessions, "BUSY_SECONDS", 4 * LATE)
    with locked_by_another_process(path_of(alice.app)):
        assert in_time(read) == (200, "/apps")
        assert noted(alice.app) == (False, False)
    assert read() == (200, "/apps")
    assert noted(alice.app) == (True, True)


@ON_SQLITE
def test_read_does_not_wait_for_another_thread_that_writes(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = read_by_token_and_by_session(alice)
    monkeypatch.setattr(sessions, "BUSY_SECONDS", 4 * LATE)
    with sessions._sqlite_writer:
        assert in_time(read) == (200, "/apps")
    assert noted(alice.app) == (False, False)


@ON_POSTGRESQL
def test_read_does_not_wait_for_a_lock_on_its_row(alice: Person) -> None:
    read = read_by_token_and_by_session(alice)
    with alice.app.app_context():
        engine = db.engine
    with engine.connect() as other:
        other.execute(text("SELECT 1 FROM api_token FOR UPDATE"))
        other.execute(text("SELECT 1 FROM browser_session FOR UPDATE"))
        assert in_time(read) == (200, "/apps")
        assert noted(alice.app) == (False, False)
    assert read() == (200, "/apps")
    assert noted(alice.app) == (True, True)


@ON_SQLITE
@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 1"])
def test_read_is_answered_while_the_disk_is_full_or_read_only(alice: Person, pragma: str) -> None:
    read = read_by_token_and_by_session(alice)
    with alice.app.app_context():
        with writing() as session:  # so that even a small change needs more room
            session.execute(text("CREATE TABLE filler (content BLOB)"))
            for table in ("api_token", "browser_session"):
                session.execute(
                    text(
                        f"CREATE TRIGGER fill_{table} AFTER UPDATE ON {table}"
                        " BEGIN INSERT INTO filler VALUES (zeroblob(100000)); END"
                    )
                )
        db.engine.dispose()
        event.listen(db.engine, "connect", lambda c, _: c.execute(f"PRAGMA {pragma}"))
    assert read() == (200, "/apps")
    assert noted(alice.app) == (False, False)
    assert alice.post("/private/apps/save", name="x" * 99).status_code in (200, 503)


@ON_SQLITE
def test_writes_behind_a_lock_all_end_within_ten_seconds(alice: Person) -> None:
    """They queue for the same lock: what one waits must not add to what the next one waits."""
    with locked_by_another_process(path_of(alice.app)):
        replies: list[Any] = []
        names = iter("abcdefgh")
        threads = [
            threading.Thread(
                target=lambda: replies.append(alice.post("/private/apps/save", name=next(names))),
                daemon=True,
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(replies) == 8
    for reply in replies:
        assert (reply.status_code, reply.json["code"]) == (503, "STORAGE")
        assert reply.headers["Retry-After"] == "5"


def test_request_that_writes_twice_ends_within_ten_seconds() -> None:
    assert 2 * sessions.BUSY_SECONDS < 10


@ON_SQLITE
def test_waiting_for_the_other_threads_is_bounded(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "BUSY_SECONDS", 0.2)
    with sessions._sqlite_writer:
        reply = in_time(lambda: alice.post("/private/apps/save", name="shop"))
    assert (reply.status_code, reply.json["code"]) == (503, "STORAGE")
    assert alice.make_app("shop")


@ON_SQLITE
def test_write_waits_for_the_lock_for_what_its_turn_has_left_of_the_time(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "BUSY_SECONDS", 4 * LATE)
    monkeypatch.setattr(sessions, "_sqlite_lock", lambda _seconds: nullcontext(0.1))
    with locked_by_another_process(path_of(alice.app)):
        reply = in_time(lambda: alice.post("/private/apps/save", name="shop"))
    assert (reply.status_code, reply.json["code"]) == (503, "STORAGE")


@ON_SQLITE
def test_time_that_a_write_waited_for_its_turn_is_taken_from_its_wait_for_the_lock(
    inside: None,
) -> None:
    with sessions._sqlite_lock(5) as whole:
        pass
    sessions._sqlite_writer.acquire()
    threading.Timer(0.5, sessions._sqlite_writer.release).start()
    with sessions._sqlite_lock(5) as rest:
        assert rest < whole - 0.4


# --- two processes, two writers ------------------------------------------------------------

_WRITE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("UPDATE user SET email = 'other@example.com'")
except sqlite3.OperationalError as error:
    print(error)
else:
    print("written")
"""


@ON_SQLITE
def test_write_transaction_keeps_other_processes_out_from_its_first_read(
    alice: Person, inside: None
) -> None:
    """What it read would be stale when it writes, and SQLite would refuse that at once."""
    with writing() as session:
        assert session.scalar(select(func.count()).select_from(User)) == 1
        other = [sys.executable, "-c", _WRITE, str(path_of(alice.app))]
        done = subprocess.run(other, capture_output=True, text=True, check=True)
        assert done.stdout == "database is locked\n"
        session.execute(update(User).values(email="ours@example.com"))
    done = subprocess.run(other, capture_output=True, text=True, check=True)
    assert done.stdout == "written\n"


def test_password_that_is_saved_during_a_rotation_of_keys_stays(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment when its row is read and the one when it is replaced."""
    idapp = alice.make_app()["_id"]
    smtp_id = alice.make_smtp(idapp, auth="true", username="shop", password="old")["_id"]
    saved: list[str] = []

    def writing_after_an_edit() -> AbstractContextManager[Any]:
        saved.append(f"new {len(saved)}")
        sealed = SecretBox((KEY,)).seal(smtp_id, saved[-1])
        with writing() as session:
            session.execute(update(Smtp).values(password_sealed=sealed))
        return writing()

    configured = services(alice.app).settings
    keys = (new_key(), KEY)
    rotating = dataclasses.replace(configured, encryption_keys=keys)
    monkeypatch.setattr(services(alice.app), "settings", rotating)
    with alice.app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr(installation, "writing", writing_after_an_edit)
            list(installation.rotate_keys())
        assert saved
        assert alice.smtp(smtp_id)["password"] == saved[-1]
        list(installation.rotate_keys())
        assert installation.count_stale_seals() == 0
    assert alice.smtp(smtp_id)["password"] == saved[-1]
