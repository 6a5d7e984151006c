"""Error pages say what is missing, keep the navigation, and lead on."""

from __future__ import annotations

from typing import NoReturn

import pytest
from sqlalchemy.exc import OperationalError

from smtpweb.registry import apps
from tests.support.browser import Browser, Page, one_database, signed_in
from tests.support.people import Person

pytestmark = one_database
NOBODYS = "f" * 24


@pytest.fixture
def browser(alice: Person) -> Browser:
    return signed_in(alice.app, alice)


def navigation(page: Page) -> list[str]:
    return [
        link.get("href", "")
        for nav in page.all("nav")
        if "site-nav" in (nav.get("class") or "")
        for link in nav.iter("a")
    ]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/apps/xyz", "no such app"),
        (f"/apps/{NOBODYS}", "no app with this id"),
        (f"/apps/{NOBODYS}/edit", "no app with this id"),
        ("/smtps/1", "no such SMTP server"),
        (f"/smtps/{NOBODYS}", "no SMTP server with this id"),
        ("/checks/1", "no such check"),
        (f"/checks/{NOBODYS}", "no check with this id"),
        (f"/account/tokens/{NOBODYS}", "no token with this id"),
        ("/start/nobody", "no provider with this name"),
        ("/nothing", "no page at this address"),
    ],
)
def test_missing_page_says_what_is_missing(browser: Browser, path: str, words: str) -> None:
    page = browser.get(path, status=404)
    assert words in page.text
    assert "/apps" in navigation(page)


@pytest.mark.parametrize(
    ("path", "parent"),
    [
        ("/smtps/{smtp}/check", "/smtps/{smtp}"),
        ("/apps/{app}/smtps/preflight", "/apps/{app}"),
        ("/apps/{app}/nothing/at/all", "/apps/{app}"),
    ],
)
def test_address_below_a_page_leads_to_that_page(
    browser: Browser, alice: Person, path: str, parent: str
) -> None:
    app = alice.make_app()
    names = {"app": app["_id"], "smtp": alice.make_smtp(app["_id"])["_id"]}
    page = browser.get(path.format(**names), status=404 if "nothing" in path else 405)
    assert "Method Not Allowed" not in page.html
    assert page.links()["Go to the page above"] == parent.format(**names)
    assert browser.get(parent.format(**names)).status == 200


def broken(*_: object, **__: object) -> NoReturn:
    raise OperationalError("SELECT", {}, Exception("disk I/O error"))


def test_storage_that_is_away_keeps_the_navigation_and_offers_to_try_again(
    browser: Browser, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        vars(alice.app)["login_manager"].user_loader(broken)
        reply = browser.client.get("/apps?q=shop")
        page = Page(reply)
        assert (page.status, navigation(page)[1]) == (503, "/apps")
        assert page.links()["Try again"] == "/apps?q=shop"
        away.undo()


def test_form_that_failed_leads_back_to_its_page_without_sending_it_again(
    browser: Browser, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browser.get("/apps/new")
    form = page.form().fill(name="shop")
    data = {name: list(values) for name, values in form.values.items()}
    monkeypatch.setattr(apps, "save", broken)
    failed = Page(browser.client.post("/apps/new", data=data))
    assert failed.status == 503
    assert failed.links()["Try again"] == "/apps/new"
    assert "Back button" in failed.text
    assert "Refresh" not in failed.headers


def test_bug_keeps_the_navigation_and_offers_to_try_again(
    browser: Browser, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("a bug")

    app = alice.make_app()
    monkeypatch.setattr(apps, "find", bug)
    page = Page(browser.client.get(f"/apps/{app['_id']}"))
    assert (page.status, "a bug" in page.html) == (500, False)
    assert "/apps" in navigation(page)
    assert page.links()["Try again"] == f"/apps/{app['_id']}"


def test_form_of_another_session_leads_back_to_its_page(browser: Browser) -> None:
    page = Page(browser.client.post("/login", data={"csrf_token": "forged"}))
    assert page.status == 400
    assert page.links()["Try again"] == "/login"


def test_visitor_sees_no_navigation_on_an_error_page(alice: Person) -> None:
    assert navigation(Browser(alice.app).get("/nothing", status=404)) == []
