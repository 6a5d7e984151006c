"""Checking many SMTPs at once from the list, and the page that tells how far that has come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from smtpweb.checking import batches
from smtpweb.database.models import Check, Smtp, StartedWork
from smtpweb.database.session import db, now
from tests.support.browser import Browser, Page, one_database, signed_in
from tests.support.counting import statements
from tests.support.factories import use_share
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.lists import add_check, fill_app, rows
from tests.support.people import Person
from tests.support.worker import work


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
    """What the page says once a worker has done what is queued."""
    page = browser.get(path)
    assert "data-going-on" in page.html
    assert page.root.find(".//meta[@http-equiv='refresh']") is not None
    work(browser.app)
    page = browser.get(path)
    assert "data-going-on" not in page.html
    assert "http-equiv" not in page.html
    return page


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


def queued(alice: Person) -> list[Check]:
    with alice.app.app_context():
        return list(db.session.query(Check).filter(Check.queued.is_not(None)))


def test_limit_delays_a_batch_and_never_stops_it(
    browser: Browser, alice: Person, idapp: str
) -> None:
    """Nobody asks for it: the page is not even open."""
    with fake_smtp() as server:
        add_served(alice, idapp, *[server] * 4)
        page = begin(browser, browser.get(f"/apps/{idapp}"), "Check all 4")
        with alice.app.app_context():
            use_share(alice, 28)
        assert work(alice.app) == 2
        page = browser.get(page.address)
        assert "data-going-on" in page.html
        assert (
            "You have reached your limit of checks for now. The rest continue automatically in"
            in page.text
        )
        assert list(page.form().buttons) == ["Stop"]
        assert len(queued(alice)) == 2
        with alice.app.app_context():
            db.session.query(StartedWork).delete()
            db.session.commit()
        assert work(alice.app) == 2
        page = browser.get(page.address)
    assert "4 of 4 checked: 4 accepted, 0 failed." in page.text
    assert server.connections == 4  # none of them twice


def test_batch_can_be_stopped_while_it_waits_and_gone_on_with(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        add_served(alice, idapp, server, server)
        page = begin(browser, browser.get(f"/apps/{idapp}"), "Check all 2")
        assert "No worker is running" in page.text
        page = browser.send(page, page.form(), "Stop")
        assert "Checks that are already running will finish." in page.text
        assert "0 of 2 checked: 0 accepted, 0 failed. The rest were not checked" in page.text
        assert work(alice.app) == 0
        page = browser.send(page, page.form(), "Check the remaining 2")
        page = until_ended(browser, page.address)
    assert "2 of 2 checked: 2 accepted, 0 failed." in page.text


def test_batch_is_known_by_its_address_and_counts_what_was_checked_since(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        first, second = add_served(alice, idapp, server, server)
        with alice.app.app_context():
            add_check(first, 1, accepted=True, user_id=alice.user_id)
        since = (now() - timedelta(minutes=2)).replace(microsecond=0)
        path = f"/apps/{idapp}/checks?since={int(since.timestamp())}"
        page = browser.get(path)
        assert "data-going-on" not in page.html
        assert "1 of 2 checked: 1 accepted, 0 failed. The rest were not checked" in page.text
        page = browser.send(page, page.form(), "Check the remaining one")
        page = until_ended(browser, path)
        assert "2 of 2 checked: 2 accepted, 0 failed." in page.text
        page = browser.get(f"{path}&smtp={first}")
        assert "1 of 1 checked: 1 accepted, 0 failed." in page.text
        assert second not in page.html
        assert server.connections == 1


def test_server_is_queued_once_however_often_it_is_asked_for(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        add_served(alice, idapp, server, server)
        page = browser.get(f"/apps/{idapp}")
        begin(browser, page, "Check all 2")
        begin(browser, page, "Check all 2")
        assert len(queued(alice)) == 2
        work(alice.app)
    assert server.connections == 2


def test_queued_check_has_a_page_that_says_so(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        add_served(alice, idapp, server, server)
        begin(browser, browser.get(f"/apps/{idapp}"), "Check all 2")
        (check, _other) = queued(alice)
        page = browser.get(f"/checks/{check.id}")
        assert page.heading == "Check queued"
        assert "a worker will carry it out in turn" in page.text
        work(alice.app)
        assert "accepted" in browser.get(f"/checks/{check.id}").heading


def test_batch_needs_a_selection(browser: Browser, alice: Person, idapp: str) -> None:
    alice.make_smtp(idapp)
    alice.make_smtp(idapp)
    page = browser.get(f"/apps/{idapp}")
    assert "Select at least one" in begin(browser, page, "Check selected").text
    assert queued(alice) == []


def test_server_whose_password_cannot_be_read_says_so(
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
    assert "2 of 2 checked: 1 accepted, 0 failed, 1 without a result." in page.text
    assert "cannot be read" in page.text


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
    assert count() == few <= 16
