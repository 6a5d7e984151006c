"""The manual of the API as a page: quick start, index, copying, line length."""

from __future__ import annotations

import shlex

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from smtpweb.web.api import openapi
from tests.support.browser import Browser, one_database, signed_in, words
from tests.support.chromium import DESKTOP, PHONE
from tests.support.people import Person
from tests.support.serving import Program


@one_database
def test_quick_start_has_the_address_of_the_reader(alice: Person) -> None:
    page = Browser(alice.app).get("/docs")
    assert "export URL=http://localhost" in words(page.by_id("start-1"))
    reply = alice.app.test_client().get("/docs", base_url="https://smtps.example.org/")
    assert "export URL=https://smtps.example.org" in reply.text
    for step in ("start-1", "start-2", "start-3"):
        assert shlex.split("".join(page.by_id(step).itertext()))


@one_database
def test_quick_start_works_as_it_is_written(alice: Person) -> None:
    app = alice.make_app()
    alice.make_smtp(app["_id"])
    page = Browser(alice.app).get("/docs")
    calls = {}
    for step in ("start-2", "start-3"):
        address = shlex.split("".join(page.by_id(step).itertext()))[-1].removeprefix("$URL")
        path, _, query = address.replace("=ID", f"={app['_id']}").partition("?")
        calls[step] = alice.get(path, **dict(pair.split("=") for pair in query.split("&"))).json
    assert calls["start-2"]["content"][0]["_id"] == app["_id"]
    assert len(calls["start-3"]) == 1


@one_database
def test_quick_start_leads_to_a_new_token(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    assert browser.get("/docs").links()["Create a personal token"] == "/account#new-token"
    assert browser.get("/account").by_id("new-token") is not None


@one_database
def test_manual_lists_every_call_and_copies_every_example(alice: Person) -> None:
    page = Browser(alice.app).get("/docs")
    copied = {button.get("data-copy") for button in page.all("button")} - {None}
    for call in openapi.calls():
        assert page.by_id(call.name) is not None
        assert f"{call.name}-example" in copied
        assert any(link.get("href") == f"#{call.name}" for link in page.all("a"))


def test_manual_keeps_its_index_in_sight_and_its_lines_readable(
    chromium: Chromium, served: tuple[str, Program]
) -> None:
    url, _ = served
    with chromium.new_context(viewport=DESKTOP) as context:
        page = context.new_page()
        page.goto(f"{url}/docs#saveSmtp")
        index = page.locator(".manual-index")
        expect(index.get_by_role("link", name="Quick start")).to_be_in_viewport()
        width = page.evaluate(
            "Math.max(...[...document.querySelectorAll('.manual-text p')].map(p =>"
            " p.getBoundingClientRect().width / parseFloat(getComputedStyle(p).fontSize)))"
        )
        assert width <= 47  # about 90 characters
        page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }")
        page.locator("[data-copy=start-1]").click()
        assert page.evaluate("window.copied").startswith(f"export URL={url}")
        expect(page.locator("[data-copy=start-1]")).to_have_text("Copied")
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
