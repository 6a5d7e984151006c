"""The pages in a real browser: Chromium, a real gunicorn, real SMTP servers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.support.chromium import PHONE, Watched, fits, violations
from tests.support.fake_smtp import FakeServer
from tests.support.serving import Program


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_newcomer_goes_from_nothing_to_a_green_and_a_red_check(
    chromium: Chromium, served: tuple[str, Program], smtp: FakeServer, scripts: bool
) -> None:
    url, program = served
    with chromium.new_context(java_script_enabled=scripts) as context:
        tab = Watched(context)
        page = tab.page
        tab.set_up(url, program)
        tab.make_app()
        tab.fill_smtp(smtp)
        tab.save_and_check()
        expect(page.get_by_role("main")).to_contain_text("Accepted")
        assert [recipients for _, recipients, _ in smtp.mails] == [["ana@example.com"]]

        page.get_by_role("link", name=f"{smtp.host}:{smtp.port}").click()
        expect(page.get_by_role("main")).to_contain_text("Active")
        page.get_by_role("link", name="Edit").click()
        expect(page.get_by_label("Password", exact=True)).to_have_value("")
        page.get_by_label("Password", exact=True).fill("wrong")
        tab.save_and_check()
        tab.heading(re.compile("login|password", re.IGNORECASE))
        expect(page.get_by_text("What to do next")).to_be_visible()
        transcript = page.locator("details", has=page.locator("summary", has_text="Transcript"))
        expect(transcript.get_by_text("C: EHLO")).to_be_hidden()
        transcript.locator("summary").click()
        expect(transcript.get_by_text("C: EHLO")).to_be_visible()

        page.get_by_role("link", name="Fix…").click()
        page.get_by_label("Password", exact=True).fill("s3cret")
        tab.save_and_check()
        expect(page.get_by_role("main")).to_contain_text("Accepted")
        assert len(smtp.mails) == 2

        page.get_by_role("button", name="Sign out").click()
        tab.heading("Sign in")
        page.goto(f"{url}/apps")
        tab.heading("Sign in")
        assert tab.complaints == []


def test_pages_fit_a_phone_and_follow_the_systems_colours(
    chromium: Chromium, served: tuple[str, Program], smtp: FakeServer
) -> None:
    url, program = served
    with chromium.new_context(viewport=PHONE, color_scheme="dark") as context:
        tab = Watched(context)
        tab.page.goto(url)
        fits(tab.page)
        assert violations(tab.page) == []
        tab.set_up(url, program)
        fits(tab.page)
        tab.make_app()
        fits(tab.page)
        tab.fill_smtp(smtp)
        tab.page.get_by_label("From name").fill("x" * 60)
        tab.page.get_by_label("User name", exact=True).fill(
            "somebody-with-a-rather-long-name@example.com"
        )
        fits(tab.page)
        tab.save_and_check()
        fits(tab.page)
        for path in ("/apps", "/account", "/docs", "/nothing"):
            tab.page.goto(url + path)
            fits(tab.page)
        body = tab.page.locator("body")
        expect(body).to_have_css("color", "rgb(222, 226, 230)")
        tab.page.emulate_media(color_scheme="light")
        expect(body).to_have_css("color", "rgb(33, 37, 41)")


def test_dark_colours_need_no_script(chromium: Chromium, served: tuple[str, Program]) -> None:
    url, _ = served
    with chromium.new_context(color_scheme="dark", java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{url}/login")
        expect(page.locator("body")).to_have_css("color", "rgb(222, 226, 230)")
        field = page.get_by_label("User name", exact=True)
        expect(field).to_have_css("background-color", "rgb(33, 37, 41)")
        assert page.locator("html").evaluate("one => getComputedStyle(one).colorScheme") == "dark"


def test_keyboard_reaches_the_content_and_errors_take_the_focus(
    chromium: Chromium, served: tuple[str, Program]
) -> None:
    url, program = served
    with chromium.new_context() as context:
        tab = Watched(context)
        page = tab.page
        tab.set_up(url, program)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Set up your first SMTP server")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_label("Name", exact=True).fill("shop")
        page.get_by_label("Send test emails to").fill("nobody")
        page.keyboard.press("Enter")
        summary = page.get_by_role("alert")
        expect(summary).to_be_focused()
        summary.get_by_role("link", name="Send test emails to").click()
        expect(page.get_by_label("Send test emails to")).to_be_focused()
        expect(page.get_by_label("Name", exact=True)).to_have_value("shop")
