"""Putting the SMTPs of an app into order, as people do it without scripts; and what it changes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from smtpweb.database.models import Check, Smtp
from smtpweb.database.session import db
from tests.support.browser import Browser, Page, one_database
from tests.support.counting import statements
from tests.support.fake_smtp import Slowly, fake_smtp
from tests.support.lists import add_smtp, fill_app, hosts, rows
from tests.support.people import Person
from tests.support.threads import in_background, until


def ids(alice: Person, idapp: str, count: int = 3) -> list[str]:
    """SMTPs with the priorities 0, 1, 2, which also are their names."""
    with alice.app.app_context():
        return [add_smtp(idapp, number) for number in range(count)]


def press(browser: Browser, page: Page, name: str, smtp_id: str) -> Page:
    """One of the buttons "up" and "down" of a row, as a browser sends it."""
    for button in page.all("button"):
        if (button.get("name"), button.get("value")) == (name, smtp_id):
            form = page.form("")
            data = dict(form.values) | {"place": _places(page), name: [smtp_id]}
            return browser.post(button.get("formaction") or "", data)
    raise AssertionError(f"no button {name} at {smtp_id}")


def _places(page: Page) -> list[str]:
    return [field.get("value") or "" for field in page.all("input") if field.get("name") == "place"]


def buttons(page: Page, name: str) -> list[str | None]:
    return [button.get("value") for button in page.all("button") if button.get("name") == name]


def test_smtp_is_moved_up_and_down_by_its_buttons(
    browser: Browser, alice: Person, idapp: str
) -> None:
    first, second, third = ids(alice, idapp)
    page = browser.get(f"/apps/{idapp}/order")
    assert buttons(page, "up") == [second, third]
    assert buttons(page, "down") == [first, second]
    page = press(browser, page, "up", third)
    assert hosts(page) == ["0", "2", "1"]
    assert "2.example.net:587 is now number 2 of 3." in page.text
    page = press(browser, page, "down", first)
    assert hosts(page) == ["2", "0", "1"]
    assert [smtp["host"][0] for smtp in alice.smtps(idapp)] == ["2", "0", "1"]
    assert ["in use" in row for row in rows(page)] == [True, False, False]


def test_page_is_put_into_the_order_that_is_posted(
    browser: Browser, alice: Person, idapp: str
) -> None:
    third = ids(alice, idapp)[2]
    page = browser.get(f"/apps/{idapp}/order")
    one, two, three = _places(page)
    data = {"csrf_token": page.form("").values["csrf_token"], "place": [three, two, one]}
    page = browser.post(f"/apps/{idapp}/order", data | {"moved": [third]})
    assert hosts(page) == ["2", "1", "0"]
    assert "2.example.net:587 is now number 1 of 3." in page.text


def test_move_over_the_edge_of_a_page_leads_to_where_it_is_now(
    browser: Browser, alice: Person, idapp: str
) -> None:
    fill_app(alice, idapp, 201, 0)
    page = browser.get(f"/apps/{idapp}/order?page=2")
    (last,) = buttons(page, "up")
    page = press(browser, page, "up", last or "")
    assert len(hosts(page)) == 200
    assert "200.example.net:25 is now number 200 of 201." in page.text
    assert buttons(page, "down")[-1] == last


@pytest.mark.parametrize("meanwhile", ["edited", "removed", "moved"])
def test_order_seen_too_early_is_refused_and_changes_nothing(
    browser: Browser, alice: Person, idapp: str, meanwhile: str
) -> None:
    first, second, third = ids(alice, idapp)
    page = browser.get(f"/apps/{idapp}/order")
    if meanwhile == "edited":
        alice.make_smtp(idapp, idsmtp=first, priority=7)
    elif meanwhile == "removed":
        alice.post("/private/smtps/remove", idsmtp=first)
    else:
        press(browser, page, "up", second)
    before = [(smtp["_id"], smtp["priority"]) for smtp in alice.smtps(idapp)]
    page = press(browser, page, "up", third)
    assert page.status == 200
    assert "nothing was moved" in page.text
    assert [(smtp["_id"], smtp["priority"]) for smtp in alice.smtps(idapp)] == before


def test_form_opened_before_a_move_names_it(browser: Browser, alice: Person, idapp: str) -> None:
    first, second, _third = ids(alice, idapp)
    forms = {one: browser.get(f"/smtps/{one}/edit") for one in (first, second)}
    press(browser, browser.get(f"/apps/{idapp}/order"), "up", second)
    priorities = {smtp["_id"]: smtp["priority"] for smtp in alice.smtps(idapp)}
    moved = next(one for one, was in ((first, 0), (second, 1)) if priorities[one] != was)
    page = forms[moved]
    page = browser.send(page, page.form().fill(auth=False), "Save without checking")
    assert page.status == 409
    assert f"Stored now: {priorities[moved]}" in page.text


def test_check_that_runs_while_its_smtp_is_moved_still_decides(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(replies={"dot": Slowly(0.5, "554 5.0.0 no")}) as server:
        first = alice.make_smtp(idapp, host=server.host, port=server.port, priority=3)["_id"]
        second = alice.make_smtp(idapp, host=server.host, port=server.port, priority=3)["_id"]
        page = browser.get(f"/apps/{idapp}/order")
        begun = [
            in_background(partial(alice.post, "/private/smtps/check", idsmtp=one))[0]
            for one in (first, second)
        ]
        until(lambda: server.heard.count("DATA") == 2)
        press(browser, page, "up", second)  # one of the two is edited, whichever
        for thread in begun:
            thread.join()
    with alice.app.app_context():
        versions = sorted(smtp.version for smtp in db.session.query(Smtp))
        assert versions == [1, 2]
        for smtp in db.session.query(Smtp):
            assert (smtp.enabled, smtp.numerrors, smtp.judged) == (False, 1, True)
        assert all(check.applied for check in db.session.query(Check))
    assert "changed since" not in browser.get(f"/apps/{idapp}").text


@one_database
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"up": ["x"]},
        {"up": ["f" * 24]},
        {"place": ["x"], "up": ["f" * 24]},
        {"place": ["f" * 24 + ":1"] * 2, "up": ["f" * 24]},
        {"place": ["f" * 24 + ":99999999999"], "up": ["f" * 24]},
        {"place": ["f" * 24 + ":1"], "up": ["f" * 24], "down": ["f" * 24]},
    ],
)
def test_order_that_makes_no_sense_is_refused(
    browser: Browser, alice: Person, idapp: str, data: dict[str, Any]
) -> None:
    ids(alice, idapp)
    page = browser.get(f"/apps/{idapp}/order")
    token = page.form("").values["csrf_token"]
    page = browser.post(f"/apps/{idapp}/order", {"csrf_token": token} | data)
    assert page.status == 400


def test_order_of_thousands_is_written_by_one_statement(
    browser: Browser, alice: Person, idapp: str
) -> None:
    fill_app(alice, idapp, 3000, 0)
    places = [f"{smtp['_id']}:1" for smtp in reversed(alice.smtps(idapp))]
    token = browser.get(f"/apps/{idapp}/order").form("").values["csrf_token"]
    data = {"csrf_token": token, "place": places, "moved": [places[0].partition(":")[0]]}
    with statements() as made:
        page = browser.post(f"/apps/{idapp}/order", data)
    assert page.status == 200
    assert len([sql for sql in made if sql.startswith("UPDATE smtp ")]) == 1
    assert len(made) <= 19  # undoing it is one row
    stored = [f"{smtp['_id']}:1" for smtp in alice.smtps(idapp)]
    assert stored == places
