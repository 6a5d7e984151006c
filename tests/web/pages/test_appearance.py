"""Theme and language, chosen in the footer of any page, with and without an account."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from smtpweb.database.models import User
from smtpweb.database.session import db
from tests.support.browser import Browser, Page, one_database, signed_in
from tests.support.chromium import DESKTOP
from tests.support.people import Person
from tests.support.serving import Program

DARK = "(prefers-color-scheme: dark)"


@pytest.fixture
def visitor(alice: Person) -> Browser:
    return Browser(alice.app)


def dark_sheets(page: Page) -> list[str | None]:
    """The media of the style sheets that make a page dark."""
    return [
        link.get("media")
        for link in page.all("link")
        if "dark" in (link.get("href") or "") and link.get("rel") == "stylesheet"
    ]


def scheme(page: Page) -> str | None:
    return next(one.get("content") for one in page.all("meta") if one.get("name") == "color-scheme")


@one_database
def test_theme_is_chosen_by_a_visitor_and_kept_in_a_cookie(visitor: Browser) -> None:
    page = visitor.get("/docs")
    assert (scheme(page), dark_sheets(page)) == ("light dark", [DARK, DARK])
    page = visitor.get("/appearance?theme=dark&back=/docs")
    assert (page.url, scheme(page), dark_sheets(page)) == ("/docs", "dark", ["all", "all"])
    page = visitor.get("/appearance?theme=light&back=/docs")
    assert (page.url, scheme(page), dark_sheets(page)) == ("/docs", "light", [])
    page = visitor.get("/appearance?theme=&back=/docs")
    assert (scheme(page), dark_sheets(page)) == ("light dark", [DARK, DARK])


@one_database
def test_theme_of_a_forged_cookie_is_ignored(visitor: Browser) -> None:
    visitor.client.set_cookie("smtpweb_theme", 'x"><script>')
    assert scheme(visitor.get("/docs")) == "light dark"
    assert scheme(visitor.get("/appearance?theme=pink&back=/docs")) == "light dark"


@one_database
def test_pressed_button_tells_what_is_chosen(visitor: Browser) -> None:
    page = visitor.get("/appearance?theme=dark&back=/offers")
    pressed = [
        (one.get("name"), one.get("value"))
        for one in page.all("button")
        if one.get("aria-pressed") == "true"
    ]
    assert pressed == [("theme", "dark"), ("language", "en")]


@one_database
def test_language_is_chosen_by_a_visitor(visitor: Browser) -> None:
    page = visitor.get("/appearance?language=es&back=/login")
    assert (page.url, page.heading) == ("/login", "Iniciar sesión")
    assert page.headers["Content-Language"] == "es"
    assert visitor.get("/appearance?language=en&back=/login").heading == "Sign in"
    assert visitor.get("/appearance?language=xx&back=/login").heading == "Sign in"


def test_language_in_the_footer_changes_the_account_and_returns_to_the_page(
    alice: Person,
) -> None:
    browser = signed_in(alice.app, alice)
    page = browser.get("/offers?app=1")
    csrf = next(
        one.get("value") or "" for one in page.all("input") if one.get("name") == "csrf_token"
    )
    shown = browser.post(
        "/account/language", {"csrf_token": [csrf], "language": ["es"], "back": ["/offers?app=1"]}
    )
    assert shown.address == "/offers?app=1"
    assert shown.one("html").get("lang") == "es"
    with alice.app.app_context():
        assert db.session.scalars(db.select(User.language).filter_by(name="alice")).one() == "es"
    # A cookie of this browser does not override the account.
    assert browser.get("/appearance?language=en&back=/apps").one("html").get("lang") == "es"


@one_database
@pytest.mark.parametrize(
    "back",
    [
        "//evil.example/", "https://evil.example/", "/\\evil.example", "\\\\evil.example",
        "javascript:alert(1)", "evil", "", "/nothing/here", "/appearance?theme=dark",
        "/%5Cevil", "http:evil", "/apps/\nx",
    ],
)  # fmt: skip
def test_return_address_that_is_no_page_leads_home(visitor: Browser, back: str) -> None:
    reply = visitor.client.get("/appearance", query_string={"theme": "dark", "back": back})
    assert (reply.status_code, reply.location) == (303, "/")


@one_database
def test_cookies_are_secure_where_the_site_is(alice: Person, app: Flask) -> None:
    reply = alice.app.test_client().get("/appearance?theme=dark")
    (cookie,) = reply.headers.getlist("Set-Cookie")
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"):
        assert attribute in cookie


@one_database
def test_public_pages_set_no_cookie(visitor: Browser) -> None:
    for path in ("/docs", "/offers"):
        assert "Set-Cookie" not in visitor.client.get(path).headers


@one_database
def test_error_pages_keep_theme_and_language(visitor: Browser) -> None:
    visitor.get("/appearance?theme=dark")
    visitor.get("/appearance?language=es")
    page = visitor.get("/nothing", status=404)
    assert (scheme(page), page.one("html").get("lang")) == ("dark", "es")


@pytest.mark.parametrize("scripts", [True, False])
def test_theme_paints_its_colours_whatever_the_system_prefers(
    chromium: Chromium, served: tuple[str, Program], scripts: bool
) -> None:
    url, _ = served
    light, dark = "rgb(245, 246, 248)", "rgb(21, 24, 28)"
    with chromium.new_context(
        color_scheme="light", viewport=DESKTOP, java_script_enabled=scripts
    ) as context:
        page = context.new_page()
        page.goto(f"{url}/docs")
        expect(page.locator("body")).to_have_css("background-color", light)
        page.get_by_role("button", name="Dark").click()
        page.wait_for_url("**/docs")
        expect(page.locator("body")).to_have_css("background-color", dark)
        expect(page.locator("body")).to_have_css("color", "rgb(222, 226, 230)")
        assert page.locator("html").evaluate("one => getComputedStyle(one).colorScheme") == "dark"
        page.emulate_media(color_scheme="dark")
        page.get_by_role("button", name="Light").click()
        page.wait_for_url("**/docs")
        expect(page.locator("body")).to_have_css("background-color", light)
        page.get_by_role("button", name="Automatic").click()
        page.wait_for_url("**/docs")
        expect(page.locator("body")).to_have_css("background-color", dark)
        page.get_by_role("button", name="Español").click()
        page.wait_for_url("**/docs")
        expect(page.locator("html")).to_have_attribute("lang", "es")
