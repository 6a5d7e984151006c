"""Checking many SMTPs at once from the list, and the page that tells how far that has come."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from smtpweb.checking import batches, runner
from smtpweb.database.models import Check, CheckQueue, Smtp
from smtpweb.database.session import db, now
from smtpweb.errors import Busy, TooMany
from tests.support.browser import Browser, Page, one_database, signed_in
from tests.support.counting import statements
from tests.support.fake_smtp import FakeServer, Slowly, fake_smtp
from tests.support.guest import Guest
from tests.support.lists import add_check, add_smtp, fill_app, rows
from tests.support.matching import search
from tests.support.people import PASSWORD, Person
from tests.support.serving import smtpweb_server
from tests.support.threads import until


def add_served(alice: Person, idapp: str, *servers: FakeServer) -> list[str]:
    """An SMTP of the app for each server."""
    return [
        alice.make_smtp(idapp, host=server.host, port=server.port, priority=number)["_id"]
        for number, server in enumerate(servers)
    ]


def begin(browser: Browser, page: Page, button: str, smtp: list[str] | None = None) -> Page:
    """Tick these boxes of the list, and press a button above it."""
    form = page.form("")
    form.fill(smtp=smtp or [])
    data = dict(form.values)
    if form.buttons[button]:
        name, value = form.buttons[button] or ("", "")
        data[name] = [value]
    return browser.post(f"{page.url}/checks", data)


def until_ended(browser: Browser, path: str) -> Page:
    """What the page says once it does not look again by itself."""
    until = time.monotonic() + 20
    while True:
        page = browser.get(path)
        if "data-going-on" not in page.html:
            assert "http-equiv" not in page.html
            return page
        assert page.root.find(".//meta[@http-equiv='refresh']") is not None
        assert time.monotonic() < until, page.text
        time.sleep(0.05)


def test_batch_checks_the_selected_smtps_one_after_the_other(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as good, fake_smtp(replies={"MAIL": "550 5.7.1 no"}) as bad, fake_smtp() as no:
        first, second, third = add_served(alice, idapp, good, bad, no)
        page = begin(browser, browser.get(f"/apps/{idapp}"), "Check selected", [first, second])
        assert page.heading == "Checks of shop"
        page = until_ended(browser, page.address)
        assert "2 of 2 checked: 1 accepted, 1 failed." in page.text
        bar = page.one("progress")
        assert (bar.get("value"), bar.get("max")) == ("2", "2")
        assert "Accepted" in rows(page)[0]
        assert "Failed" in rows(page)[1]
        assert "at MAIL FROM" in rows(page)[1]
        assert (good.connections, bad.connections, no.connections) == (1, 1, 0)
        with alice.app.app_context():
            begun = [check.started for check in db.session.query(Check).order_by(Check.started)]
            ended = [check.finished for check in db.session.query(Check).order_by(Check.started)]
            assert ended[0]
            assert begun[1] >= ended[0]
            assert db.session.get_one(Smtp, third).judged is False


def test_servers_never_tried_are_not_counted_as_failed(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as good:
        add_served(alice, idapp, good)
        alice.make_smtp(idapp, host="169.254.169.254", port=25)
        page = begin(browser, browser.get(f"/apps/{idapp}"), "Check all 2")
        page = until_ended(browser, page.address)
    assert "2 of 2 checked: 1 accepted, 0 failed, 1 without a result." in page.text


def queue_row(alice: Person, idapp: str, since: datetime, **values: Any) -> None:
    """A row as a process leaves it that carries out the check of all servers of the app."""
    given = {"owner": "f" * 24, "smtp_ids": [], "alive_until": now() + timedelta(minutes=1)}
    with alice.app.app_context():
        db.session.add(
            CheckQueue(user_id=alice.user_id, app_id=idapp, since=since, **given | values)
        )
        db.session.commit()


def queued(alice: Person) -> list[CheckQueue]:
    with alice.app.app_context():
        return list(db.session.query(CheckQueue))


@pytest.mark.parametrize("refusal", [TooMany("At most 2.", 1), Busy("No room.", 1)])
def test_limit_delays_a_batch_and_never_stops_it(
    browser: Browser,
    alice: Person,
    idapp: str,
    monkeypatch: pytest.MonkeyPatch,
    refusal: TooMany | Busy,
) -> None:
    """Nobody asks for it: the page is not even open."""
    begun = runner.start
    attempts = []

    def limited(*args: Any) -> str:
        attempts.append(args)
        if len(attempts) % 2 == 0:
            raise refusal
        return begun(*args)

    monkeypatch.setattr(runner, "start", limited)
    with fake_smtp() as server:
        add_served(alice, idapp, *[server] * 4)
        page = begin(browser, browser.get(f"/apps/{idapp}"), "Check all 4")
        until(lambda: not queued(alice))
        page = browser.get(page.address)
    assert "4 of 4 checked: 4 accepted, 0 failed." in page.text
    assert server.connections == 4  # none of them twice
    assert len(attempts) == 7


def test_page_says_when_a_delayed_batch_goes_on(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        add_smtp(idapp, 1)
    since = now().replace(microsecond=0)
    queue_row(alice, idapp, since, waits_until=now() + timedelta(seconds=479))
    page = browser.get(f"/apps/{idapp}/checks?since={int(since.timestamp())}")
    assert "data-going-on" in page.html
    assert "The rest continue automatically in 8 minutes;" in page.text
    assert "queued" in page.text
    assert list(page.form().buttons) == ["Stop"]


def test_batch_can_be_stopped_while_it_waits_and_gone_on_with(
    browser: Browser, alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = runner.start

    def limited(*_: Any) -> str:
        raise TooMany("At most 1.", 600)

    monkeypatch.setattr(runner, "start", limited)
    with fake_smtp() as server:
        add_served(alice, idapp, server, server)
        page = begin(browser, browser.get(f"/apps/{idapp}"), "Check all 2")
        until(lambda: queued(alice)[0].waits_until is not None)
        page = browser.send(page, page.form(), "Stop")
        assert "Checks that are already running will finish." in page.text
        assert "0 of 2 checked: 0 accepted, 0 failed. The rest were not checked" in page.text
        monkeypatch.setattr(runner, "start", begun)
        page = browser.send(page, page.form(), "Check the remaining 2")
        page = until_ended(browser, page.address)
    assert "2 of 2 checked: 2 accepted, 0 failed." in page.text


def test_batch_is_shown_and_taken_over_by_another_process(
    browser: Browser, alice: Person, idapp: str
) -> None:
    """All is in the rows and in the address: nothing of this batch is in memory."""
    with fake_smtp() as server:
        first, second = add_served(alice, idapp, server, server)
        with alice.app.app_context():
            add_check(first, 1, accepted=True, user_id=alice.user_id)
        since = (now() - timedelta(minutes=2)).replace(microsecond=0)
        path = f"/apps/{idapp}/checks?since={int(since.timestamp())}"
        page = browser.get(path)  # nobody carries it out
        assert "data-going-on" not in page.html
        assert "1 of 2 checked: 1 accepted, 0 failed. The rest were not checked" in page.text
        assert "Check the remaining one" in page.form().buttons
        queue_row(alice, idapp, since)
        page = browser.get(path)  # another process does
        assert "data-going-on" in page.html
        assert "queued" in page.text
        page = browser.get(f"{path}&smtp={first}")
        assert "1 of 1 checked: 1 accepted, 0 failed." in page.text
        assert second not in page.html
        assert server.connections == 0
        with alice.app.app_context():
            db.session.query(CheckQueue).update({"alive_until": now()})
            db.session.commit()
        page = until_ended(browser, path)  # it has ended: who looks at the page goes on
        assert "2 of 2 checked: 2 accepted, 0 failed." in page.text
        assert server.connections == 1
        until(lambda: not queued(alice))


def test_batch_runs_one_at_a_time_and_needs_a_selection(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        add_served(alice, idapp, server, server)
        page = browser.get(f"/apps/{idapp}")
        assert "Select at least one" in begin(browser, page, "Check selected").text
        elsewhere = alice.make_app("blog")["_id"]
        since = now().replace(microsecond=0) - timedelta(minutes=1)
        queue_row(alice, elsewhere, since)
        page = begin(browser, page, "Check all 2")
        assert "Wait until they are done" in page.text
        assert page.heading == "Checks of blog"
        assert server.connections == 0


def test_server_whose_password_cannot_be_read_is_left_out(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        first, _second = add_served(alice, idapp, server, server)
        with alice.app.app_context():
            smtp = db.session.get_one(Smtp, first)
            smtp.auth, smtp.username, smtp.password_sealed = True, "a@example.com", "v1.x.y"
            db.session.commit()
        page = begin(browser, browser.get(f"/apps/{idapp}"), "Check all 2")
        page = until_ended(browser, page.address)
    assert "1 of 2 checked: 1 accepted, 0 failed. The rest were not checked" in page.text


@one_database
@pytest.mark.parametrize(
    "query",
    ["since=x", "since=-1", "smtp=x", "&".join(f"smtp={n:024x}" for n in range(51))],
)
def test_batch_requests_that_make_no_sense_are_refused(
    browser: Browser, idapp: str, query: str
) -> None:
    assert browser.get(f"/apps/{idapp}/checks?{query}", status=400).heading


def test_batch_is_begun_and_seen_by_its_owner_alone(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        (smtp_id,) = add_served(alice, idapp, server)
        stranger = signed_in(alice.app, charlie)
        token = stranger.get("/apps/new").form().values["csrf_token"]
        stranger.get(f"/apps/{idapp}/checks?smtp={smtp_id}", status=404)
        assert stranger.post(f"/apps/{idapp}/checks/stop", {"csrf_token": token}).status == 404
        data: dict[str, Any] = {"csrf_token": token, "all": ["1"]}
        assert stranger.post(f"/apps/{idapp}/checks", data).status == 404
        # Nor by way of an app of one's own.
        mine = charlie.make_app("mine")["_id"]
        page = stranger.post(f"/apps/{mine}/checks", {"csrf_token": token, "smtp": [smtp_id]})
        assert "There is no SMTP server to check" in page.text
        assert server.connections == 0


def test_worker_that_must_stop_begins_no_more_checks(tmp_path: Path) -> None:
    """Not even while it waits for others to end: a check that is too late would be killed."""
    slowly = {"EHLO": Slowly(2.5, "250 slow.example.com")}
    settings = {
        "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
        "SMTPWEB_EGRESS_PORTS": "*",
        "GUNICORN_CMD_ARGS": "--workers 1",
    }
    with (
        fake_smtp(replies={"EHLO": Slowly(0.3, "250 quick.example.com")}) as quick,
        fake_smtp(replies=slowly) as slow,
        smtpweb_server(tmp_path, **settings) as (url, served),
    ):
        guest = Guest(url)
        code = search("enter the code (.*)", served.output)[1]
        typed = {"name": "ana", "email": "ana@example.com", "password": PASSWORD}
        guest.send("/setup", code=code, again=PASSWORD, **typed)
        smtp_id = guest.register(slow)
        app = search("/apps/[0-9a-f]{24}", guest.get(f"/smtps/{smtp_id}"))[0]
        for _number in range(9):
            guest.send(
                f"{app}/smtps/new", host=quick.host, port=str(quick.port), encryption="none",
                priority="20", save="1",
            )  # fmt: skip
        guest.check(smtp_id)
        guest.send(app, f"{app}/checks", all="1")
        until(lambda: len(quick.mails) == 1)
        begun = quick.connections
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
        assert len(slow.mails) == 1
        assert quick.connections == len(quick.mails) <= begun + 2  # while the signal was under way


def test_batch_of_a_large_app_takes_as_many_statements(
    browser: Browser, alice: Person, idapp: str
) -> None:
    def count() -> int:
        with statements() as seen:
            page = browser.get(f"/apps/{idapp}/checks?since={int(now().timestamp())}")
        assert f"and {10_000 + 5 - batches.SHOWN} more" in page.text or len(rows(page)) == 5
        return len(seen)

    fill_app(alice, idapp, 5, 0)
    few = count()
    fill_app(alice, idapp, 10_000, 0)
    assert count() == few <= 15
