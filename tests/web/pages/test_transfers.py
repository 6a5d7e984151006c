"""Copy an SMTP server, and move it to another app of the same owner."""

from __future__ import annotations

import dataclasses

import pytest

from smtpweb.database.models import Smtp
from smtpweb.database.session import db
from smtpweb.extensions import services
from tests.support.browser import Browser, Page
from tests.support.factories import count
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.people import Person
from tests.support.undoing import undo

LOGIN = {"auth": "true", "username": "shop", "password": "s3cret"}
STAYS = (
    "host", "port", "username", "password", "auth", "starttls", "sslTls", "debug",
    "defaultfromemail", "defaultfromname", "tags",
)  # fmt: skip


@pytest.fixture
def other(alice: Person) -> str:
    made: str = alice.make_app("blog", testemail="blog@example.org")["_id"]
    return made


def transfer(browser: Browser, smtp_id: str, button: str, app: str, **typed: str) -> Page:
    page = browser.get(f"/smtps/{smtp_id}/transfer")
    return browser.send(page, page.form().fill(app=app, **typed), button)


def registered(alice: Person, idapp: str, smtp: FakeServer) -> str:
    given = LOGIN | {"host": smtp.host, "port": smtp.port, "tags": "EU"}
    made: str = alice.make_smtp(idapp, **given)["_id"]
    return made


def test_copy_has_its_own_seal_and_works(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp(login=("shop", "s3cret")) as server:
        smtp_id = registered(alice, idapp, server)
        page = transfer(browser, smtp_id, "Copy", idapp)
        assert page.heading == f"{server.host}:{server.port} (copy)"
        first, second = alice.smtps(idapp)
        assert second["_id"] != smtp_id
        assert {name: second[name] for name in STAYS} == {name: first[name] for name in STAYS}
        assert second["priority"] == first["priority"] + 1
        with alice.app.app_context():
            sealed = {one.password_sealed for one in db.session.query(Smtp)}
            assert len(sealed) == 2
        assert alice.post("/private/smtps/check", idsmtp=second["_id"]).status_code == 200
        assert "Duplicate" in page.text


def test_copy_into_another_app_keeps_its_name_and_is_not_checked(
    browser: Browser, alice: Person, idapp: str, other: str
) -> None:
    smtp = alice.make_smtp(idapp, name="Relay", tags="EU", priority=3, **LOGIN)
    alice.make_smtp(other, priority=40)
    page = transfer(browser, smtp["_id"], "Copy", other)
    assert page.heading == "Relay"
    assert "Not checked yet" in page.text
    copy = alice.smtps(other)[1]
    assert (copy["name"], copy["priority"], copy["tags"]) == ("Relay", 41, "EU")
    page = transfer(browser, smtp["_id"], "Copy", other, name="Third")
    assert page.heading == "Third"
    page = undo(browser, page)
    assert "The copy was deleted." in page.text
    assert [one.get("name") for one in alice.smtps(other)] == [None, "Relay"]


def test_copy_that_is_sent_twice_is_made_once(browser: Browser, alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN)
    page = browser.get(f"/smtps/{smtp['_id']}/transfer")
    for _ in range(2):
        browser.send(page, page.form(), "Copy")
    assert len(alice.smtps(idapp)) == 2


def test_copy_that_was_changed_is_not_deleted_by_undo(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN)
    page = transfer(browser, smtp["_id"], "Copy", idapp)
    copy = alice.smtps(idapp)[1]
    alice.make_smtp(idapp, idsmtp=copy["_id"], defaultfromname="Ana")
    assert "Nothing was undone. This SMTP server was changed since." in undo(browser, page).text
    assert len(alice.smtps(idapp)) == 2


def test_move_keeps_password_and_checks_and_says_what_does_not_apply(
    browser: Browser, alice: Person, idapp: str, other: str
) -> None:
    with fake_smtp(login=("shop", "s3cret")) as server:
        smtp_id = registered(alice, idapp, server)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        page = transfer(browser, smtp_id, "Move", other)
        assert f"{server.host}:{server.port} was moved to blog." in page.text
        assert "The SMTP server has changed since then. Check it again." in page.text
        assert alice.smtps(idapp) == []
        assert alice.smtp(smtp_id)["password"] == "s3cret"
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        assert [recipients for _, recipients, _ in server.mails] == [
            ["alice@example.com"],
            ["blog@example.org"],
        ]


def test_move_is_undone_with_its_place_and_its_result(
    browser: Browser, alice: Person, idapp: str, other: str
) -> None:
    with fake_smtp(login=("shop", "s3cret")) as server:
        smtp_id = registered(alice, idapp, server)
        alice.post("/private/smtps/check", idsmtp=smtp_id)
        alice.make_smtp(other, priority=40)
        before = alice.smtp(smtp_id)
        page = undo(browser, transfer(browser, smtp_id, "Move", other))
    assert "The SMTP server was moved back." in page.text
    assert "Active" in page.text
    assert "has changed since then" not in page.text
    after = alice.smtp(smtp_id)
    assert after | {"modified": ""} == before | {"modified": ""}


def test_move_into_the_same_app_is_refused(browser: Browser, alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp)
    page = transfer(browser, smtp["_id"], "Move", idapp)
    assert page.status == 422
    assert page.errors()["app"].startswith("It is already in this app.")


def test_app_of_somebody_else_is_no_target(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN)
    foreign = charlie.make_app("hush")["_id"]
    page = browser.get(f"/smtps/{smtp['_id']}/transfer")
    assert "hush" not in page.html
    for button in ("Copy", "Move"):
        form = page.form()
        form.values["app"] = [foreign]
        assert browser.send(page, form, button).status == 422
    assert charlie.smtps(foreign) == []
    assert len(alice.smtps(idapp)) == 1
    hidden = charlie.make_smtp(foreign)
    browser.get(f"/smtps/{hidden['_id']}/transfer", status=404)


def test_limit_of_servers_holds_for_copies_and_moves(
    browser: Browser, alice: Person, idapp: str, other: str
) -> None:
    settings = dataclasses.replace(services(alice.app).settings, max_smtps=1)
    services(alice.app).settings = settings
    smtp = alice.make_smtp(idapp)
    alice.make_smtp(other)
    for button in ("Copy", "Move"):
        page = transfer(browser, smtp["_id"], button, other)
        assert page.status == 409
        assert "An app can have at most 1" in page.text
        assert "This was changed while you were editing" not in page.text
    assert count(alice.app, Smtp) == 2


def test_copy_of_a_password_that_cannot_be_read_is_refused(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, **LOGIN)
    with alice.app.app_context():
        row = db.session.get_one(Smtp, smtp["_id"])
        row.password_sealed = "v1.00000000.x"
        db.session.commit()
    page = transfer(browser, smtp["_id"], "Copy", idapp)
    assert page.status == 422
    assert count(alice.app, Smtp) == 1


def test_copy_hides_a_user_name_that_is_secret(browser: Browser, alice: Person, idapp: str) -> None:
    given = {"auth": "true", "username": "t0ken", "password": "t0ken", "starttls": "true"}
    smtp = alice.make_smtp(idapp, host="smtp.postmarkapp.com", port=587, **given)
    page = transfer(browser, smtp["_id"], "Copy", idapp)
    assert page.heading == "Postmark (copy)"
    assert "t0ken" not in page.html
