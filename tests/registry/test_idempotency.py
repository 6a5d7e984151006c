"""A request that creates a thing creates one, however often and wherever it arrives."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from smtpweb.database.models import App, IdempotencyKey, Smtp
from smtpweb.database.session import db
from smtpweb.extensions import services
from smtpweb.registry import idempotency
from tests.support.databases import ON_POSTGRESQL
from tests.support.factories import count
from tests.support.people import Person, Reply, Visitor

CALLS = ["apps", "smtps"]
Send = Callable[..., Reply]


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def send(alice: Person, call: str) -> Send:
    """Send a request to create with a key; gives its answer."""
    given: dict[str, Any] = {"name": "shop"}
    if call == "smtps":
        given = {"idapp": alice.make_app("home")["_id"], "host": "h.example", "port": 25}

    def sender(key: str | None = "key-1", who: Visitor = alice, **changes: Any) -> Reply:
        headers = {} if key is None else {"Idempotency-Key": key}
        path = f"/private/{call}/save"
        return who.request("POST", path, data=given | changes, headers=headers)

    return sender


def created(app: Flask, call: str) -> int:
    return count(app, Smtp) if call == "smtps" else count(app, App)


def test_key_sent_twice_creates_one_and_answers_the_same(
    alice: Person, call: str, send: Send
) -> None:
    first, second = send(), send()
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json == second.json
    assert created(alice.app, call) == 1


def test_key_that_differs_or_is_absent_creates_another(
    alice: Person, call: str, send: Send
) -> None:
    ids = [send(key, name=f"shop {key}").json["_id"] for key in ("key-1", "key-2", None)]
    assert len(set(ids)) == 3


def test_key_with_other_parameters_is_refused(alice: Person, call: str, send: Send) -> None:
    first = send()
    changes = {"name": "other"} if call == "apps" else {"password": "other"}
    reply = send(**changes)
    assert (reply.status_code, reply.json["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert created(alice.app, call) == 1
    assert send().json == first.json


def test_key_belongs_to_its_account(alice: Person, charlie: Person, call: str, send: Send) -> None:
    first = send()
    reply = send(who=charlie)
    if call == "apps":
        assert reply.status_code == 200 and reply.json["_id"] != first.json["_id"]
    else:
        assert reply.json["code"] == "APP_NOT_FOUND"


def test_key_of_a_request_that_failed_is_free(alice: Person, call: str, send: Send) -> None:
    wrong = {"strategy": "BEST"} if call == "apps" else {"auth": "true"}
    assert send(**wrong).status_code == 400
    assert send().status_code == 200
    assert created(alice.app, call) == 1


def test_key_of_a_thing_removed_since_creates_nothing(alice: Person, call: str, send: Send) -> None:
    first = send().json["_id"]
    alice.post(f"/private/{call}/remove", **{f"id{call[:-1]}": first})
    assert send().status_code == 406
    assert created(alice.app, call) == 0


def test_key_is_forgotten_after_a_day(
    alice: Person, call: str, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send(name="one").json["_id"]
    with alice.app.app_context():
        row = db.session.scalars(db.select(IdempotencyKey)).one()
        row.created -= timedelta(days=1, minutes=1)
        db.session.commit()
    assert send(name="two").json["_id"] != first
    assert count(alice.app, IdempotencyKey) == 1


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
def test_key_of_another_form_is_refused_by_name(
    alice: Person, call: str, send: Send, key: str
) -> None:
    reply = send(key.encode().decode("latin-1"))
    assert reply.status_code == 400
    assert reply.json["errors"][0]["parameter"] == "Idempotency-Key"


def test_edit_ignores_the_key(alice: Person) -> None:
    app = alice.make_app("shop")
    for name in ("one", "two"):
        reply = alice.request(
            "POST", "/private/apps/save", data={"idapp": app["_id"], "name": name},
            headers={"Idempotency-Key": "key-1"},
        )  # fmt: skip
        assert reply.json["name"] == name
    assert count(alice.app, IdempotencyKey) == 0


def test_repeated_answer_shows_no_password_to_a_token_without_the_scope(alice: Person) -> None:
    given = {"idapp": alice.make_app()["_id"], "host": "h", "port": 25, "password": "s3cret"}
    headers = {"Idempotency-Key": "key-1"}
    path = "/private/smtps/save"
    first = alice.request("POST", path, data=given, headers=headers)
    assert first.json["password"] == "s3cret"
    second = alice.with_scopes("write").request("POST", path, data=given, headers=headers)
    assert (second.json["_id"], second.json["password"]) == (first.json["_id"], None)
    with alice.app.app_context():
        row = db.session.scalars(db.select(IdempotencyKey)).one()
        assert "s3cret" not in str(vars(row)) and "key-1" not in str(vars(row))


def test_digests_depend_on_the_secret_of_the_installation(alice: Person, send: Send) -> None:
    """Else a password could be guessed from the digest of what was sent with it."""
    with alice.app.app_context():
        one = idempotency._digest("x")
        settings = services(alice.app).settings
        object.__setattr__(settings, "secret_key", "another secret key of this size")
        assert idempotency._digest("x") != one


def test_requests_at_once_create_one(alice: Person, call: str, send: Send) -> None:
    together = Barrier(6)

    def go(_: int) -> Reply:
        together.wait()
        return send()

    with ThreadPoolExecutor(6) as threads:
        replies = list(threads.map(go, range(6)))
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.json["_id"] for reply in replies}) == 1
    assert created(alice.app, call) == 1


@ON_POSTGRESQL
def test_request_waits_for_one_under_way_in_another_process(
    alice: Person, call: str, send: Send
) -> None:
    """PostgreSQL has no writer lock of ours: the unique key alone must keep the second back."""
    begun, go_on, replies = Event(), Event(), []

    def hold_if_claimed(session: Any) -> None:
        if _holds(session) and not begun.is_set():
            begun.set()
            assert go_on.wait(10)

    event.listen(db.session, "before_commit", hold_if_claimed)
    try:
        first = Thread(target=lambda: replies.append(send()))
        first.start()
        assert begun.wait(10)
        second = Thread(target=lambda: replies.append(send()))
        second.start()
        second.join(0.3)
        assert second.is_alive() and not replies
        go_on.set()
        first.join(10)
        second.join(10)
    finally:
        go_on.set()
        event.remove(db.session, "before_commit", hold_if_claimed)
    assert len({reply.json["_id"] for reply in replies}) == 1 and len(replies) == 2
    assert created(alice.app, call) == 1


def _holds(session: Any) -> bool:
    return any(isinstance(row, IdempotencyKey) for row in session.identity_map.values())
