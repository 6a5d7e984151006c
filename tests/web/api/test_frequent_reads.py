"""Frequent reads are answered without a Flask request, and exactly as the views answer them."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from smtpweb.accounts import tokens
from smtpweb.database.models import User
from smtpweb.database.prepared import PreparedSelect
from smtpweb.database.session import db
from smtpweb.errors import NotFound
from smtpweb.web.api import frequent_reads
from tests.support.databases import ON_SQLITE
from tests.support.people import Person, Reply, Visitor

FULL: dict[str, Any] = {
    "host": "mail.example.net", "port": 587, "auth": "true", "starttls": "true",
    "username": "ana", "password": "correct horse", "tags": "one,two",
}  # fmt: skip
BY_APP, BY_ID = "/private/smtps/findByApp", "/private/smtps/findById"


@pytest.fixture
def idsmtp(alice: Person, idapp: str) -> str:
    idsmtp: str = alice.make_smtp(idapp, **FULL)["_id"]
    alice.make_smtp(idapp, host="10.0.0.1", port=25)
    return idsmtp


class Both:
    """Asks twice: as it is, and with the views alone."""

    def __init__(self, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
        self.app, self.monkeypatch = app, monkeypatch
        self.dispatched = 0
        dispatch = app.full_dispatch_request

        def count() -> Any:
            self.dispatched += 1
            return dispatch()

        monkeypatch.setattr(app, "full_dispatch_request", count)

    def ask(self, visitor: Visitor, path: str, method: str = "GET", **options: Any) -> Reply:
        """Return the answer; ``dispatched`` is how many requests Flask got for the first one."""
        self.dispatched = 0
        first = visitor.request(method, path, **options)
        dispatched = self.dispatched
        with self.monkeypatch.context() as patch:
            patch.setattr(frequent_reads, "_READS", {})
            second = visitor.request(method, path, **options)
        assert self.dispatched == dispatched + 1
        self.dispatched = dispatched
        assert (first.status, first.data) == (second.status, second.data)
        assert sorted(first.headers) == sorted(second.headers)
        return first


@pytest.fixture
def both(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Both:
    return Both(app, monkeypatch)


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_plain_reads_are_answered_without_a_flask_request(
    both: Both, alice: Person, idapp: str, idsmtp: str, prefix: str, scheme: str
) -> None:
    empty = alice.make_app("empty")["_id"]
    paths = [f"{BY_APP}?idapp={idapp}", f"{BY_APP}?idapp={empty}", f"{BY_ID}?idsmtp={idsmtp}"]
    for visitor in (alice, alice.with_scopes("read")):
        for path in paths:
            options: dict[str, Any] = {"base_url": f"{scheme}://localhost"}
            reply = both.ask(visitor, prefix + path, **options)
            assert (reply.status_code, both.dispatched) == (200, 0)
            options["headers"] = {"If-None-Match": reply.headers["ETag"]}
            assert both.ask(visitor, prefix + path, **options).status_code == 304
            assert both.dispatched == 0
            options["headers"] = {"If-None-Match": 'W/"other", "<'}
            assert both.ask(visitor, prefix + path, **options).status_code == 200


def test_unknown_token_is_answered_without_a_flask_request(
    both: Both, alice: Person, idapp: str, idsmtp: str
) -> None:
    stranger = Visitor(alice.app, "smw_unknown")
    for path in (f"{BY_APP}?idapp={idapp}", f"{BY_ID}?idsmtp={idsmtp}"):
        assert both.ask(stranger, path).status_code == 403
        assert both.dispatched == 0


def test_requests_of_other_kinds_are_left_to_the_views(
    both: Both, alice: Person, charlie: Person, idapp: str, idsmtp: str
) -> None:
    path = f"{BY_APP}?idapp={idapp}"
    asked: list[tuple[int, Visitor, str, str, dict[str, Any]]] = [
        (200, alice, path, "HEAD", {}),
        (405, alice, path, "POST", {}),
        (200, alice, f"{path}&other=1", "GET", {}),
        (200, alice, f"{BY_APP}/?idapp={idapp}", "GET", {}),
        (400, alice, f"{path}&idapp={idsmtp}", "GET", {}),
        (200, alice, f"{BY_APP}?idapp={idapp.upper()}", "GET", {}),
        (400, alice, BY_APP, "GET", {}),
        (406, alice, f"{BY_APP}?idapp={idsmtp}", "GET", {}),
        (406, charlie, path, "GET", {}),
        (406, charlie, f"{BY_ID}?idsmtp={idsmtp}", "GET", {}),
        (401, Visitor(alice.app), path, "GET", {}),
        (401, alice.with_scopes("write"), path, "GET", {}),
        (400, alice, path, "GET", {"headers": {"Host": "a b"}}),
        (200, alice, path, "GET", {"data": b"x"}),
    ]
    for status, visitor, where, method, options in asked:
        reply = both.ask(visitor, where, method, **options)
        assert (reply.status_code, both.dispatched) == (status, 1), (where, method, options)


def test_revoked_token_is_refused(both: Both, alice: Person, idapp: str, idsmtp: str) -> None:
    visitor, path = alice.with_scopes("read"), f"{BY_APP}?idapp={idapp}"
    assert both.ask(visitor, path).status_code == 200
    with alice.app.app_context():
        user = db.session.get_one(User, alice.user_id)
        tokens.revoke_token(user, tokens.personal_tokens(user)[0].id)
    assert both.ask(visitor, path).status_code == 403


@pytest.mark.parametrize(
    "error",
    [OperationalError("SELECT", {}, Exception("locked")), PoolTimeout("no connection is free")],
)
def test_storage_that_fails_is_reported_without_waiting_for_it_again(
    both: Both, alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(PreparedSelect, "rows", fail)
    reply = both.ask(alice, f"{BY_APP}?idapp={idapp}")
    assert (reply.status_code, both.dispatched) == (503, 0)
    assert reply.headers["Retry-After"]


def test_errors_of_other_kinds_are_left_to_the_error_handlers(
    both: Both, alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise NotFound("SMTP")

    monkeypatch.setattr(PreparedSelect, "rows", fail)
    reply = both.ask(alice, f"{BY_APP}?idapp={idapp}")
    assert (reply.status_code, both.dispatched) == (406, 1)


_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA locking_mode = EXCLUSIVE")
connection.execute("BEGIN EXCLUSIVE")
connection.execute("CREATE TABLE locked (number INTEGER)")
print("locked", flush=True)
sys.stdin.read()
"""


@ON_SQLITE
def test_read_of_a_locked_database_waits_once(alice: Person, idapp: str) -> None:
    tries = 0

    def wait_briefly(_dialect: Any, _record: Any, _args: Any, options: dict[str, Any]) -> None:
        nonlocal tries
        tries += 1
        options["timeout"] = 0.05

    with alice.app.app_context():
        engine = db.engine
    engine.dispose()
    with subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(engine.url.database)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        event.listen(engine, "do_connect", wait_briefly)
        try:
            reply = alice.get(BY_APP, idapp=idapp)
            assert (reply.status_code, reply.json["code"], tries) == (503, "STORAGE", 1)
        finally:
            event.remove(engine, "do_connect", wait_briefly)
            other.stdin.close()
    engine.dispose()
    assert alice.get(BY_APP, idapp=idapp).status_code == 200
