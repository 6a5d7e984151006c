"""Undo: a deleted app or server for ten minutes, a new order, a copy, a move."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import text

from smtpweb import installation
from smtpweb.database.models import App, Check, Due, Smtp, UndoableAct
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.monitoring import claims
from smtpweb.registry import acts, export_import, smtps
from tests.support.browser import Browser, Page, signed_in, words
from tests.support.databases import on
from tests.support.factories import count, make_check
from tests.support.lists import add_smtp, hosts
from tests.support.people import Person
from tests.support.undoing import delete, token, undo, undo_path

LOGIN = {"auth": "true", "username": "shop", "password": "s3cret"}


def let_time_pass(alice: Person) -> None:
    old = now() - acts.KEPT - timedelta(seconds=1)
    with alice.app.app_context():
        db.session.query(UndoableAct).update({"created": old})
        db.session.query(App).filter(App.removed.is_not(None)).update({"removed": old})
        db.session.commit()


def test_deleted_server_comes_back_as_it_was(browser: Browser, alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN, name="Relay", priority=7)
    with alice.app.app_context():
        make_check(alice, idapp, smtp_id=smtp["_id"])
    page = delete(browser, f"/smtps/{smtp['_id']}")
    assert page.url == f"/apps/{idapp}"
    assert "Relay was deleted." in page.text
    assert alice.smtps(idapp) == []
    assert alice.get("/private/smtps/findById", idsmtp=smtp["_id"]).status_code == 406
    assert browser.get(f"/smtps/{smtp['_id']}", status=404)
    assert len(alice.get("/private/apps/findAll", page=0, size=9).json["content"]) == 1
    page = undo(browser, page)
    assert page.heading == "Relay"
    assert "The SMTP server is back" in page.text
    assert alice.smtp(smtp["_id"]) == smtp  # with its password
    assert count(alice.app, Check) == 1
    assert (count(alice.app, App), count(alice.app, UndoableAct)) == (1, 0)


def test_deleted_app_comes_back_as_it_was(browser: Browser, alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN)
    app = alice.get("/private/apps/findById", idapp=idapp).json
    page = delete(browser, f"/apps/{idapp}")
    assert page.url == "/apps"
    assert "shop was deleted." in page.text
    assert alice.get("/private/apps/findById", idapp=idapp).status_code == 406
    assert alice.get("/private/smtps/findByApp", idapp=idapp).status_code == 406
    assert alice.get("/private/apps/findAll", page=0, size=9).json["content"] == []
    page = undo(browser, page)
    assert page.heading == "shop"
    assert alice.get("/private/apps/findById", idapp=idapp).json == app
    assert alice.smtp(smtp["_id"]) == smtp


def test_deletion_can_be_undone_for_ten_minutes_from_the_list(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, name="Relay")
    delete(browser, f"/smtps/{smtp['_id']}")
    for path in (f"/apps/{idapp}", "/apps"):
        page = browser.get(path)  # the message is gone
        assert "Recently deleted Relay" in page.text
    assert undo(browser, page).heading == "Relay"
    assert "Recently deleted" not in browser.get("/apps").text


@pytest.mark.parametrize("what", ["smtp", "app"])
def test_deletion_is_for_good_after_ten_minutes(
    browser: Browser, alice: Person, idapp: str, what: str
) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN)
    page = delete(browser, f"/smtps/{smtp['_id']}" if what == "smtp" else f"/apps/{idapp}")
    let_time_pass(alice)
    assert "Recently deleted" not in browser.get("/apps").text
    page = undo(browser, page)
    assert "Nothing was undone. An action can be undone for 10 minutes" in page.text
    # The request itself has deleted what had expired
    assert count(alice.app, Smtp) == count(alice.app, UndoableAct) == 0
    assert count(alice.app, App) == (1 if what == "smtp" else 0)


def test_deletion_by_the_api_is_final(browser: Browser, alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp)
    assert alice.post("/private/smtps/remove", idsmtp=smtp["_id"]).status_code == 200
    assert alice.post("/private/apps/remove", idapp=idapp).status_code == 200
    assert count(alice.app, Smtp) == count(alice.app, App) == count(alice.app, UndoableAct) == 0
    assert "Recently deleted" not in browser.get("/apps").text


def test_deleted_servers_are_neither_checked_nor_exported(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, host="gone.example.net")
    delete(browser, f"/smtps/{smtp['_id']}")
    with alice.app.app_context():
        assert smtps.with_owners() == []
        assert "gone.example.net" not in export_import.dump(with_passwords=True)
    assert alice.post("/private/smtps/check", idsmtp=smtp["_id"]).status_code == 406
    assert browser.post(f"/smtps/{smtp['_id']}/check", token(browser)).status == 404


def test_keys_of_deleted_passwords_are_rotated_too(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN)
    delete(browser, f"/smtps/{smtp['_id']}")
    with alice.app.app_context():
        row = db.session.get_one(Smtp, smtp["_id"])
        assert row.password_sealed is not None
        assert installation.secret_box().open(row.id, row.password_sealed) == "s3cret"


def test_restored_app_gets_a_number_if_its_name_was_taken(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = delete(browser, f"/apps/{idapp}")
    alice.make_app("shop")
    assert undo(browser, page).heading == "shop (2)"


def test_restored_server_of_a_deleted_app_is_refused_until_that_is_back(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp)
    first = delete(browser, f"/smtps/{smtp['_id']}")
    second = delete(browser, f"/apps/{idapp}")
    assert "Nothing was undone. There is no app" in undo(browser, first).text
    undo(browser, second)
    assert undo(browser, first).heading == "mail.example.net:25"


def test_act_of_somebody_else_cannot_be_undone(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    page = delete(browser, f"/apps/{idapp}")
    other = signed_in(alice.app, charlie)
    assert "Nothing was undone." in other.post(undo_path(page), token(other)).text
    assert "Recently deleted" not in other.get("/apps").text
    assert undo(browser, page).heading == "shop"
    assert "Nothing was undone." in undo(browser, page).text  # only once


def press(browser: Browser, page: Page, name: str, smtp_id: str) -> Page:
    places = [one.get("value") or "" for one in page.all("input") if one.get("name") == "place"]
    (button,) = [
        one for one in page.all("button") if (one.get("name"), one.get("value")) == (name, smtp_id)
    ]
    sent = page.form("").values | {"place": places, name: [smtp_id]}
    return browser.post(button.get("formaction") or "", sent)


def test_order_is_undone_with_the_priorities_of_before(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        ids = [add_smtp(idapp, number) for number in range(3)]
        db.session.query(Smtp).update({"priority": 5})
        db.session.commit()
    before = hosts(browser.get(f"/apps/{idapp}"))
    page = press(browser, browser.get(f"/apps/{idapp}/order"), "down", ids[0])
    assert hosts(page) != before
    row = page.by_id(f"smtp-{ids[0]}")
    assert words(row).endswith("is now number 2 of 3. Undo")
    page = undo(browser, page)
    assert "The order is as it was before." in page.text
    assert hosts(page) == before
    assert [smtp["priority"] for smtp in alice.smtps(idapp)] == [5, 5, 5]


def test_order_that_was_changed_since_is_not_undone(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with alice.app.app_context():
        ids = [add_smtp(idapp, number) for number in range(3)]
    first = press(browser, browser.get(f"/apps/{idapp}/order"), "down", ids[0])
    second = press(browser, browser.get(f"/apps/{idapp}/order"), "down", ids[0])
    assert "Nothing was undone. These SMTP servers were changed" in undo(browser, first).text
    assert hosts(undo(browser, second)) == ["1", "0", "2"]
    assert count(alice.app, UndoableAct) == 1  # a failed one may succeed later


def test_expired_rows_are_deleted_when_anything_is_written(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp)
    delete(browser, f"/smtps/{smtp['_id']}")
    browser.submit("/apps/new", "Save", name="other")
    assert count(alice.app, Smtp) == 1
    let_time_pass(alice)
    browser.submit("/apps/new", "Save", name="another")
    assert count(alice.app, Smtp) == count(alice.app, UndoableAct) == 0


@on("sqlite", "drops a table, which on PostgreSQL all tests share")
def test_tidying_up_does_not_break_what_was_done(browser: Browser, alice: Person) -> None:
    with alice.app.app_context():
        db.session.execute(text("DROP TABLE undoable_act"))
        db.session.commit()
    assert browser.client.post("/apps/new", data=token(browser)).status_code == 422


def test_undo_does_not_exceed_a_limit(browser: Browser, alice: Person, idapp: str) -> None:
    settings = dataclasses.replace(services(alice.app).settings, max_smtps=1, max_apps=1)
    services(alice.app).settings = settings
    smtp = alice.make_smtp(idapp)
    first = delete(browser, f"/smtps/{smtp['_id']}")
    alice.make_smtp(idapp)
    assert "Nothing was undone. An app can have at most 1" in undo(browser, first).text
    second = delete(browser, f"/apps/{idapp}")
    alice.make_app("other")
    assert "Nothing was undone. An account can have at most 1" in undo(browser, second).text


def press_action(browser: Browser, path: str, action: str, **fields: str) -> Page:
    values = {name: [value] for name, value in fields.items()}
    return browser.post(f"{path}/{action}", token(browser) | values)


def test_server_that_was_turned_off_is_on_again_with_its_state(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp)
    path = f"/smtps/{smtp['_id']}"
    page = press_action(browser, path, "disable", hours="24", note="Moving house")
    assert "is off. No check enables it." in page.text
    assert "off" in alice.smtp(smtp["_id"])
    page = undo(browser, page)
    assert "It is switched as it was before." in page.text
    assert alice.smtp(smtp["_id"]) == smtp
    page = press_action(browser, path, "disable", hours="24", note="Moving house")
    off = alice.smtp(smtp["_id"])["off"]
    page = undo(browser, press_action(browser, path, "enable"))
    assert alice.smtp(smtp["_id"])["off"] == off
    assert alice.smtp(smtp["_id"])["status"] == "D"


def test_switch_that_was_switched_again_is_not_undone(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp)
    path = f"/smtps/{smtp['_id']}"
    first = press_action(browser, path, "disable", hours="", note="")
    press_action(browser, path, "disable", hours="4", note="for longer")
    assert "Nothing was undone. It was switched" in undo(browser, first).text
    assert alice.smtp(smtp["_id"])["off"]["note"] == "for longer"


def test_pause_and_removed_window_come_back(browser: Browser, alice: Person, idapp: str) -> None:
    alice.make_smtp(idapp)
    path = f"/apps/{idapp}"
    page = press_action(browser, path, "pause", hours="24", note="Moving house")
    assert "Moving house" in page.text
    page = undo(browser, page)
    assert "Scheduled checks are as they were before." in page.text
    assert "Moving house" not in page.text
    page = browser.submit(f"{path}/maintenance", note="Every night")
    form = next(one for one in page.all("form") if (one.get("action") or "").endswith("/remove"))
    page = browser.post(form.get("action") or "", token(browser))
    assert "Every night" not in page.text
    page = undo(browser, page)
    assert "The maintenance window is back." in page.text
    assert "Every night" in browser.get(f"{path}/maintenance").text


def test_deleted_servers_are_not_scheduled(browser: Browser, alice: Person, idapp: str) -> None:
    first, second = (alice.make_smtp(idapp, port=port)["_id"] for port in (25, 26))
    page = delete(browser, f"/smtps/{first}")
    assert planned(alice) == {first: False, second: True}
    delete(browser, f"/apps/{idapp}")
    assert planned(alice) == {first: False, second: False}
    with alice.app.app_context():
        db.session.query(Due).update({"next_at": now() - timedelta(hours=1)})
        db.session.commit()
        assert claims.claim("f" * 24, 10) == []
    app = browser.get("/apps")
    undo(browser, app)
    undo(browser, page)
    assert planned(alice) == {first: True, second: True}


def planned(alice: Person) -> dict[str, bool]:
    with alice.app.app_context():
        return {due.smtp_id: due.next_at is not None for due in db.session.query(Due)}
