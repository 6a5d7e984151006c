"""A check in a real browser: its stages fill in, its result comes by itself and can be copied."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.chromium import Watched
from tests.support.fake_smtp import Slowly, fake_smtp

BUTTON = "Save and send a test mail to ana@example.com"
SLOW = {"EHLO": Slowly(2.5, "250-fake.example.com\r\n250 AUTH PLAIN")}


def stage(page, name):
    return page.locator(f"#stage-{name}")


def test_the_stages_fill_in_and_the_result_comes_by_one_stream(chromium, served):
    url, program = served
    with (
        fake_smtp(login=("shop", "other"), replies=SLOW) as smtp,
        chromium.new_context(permissions=["clipboard-read", "clipboard-write"]) as context,
    ):
        tab = Watched(context)
        page = tab.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        tab.set_up(url, program)
        tab.make_app()
        tab.fill_smtp(smtp)
        page.get_by_role("button", name=BUTTON).click()
        tab.heading("Check under way")
        expect(stage(page, "ehlo")).to_contain_text("under way")
        expect(stage(page, "greeting")).to_contain_text("done")
        expect(page.get_by_role("status")).to_have_text("EHLO: The server says what it can do")
        tab.heading(re.compile("login|password", re.IGNORECASE))
        expect(stage(page, "auth")).to_contain_text("failed")
        assert sum(one.endswith("/progress") for one in asked) == 1, "a polling storm"

        page.get_by_role("button", name="Copy diagnosis").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == page.locator("#diagnosis").text_content()
        assert "Code: SMTP_AUTH" in copied
        assert "s3cret" not in copied
        assert tab.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_who_leaves_finds_the_result_and_the_mail_is_confirmed(chromium, served, scripts):
    url, program = served
    with (
        fake_smtp(login=("shop", "s3cret"), replies=SLOW) as smtp,
        chromium.new_context(java_script_enabled=scripts) as context,
    ):
        tab = Watched(context)
        page = tab.page
        tab.set_up(url, program)
        tab.make_app()
        tab.fill_smtp(smtp)
        page.get_by_role("button", name=BUTTON).click()
        tab.heading("Check under way")
        check = page.url
        page.goto(f"{url}/apps")
        tab.heading("Apps")
        page.goto(check)
        tab.heading("The server accepted the mail")
        if not scripts:
            expect(page.get_by_role("button", name="Copy diagnosis")).to_have_count(0)
            page.get_by_text("Diagnosis as text").click()
            expect(page.locator("#diagnosis")).to_be_visible()

        mailbox = context.new_page()
        mailbox.goto(re.search(r"http://\S+/received/\S+", smtp.mails[0][2].decode())[0])
        mailbox.get_by_role("button", name="I received this mail").click()
        expect(mailbox.get_by_role("heading", level=1)).to_contain_text("arrival is confirmed")
        page.reload()
        expect(page.get_by_role("main")).to_contain_text("Arrival confirmed after")
        assert tab.complaints == []
