"""Fields that follow their switch, and passwords that can be shown, in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.support.chromium import Watched
from tests.support.serving import Program


def opened(tab: Watched, url: str, path: str) -> Page:
    tab.page.goto(f"{url}/apps")
    if path == "/start/other":
        tab.page.goto(url + path)
    else:
        tab.make_app()
        tab.page.get_by_role("link", name="Add your first SMTP server").click()
    return tab.page


@pytest.mark.parametrize("path", ["/start/other", "form"])
def test_credentials_follow_the_switch_and_a_password_can_be_shown(
    chromium: Chromium, served: tuple[str, Program], path: str
) -> None:
    url, program = served
    with chromium.new_context() as context:
        tab = Watched(context)
        tab.set_up(url, program)
        page = opened(tab, url, path)
        name, secret = page.locator("[name=smtp_login]"), page.locator("[name=smtp_secret]")
        switch = page.get_by_label("Server requires authentication")
        expect(name).to_be_visible()
        switch.uncheck()
        expect(name).to_be_hidden()
        expect(secret).to_be_hidden()
        switch.check()
        expect(name).to_be_visible()

        secret.fill("open sesame")
        show = page.get_by_role("button", name="Show")
        expect(show).to_have_attribute("aria-pressed", "false")
        show.press("Enter")
        expect(secret).to_have_attribute("type", "text")
        expect(secret).to_have_value("open sesame")
        expect(secret).to_be_focused()
        expect(show).to_have_attribute("aria-pressed", "true")
        show.click()
        expect(secret).to_have_attribute("type", "password")

        # It is hidden again before it is sent, and what comes back does not contain it.
        show.click()
        page.locator("[name=name], [name=priority]").first.fill("")
        page.locator("form.sheet").evaluate("it => { it.noValidate = true; it.requestSubmit() }")
        page.wait_for_load_state()
        expect(page.locator("[name=smtp_secret]")).to_have_attribute("type", "password")
        expect(page.locator("[name=smtp_secret]")).to_have_value("")
        assert not [said for said in tab.complaints if "422" not in said]


def test_credentials_are_all_there_without_scripts(
    chromium: Chromium, served: tuple[str, Program]
) -> None:
    url, program = served
    with chromium.new_context(java_script_enabled=False) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        page = opened(tab, url, "/start/other")
        page.get_by_label("Server requires authentication").uncheck()
        expect(page.locator("[name=smtp_login]")).to_be_visible()
        expect(page.get_by_role("button", name="Show")).to_be_hidden()
