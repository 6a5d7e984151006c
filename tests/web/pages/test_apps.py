"""The pages of apps, as people meet them in a browser."""

from __future__ import annotations

import pytest

from smtpweb.database.models import App
from smtpweb.database.session import db
from tests.support.browser import Browser, one_database
from tests.support.factories import count
from tests.support.people import Person


def test_first_page_is_the_list_of_apps(browser: Browser) -> None:
    page = browser.get("/")
    assert page.url == "/apps"
    assert page.links()["Set up your first SMTP server"] == "/start"
    assert page.links()["Create an app without a server"] == "/apps/new"


def test_app_is_created_and_leads_to_its_first_smtp(browser: Browser, alice: Person) -> None:
    page = browser.submit(
        "/apps/new", name="  shop ", defaultfromname="The shop", strategy="RANDOM"
    )
    assert page.heading == "shop"
    assert "Add your first SMTP server" in page.links()
    made = alice.get("/private/apps/findAll", page=0, size=9).json["content"][0]
    assert made["name"] == "shop"
    assert made["testemail"] == "alice@example.com"
    assert made["defaultfromemail"] == "alice@example.com"
    assert made["defaultfromname"] == "The shop"
    assert made["strategy"] == "RANDOM"


@one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "   "),
        ("name", "x" * 101),
        ("name", "a\x00b"),
        ("name", "a\r\nb"),
        ("name", "=?utf-8?q?x?="),
        ("testemail", "nobody"),
        ("testemail", "a@example.com\r\nBcc: b@example.com"),
        ("testemail", f"{'a' * 250}@example.com"),
        ("defaultfromemail", "a@example.com, b@example.com"),
        ("defaultfromname", "a\nb"),
        ("strategy", "LOTTERY"),
    ],
)
def test_bad_app_form_names_the_field_and_saves_nothing(
    browser: Browser, alice: Person, field: str, value: str
) -> None:
    page = browser.submit("/apps/new", **({"name": "shop"} | {field: value}))
    assert page.status == 422
    assert list(page.errors()) == [field]
    assert count(alice.app, App) == 0
    if field != "name":
        assert page.form().value("name") == "shop"


def test_name_that_is_taken_is_said_at_the_name(browser: Browser, idapp: str) -> None:
    page = browser.submit("/apps/new", name="shop", defaultfromname="kept")
    assert page.status == 422
    assert "another app named" in page.errors()["name"]
    assert page.form().value("defaultfromname") == "kept"


def test_app_is_edited(browser: Browser, alice: Person, idapp: str) -> None:
    page = browser.get(f"/apps/{idapp}/edit")
    assert page.form().value("defaultfromemail") == "shop@example.com"
    page = browser.send(page, page.form().fill(name="store", defaultfromemail=""))
    assert page.heading == "store"
    made = alice.get("/private/apps/findById", idapp=idapp).json
    assert (made["name"], made["defaultfromemail"]) == ("store", None)


def test_app_changed_meanwhile_is_not_overwritten_unknowingly(
    browser: Browser, alice: Person, idapp: str
) -> None:
    form = browser.get(f"/apps/{idapp}/edit")
    alice.post("/private/apps/save", idapp=idapp, name="renamed")
    page = browser.send(form, form.form().fill(name="mine"))
    assert page.status == 409
    assert "Stored now: renamed" in page.text
    assert page.form().value("name") == "mine"
    assert alice.get("/private/apps/findById", idapp=idapp).json["name"] == "renamed"
    assert browser.send(page, page.form()).heading == "mine"  # knowingly it may be


def test_app_removal_asks_first_and_says_what_goes_with_it(
    browser: Browser, alice: Person, idapp: str
) -> None:
    alice.make_smtp(idapp, host="one.example.net")
    page = browser.get(f"/apps/{idapp}/remove")
    for lost in (
        "1 SMTP server, 1 of them active",
        "no stored password",
        "no checks",
        "one.example.net:25",
    ):
        assert lost in page.text
    assert count(alice.app, App) == 1
    page = browser.send(page, page.form())
    assert page.url == "/apps"
    assert alice.get("/private/apps/findAll", page=0, size=9).json["content"] == []
    assert "shop was deleted" in page.text


def test_app_list_that_is_long_has_pages(browser: Browser, alice: Person) -> None:
    with alice.app.app_context():
        db.session.add_all(
            App(user_id=alice.user_id, name=f"app {number:03}", testemail="a@example.com")
            for number in range(51)
        )
        db.session.commit()
    first = browser.get("/apps")
    assert "app 049" in first.text
    assert "app 050" not in first.text
    second = browser.get(first.links()["Next"])
    assert "app 050" in second.text
    assert browser.get(second.links()["Previous"]).text == first.text
    assert "nothing on this page" in browser.get("/apps?page=9").text


@one_database
@pytest.mark.parametrize("page", ["0", "-1", "x", "1e3", "٣", "99999999999", ""])
def test_page_number_that_is_none_is_a_clear_error(browser: Browser, page: str) -> None:
    assert "page" in browser.get(f"/apps?page={page}", status=400).text


@one_database
def test_form_opens_at_the_field_that_the_address_names(browser: Browser, idapp: str) -> None:
    def focused(path: str) -> list[str | None]:
        page = browser.get(path)
        return [field.get("name") for field in page.all("input") if "autofocus" in field.attrib]

    assert focused("/apps/new") == ["name"]
    assert focused(f"/apps/{idapp}/edit") == []
    for field in ("testemail", "defaultfromemail", "defaultfromname", "name"):
        assert focused(f"/apps/{idapp}/edit?field={field}") == [field]
    assert focused(f"/apps/{idapp}/edit?field=nothing") == []
    page = browser.submit(f"/apps/{idapp}/edit?field=testemail", testemail="nobody")
    assert list(page.errors()) == ["testemail"]  # then the summary has the focus
    assert [one.get("name") for one in page.all("input") if "autofocus" in one.attrib] == []
