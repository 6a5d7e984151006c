"""A check begun from a page: it goes on by itself, and its stages are shown as they happen."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, update
from sqlalchemy.exc import OperationalError

from smtpweb import mailcheck
from smtpweb.checking import runner
from smtpweb.database.models import Check
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.mailcheck import Outcome, Stage
from tests.support.browser import Browser, Page, one_database, signed_in
from tests.support.counting import connections_in_use, statements
from tests.support.factories import count, make_check, only_check
from tests.support.fake_smtp import FakeServer, Slowly, fake_smtp
from tests.support.guest import Guest
from tests.support.matching import search
from tests.support.people import PASSWORD, Person
from tests.support.serving import database_of, smtpweb_server
from tests.support.threads import until

SLOW = {"EHLO": Slowly(1.2, "250 fake.example.com")}


def register(alice: Person, idapp: str, server: FakeServer) -> str:
    made = alice.make_smtp(idapp, host=server.host, port=server.port)
    return str(made["_id"])


def begin(browser: Browser, smtp_id: str) -> Page:
    return browser.press(browser.get(f"/smtps/{smtp_id}"), f"/smtps/{smtp_id}/check")


def events(chunks: Iterator[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of a stream as they come."""
    text = ""
    for chunk in chunks:
        text += chunk.decode()
        while "\n\n" in text:
            event, _, text = text.partition("\n\n")
            if event.startswith("event: "):
                name, _, data = event.removeprefix("event: ").partition("\ndata: ")
                yield name, json.loads(data)


