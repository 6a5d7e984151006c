"""Pages of the schedule: when the next check comes, off and on, pauses, windows, due now."""

from __future__ import annotations

from datetime import timedelta

from smtpweb.database.models import App, Due, Smtp
from smtpweb.database.session import db, now
from tests.support.browser import Browser, Form, Page, one_database, signed_in
from tests.support.people import Person
from tests.support.worker import next_at_of


def form_with(page: Page, button: str) -> Form:
    forms = [Form(page, form) for form in page.one("main").iter("form")]
    return next(form for form in forms if button in form.buttons)


def press(browser: Browser, page: Page, button: str) -> Page:
    return browser.send(page, form_with(page, button), button)


def off(alice: Person, smtp_id: str) -> bool:
    with alice.app.app_context():
        return db.session.get_one(Smtp, smtp_id).off_since is not None


def test_page_of_a_server_says_when_it_is_checked_next(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    page = browser.get(f"/smtps/{smtp_id}")
    assert "Next check in" in page.text
    assert "No worker is running" in page.text
    alice.post("/private/apps/save", idapp=idapp, checkevery=0)
    assert "No check is scheduled." in browser.get(f"/smtps/{smtp_id}").text


def test_server_is_turned_off_and_on(browser: Browser, alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    page = browser.get(f"/smtps/{smtp_id}")
    form = form_with(page, "Turn off")
    form.fill(note="<b>moving</b>", hours="4")
    page = browser.send(page, form, "Turn off")
    assert off(alice, smtp_id)
    assert "Off since" in page.text and "Turned off by alice" in page.text
    assert "<b>moving</b>" in page.text and "It is enabled again in 4 hours" in page.text
    assert "No active SMTP server" in browser.get(f"/apps/{idapp}").text
    page = press(browser, page, "Enable")
    assert not off(alice, smtp_id)
    assert "is enabled" in page.text


def test_schedule_of_an_app_is_edited_paused_and_resumed(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    page = browser.get(f"/apps/{idapp}/edit")
    form = page.form()
    form.fill(checkevery="15", emailevery="never")
    page = browser.send(page, form, "Save")
    assert "Time between two checks of a server: 15 minutes. No real email is sent." in page.text
    assert next_at_of(alice.app, smtp_id) < now() + timedelta(minutes=16)
    page = press(browser, page, "Pause")
    assert "Paused until" in page.text
    with alice.app.app_context():
        assert db.session.get_one(App, idapp).off_by == alice.user_id
    page = press(browser, page, "End the pause")
    assert "Paused until" not in page.text


def test_schedule_that_the_api_set_is_kept_by_the_form(
    browser: Browser, alice: Person, idapp: str
) -> None:
    alice.post("/private/apps/save", idapp=idapp, checkevery=17)
    page = browser.get(f"/apps/{idapp}/edit")
    browser.send(page, page.form(), "Save")
    with alice.app.app_context():
        assert db.session.get_one(App, idapp).checkevery == 17


def test_windows_are_added_and_removed(browser: Browser, alice: Person, idapp: str) -> None:
    alice.make_smtp(idapp)
    page = browser.get(f"/apps/{idapp}/maintenance")
    form = form_with(page, "Add window")
    form.fill(starts="2099-01-01T02:00", hours="4", repeat="weekly", note="upgrades")
    page = browser.send(page, form, "Add window")
    assert "upgrades" in page.text
    page = press(browser, page, "Remove")
    assert "There are no windows." in page.text
    form = form_with(page, "Add window")
    form.fill(starts="yesterday")
    assert browser.send(page, form, "Add window").status == 422


def test_schedule_is_hidden_from_others(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    page = browser.get(f"/apps/{idapp}/maintenance")
    form = form_with(page, "Add window")
    form.fill(starts="2099-01-01T02:00")
    page = browser.send(page, form, "Add window")
    window = page.html.split("/windows/")[1][:24]
    stranger = signed_in(alice.app, charlie)
    values = stranger.get("/apps/new").form().values
    token = {"csrf_token": values["csrf_token"], "hours": ["1"]}
    for path in (
        f"/smtps/{smtp_id}/disable", f"/smtps/{smtp_id}/enable", f"/apps/{idapp}/pause",
        f"/apps/{idapp}/resume", f"/windows/{window}/remove", "/operation/due",
    ):  # fmt: skip
        assert stranger.post(path, token).status == 404, path
    stranger.get(f"/apps/{idapp}/maintenance", status=404)
    stranger.get("/operation", status=404)
    assert not off(alice, smtp_id)


def test_administrator_makes_everything_due(browser: Browser, alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    with alice.app.app_context():
        db.session.query(Due).update({"next_at": now() + timedelta(hours=1)})
        db.session.commit()
    page = browser.get("/operation")
    assert "No worker has been seen" in page.text
    page = press(browser, page, "Make everything due now")
    assert "1 check is due now." in page.text
    assert next_at_of(alice.app, smtp_id) <= now()


@one_database
def test_hours_that_are_none_are_refused(browser: Browser, alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    token = browser.get("/apps/new").form().values["csrf_token"]
    for path in (f"/smtps/{smtp_id}/disable", f"/apps/{idapp}/pause"):
        for hours in ("x", "0", "-1", "99999999", "1e3"):
            page = browser.post(path, {"csrf_token": token, "hours": [hours]})
            assert "Must be a whole number" in page.text
        page = browser.post(path, {"csrf_token": token, "hours": ["1"], "note": ["a\x00b"]})
        assert "control characters" in page.text
    assert not off(alice, smtp_id)
