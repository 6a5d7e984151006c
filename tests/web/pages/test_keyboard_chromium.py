"""The first run by keyboard alone, from the set-up to the confirmed arrival."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Locator, Page, expect

from tests.support.chromium import Watched
from tests.support.fake_smtp import FakeServer
from tests.support.people import PASSWORD
from tests.support.serving import Program

MOST_TABS = 60


def go_to(page: Page, wanted: Locator) -> None:
    """Press Tab until this has the focus, which must be visible all the way."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        # A skip link moves into sight when it has the focus.
        seen = page.evaluate(
            "(it => it === document.body || it.checkVisibility())(document.activeElement)"
        )
        assert seen, page.evaluate("document.activeElement.outerHTML")
        if wanted.evaluate("it => it === document.activeElement"):
            return
    raise AssertionError(f"Tab never reaches {wanted}")


def enter(page: Page, label: str, text: str) -> None:
    """Go to a field by its label and type over what it contains."""
    field = page.get_by_label(label, exact=True).or_(page.get_by_role("textbox", name=label)).first
    if not field.evaluate("it => it === document.activeElement"):
        go_to(page, field)
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    expect(field).to_have_value(text)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_first_run_needs_no_mouse(
    chromium: Chromium, served: tuple[str, Program], smtp: FakeServer, scripts: bool
) -> None:
    url, program = served
    with chromium.new_context(java_script_enabled=scripts) as context:
        tab = Watched(context)
        page = tab.page
        page.goto(url)
        code = re.search(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}\b", program.output)
        assert code
        enter(page, "Set-up code", code[0])
        enter(page, "User name", "ana")
        enter(page, "Email", "ana@example.com")
        enter(page, "Password", PASSWORD)
        enter(page, "Confirm password", PASSWORD)
        page.keyboard.press("Enter")
        tab.heading("Set up your first SMTP server")

        go_to(page, page.get_by_role("link", name="Another server"))
        page.keyboard.press("Enter")
        tab.heading("Another server")
        enter(page, "Host", smtp.host)
        go_to(page, page.get_by_label("STARTTLS (port 587)"))
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_label("None", exact=True)).to_be_checked()
        enter(page, "Port", str(smtp.port))
        enter(page, "User name", "shop")
        enter(page, "Password", "s3cret")
        enter(page, "From address", "shop@example.com")
        enter(page, "Send test emails to", "me@example.com")
        page.keyboard.press("Enter")
        page.wait_for_url("**/checks/*")
        expect(page.get_by_role("main")).to_contain_text("Accepted", timeout=20_000)

        ((_, recipients, raw),) = smtp.mails
        assert recipients == ["me@example.com"]
        link = re.search(rb"/received/[A-Za-z0-9_-]+", raw)
        assert link
        mailbox = Watched(context).page
        mailbox.goto(url + link[0].decode())
        go_to(mailbox, mailbox.get_by_role("button", name="I received this email"))
        mailbox.keyboard.press("Enter")
        expect(mailbox.get_by_role("main")).to_contain_text("Thank you")
        if not scripts:
            page.reload()
        expect(page.get_by_role("main")).to_contain_text("Delivered: confirmed", timeout=10_000)
        assert tab.complaints == []