@contextmanager
def streaming(browser: Browser, path: str) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What is told, while it is told; at its end, to the end."""
    told: list[tuple[str, dict[str, Any]]] = []

    def listen() -> None:
        reply = browser.client.get(path, buffered=False)
        told.extend(events(reply.iter_encoded()))
        reply.close()

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield told
    finally:
        thread.join()


def test_page_comes_at_once_and_fills_in_until_the_result(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(replies=SLOW) as server:
        page = begin(browser, register(alice, idapp, server))
        assert page.heading == "Check in progress"
        assert server.mails == []  # nobody waited for the server
        until(lambda: only_check(alice.app).progress)
        page = browser.get(page.url)
        assert "EHLO The server lists its capabilities running" in page.text
        assert "Greeting The server introduces itself done" in page.text
        assert "MAIL FROM The server accepts the sender not yet" in page.text
        page = browser.result(page)
    assert page.heading == "The server accepted the test email"
    assert "Queue ID: 4FAKE1D" in page.text
    assert only_check(alice.app).applied


def test_result_is_kept_where_nobody_watches(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"MAIL": "550 5.7.1 no"}) as server:
        smtp_id = register(alice, idapp, server)
        begin(browser, smtp_id)
        runner.wait_for_all()
    report = only_check(alice.app).report
    assert report
    assert report.stage == Stage.MAIL
    assert alice.smtp(smtp_id)["status"] == "D"


def test_stream_tells_each_stage_and_ends_with_the_check(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(replies=SLOW) as server:
        page = begin(browser, register(alice, idapp, server))
        reply = browser.client.get(f"{page.url}/progress")
        assert (reply.status_code, reply.mimetype) == (200, "text/event-stream")
        assert reply.headers["X-Accel-Buffering"] == "no"
        assert reply.headers["Cache-Control"] == "no-store"
        *told, last = events(iter([reply.data]))
        assert len(server.mails) == 1
    assert last == ("end", {"said": "The check is done."})
    rungs: dict[str, str] = {}
    for name, data in told:
        assert name == "stages"
        assert data["rungs"], "an event without news"
        rungs |= data["rungs"]
    assert list(rungs) == [stage.value for stage in Stage if stage is not Stage.ACCEPTED]
    assert 'id="stage-mail"' in rungs["mail"]
    assert "done" in rungs["greeting"]
    assert any("running" in str(data["rungs"].get("ehlo")) for _, data in told)
    assert any(data["said"] == "EHLO: The server lists its capabilities" for _, data in told)


def test_stream_holds_no_connection_of_the_database_and_makes_room_at_its_end(
    browser: Browser, alice: Person, idapp: str
) -> None:
    slots = services(alice.app).limits.streams
    with fake_smtp(replies=SLOW) as server:
        page = begin(browser, register(alice, idapp, server))
        with streaming(browser, f"{page.url}/progress") as told:
            until(lambda: told)
            with alice.app.app_context():
                until(lambda: connections_in_use() == 0)
            assert server.mails == []
            assert slots.taken == 1
            while not slots.take("others"):
                pass
            assert slots.taken == 5  # the others have no more than their share either
            while not slots.take(str(slots.taken)):
                pass
            assert slots.taken == services(alice.app).settings.stream_slots == 8
            full = browser.client.get(f"{page.url}/progress")
            assert full.status_code == 503
            assert full.headers["Retry-After"] == "5"
        assert [name for name, _ in told][-1] == "end"
        assert slots.taken == 7
        assert not slots.take("anybody")


def test_streams_of_one_user_leave_room_for_others(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    """Without it, whoever keeps eight pages open blinds the whole worker."""
    elsewhere = charlie.make_app("blog")["_id"]
    stranger = signed_in(alice.app, charlie)
    with alice.app.app_context():
        mine = make_check(alice, idapp, finished=False, ends_in=60).id
        others = make_check(charlie, elsewhere, finished=False, ends_in=60).id
    slots = services(alice.app).limits.streams
    for _ in range(4):
        assert not slots.take(alice.user_id)
    full = browser.client.get(f"/checks/{mine}/progress")
    assert (full.status_code, full.headers["Retry-After"]) == (429, "5")
    reply = stranger.client.get(f"/checks/{others}/progress", buffered=False)
    assert reply.status_code == 200
    reply.close()
    slots.give_back(alice.user_id)
    reply = browser.client.get(f"/checks/{mine}/progress", buffered=False)
    assert reply.status_code == 200
    reply.close()


def test_stream_that_is_left_makes_room_before_the_check_has_ended(
    browser: Browser, alice: Person, idapp: str
) -> None:
    slots = services(alice.app).limits.streams
    with alice.app.app_context():
        check = make_check(alice, idapp, finished=False, ends_in=60)
    reply = browser.client.get(f"/checks/{check.id}/progress", buffered=False)
    assert next(events(reply.iter_encoded()))[0] == "stages"
    assert slots.taken == 1
    reply.close()
    assert slots.taken == 0


def test_stream_of_a_check_that_was_interrupted_or_removed_ends(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        interrupted = make_check(alice, idapp, finished=False, ends_in=-1)
    reply = browser.client.get(f"/checks/{interrupted.id}/progress")
    assert [name for name, _ in events(iter([reply.data]))] == ["stages", "end"]
    with fake_smtp(replies=SLOW) as server:
        smtp_id = register(alice, idapp, server)
        page = begin(browser, smtp_id)
        with streaming(browser, f"{page.url}/progress") as told:
            until(lambda: told)
            assert alice.post("/private/smtps/remove", idsmtp=smtp_id).status_code == 200
        assert [name for name, _ in told][-1] == "end"


@one_database
def test_stream_is_the_owners_alone(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    with alice.app.app_context():
        check = make_check(alice, idapp, finished=False, ends_in=60)
    assert signed_in(alice.app, charlie).get(f"/checks/{check.id}/progress", status=404)


def test_check_by_the_api_writes_no_progress_and_costs_no_more(alice: Person, idapp: str) -> None:
    with fake_smtp(replies=SLOW) as server:
        smtp_id = register(alice, idapp, server)
        with statements() as seen:
            assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
    assert [sent for sent in seen if "progress" in sent and sent.startswith("UPDATE")] == []
    assert len(seen) <= 23, seen  # the first check changes the state, which may raise alarms
    assert only_check(alice.app).progress is None


def test_progress_that_cannot_be_written_does_not_hurt_the_check(
    browser: Browser,
    alice: Person,
    idapp: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full() -> NoReturn:
        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    with fake_smtp(replies=SLOW) as server:
        smtp_id = register(alice, idapp, server)
        monkeypatch.setattr(runner, "writing", full)
        page = browser.result(begin(browser, smtp_id))
    assert page.heading == "The server accepted the test email"
    assert "progress was not written: database or disk is full" in caplog.text


def test_bug_in_a_check_ends_it_gives_the_slot_back_and_is_logged(
    browser: Browser,
    alice: Person,
    idapp: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: object) -> NoReturn:
        raise ZeroDivisionError

    slots = services(alice.app).limits.checks
    before = slots._value
    smtp_id = alice.make_smtp(idapp)["_id"]
    monkeypatch.setattr(mailcheck, "check", broken)
    page = begin(browser, smtp_id)
    runner.wait_for_all()
    assert slots._value == before
    assert "ended by a bug of ours" in caplog.text
    with alice.app.app_context():
        db.session.execute(update(Check).values(ends_by=now()))
        db.session.commit()
    assert browser.get(page.url).heading == "Check interrupted"


def test_progress_of_later_stages_is_void_where_the_conversation_starts_over(
    app: Flask,
) -> None:
    class Told(runner._Background):
        def __init__(self) -> None:
            self._steps = ()

    told = Told()
    for stage, outcome in (
        (Stage.CONNECT, Outcome.DONE),
        (Stage.GREETING, Outcome.DONE),
        (Stage.MAIL, Outcome.UNDER_WAY),
        (Stage.GREETING, Outcome.UNDER_WAY),
    ):
        told._note(mailcheck.Step(stage, outcome))
    assert [(step.stage, step.outcome) for step in told._steps] == [
        (Stage.CONNECT, Outcome.DONE),
        (Stage.GREETING, Outcome.UNDER_WAY),
    ]


def test_checks_begin_only_while_there_is_room(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"EHLO": Slowly(3, "250 fake.example.com")}) as server:
        ids = [register(alice, idapp, server) for _ in range(3)]
        begun = [begin(browser, smtp_id) for smtp_id in ids]
        assert [page.url.split("/")[1] for page in begun] == ["checks", "checks", "smtps"]
        assert "Wait until one of them is done" in begun[-1].text
        for page in begun[:2]:
            assert "Accepted" in browser.result(page).text
    assert count(alice.app, Check) == 2


def test_worker_that_must_stop_lets_its_checks_end(tmp_path: Path) -> None:
    """The request that began it is long over: only the worker itself can wait."""
    with (
        fake_smtp(replies=SLOW) as smtp,
        smtpweb_server(tmp_path, SMTPWEB_EGRESS_ALLOW="127.0.0.0/8", SMTPWEB_EGRESS_PORTS="*") as (
            url,
            served,
        ),
    ):
        guest = Guest(url)
        code = search("enter the code (.*)", served.output)[1]
        typed = {"name": "ana", "email": "ana@example.com", "password": PASSWORD}
        guest.send("/setup", code=code, again=PASSWORD, **typed)
        page = guest.check(guest.register(smtp))
        until(lambda: smtp.heard)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        assert len(smtp.mails) == 1
    engine = create_engine(database_of(tmp_path))
    with engine.connect() as connection:
        rows = connection.execute(select(Check.id, Check.accepted)).all()
    engine.dispose()
    assert rows == [(page.removeprefix("/checks/"), True)]
