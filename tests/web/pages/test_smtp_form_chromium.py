"""The script of the form of an SMTP, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.support.chromium import PHONE, Watched, fits
from tests.support.serving import Program


@pytest.fixture
def tab(chromium: Chromium, served: tuple[str, Program]) -> Iterator[Watched]:
    """A new SMTP is about to be typed."""
    url, program = served
    with chromium.new_context(viewport=PHONE) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        tab.make_app()
        tab.page.get_by_role("link", name="Add your first SMTP server").click()
        tab.heading("New SMTP server")
        yield tab
        assert tab.complaints == []


def test_provider_fills_in_and_the_cursor_goes_to_the_user_name(tab: Watched) -> None:
    page = tab.page
    expect(page.get_by_label("Provider")).to_be_focused()
    page.get_by_label("Password", exact=True).fill("kept")
    page.get_by_label("Provider").fill("sendgr")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Host")).to_have_value("smtp.sendgrid.net")
    expect(page.get_by_role("textbox", name="Port")).to_have_value("587")
    expect(page.get_by_label("User name", exact=True)).to_be_focused()
    expect(page.get_by_label("User name", exact=True)).to_have_value("")
    expect(page.get_by_label("Password", exact=True)).to_have_value("kept")
    expect(page.get_by_text("SendGrid: Always the word apikey.")).to_be_visible()
    page.get_by_label("Provider").fill("gmail")
    page.get_by_role("button", name="Fill in").click()
    expect(page.get_by_label("Host")).to_have_value("smtp.gmail.com")
    page.get_by_label("Provider").fill("Resend")
    page.get_by_role("button", name="Fill in").click()
    expect(page.get_by_label("Implicit TLS (SMTPS, port 465)")).to_be_checked()
    expect(page.get_by_role("textbox", name="Port")).to_have_value("465")
    expect(page.get_by_label("User name and password")).to_be_checked()
    page.get_by_label("Provider").fill("Outlook.com")
    page.get_by_role("button", name="Fill in").click()
    expect(page.get_by_label("OAuth 2.0 (access tokens)")).to_be_checked()
    expect(page.get_by_label("Password", exact=True)).to_be_hidden()
    fits(page)


def test_provider_that_fits_takes_away_the_error_of_one_that_did_not(
    chromium: Chromium, served: tuple[str, Program]
) -> None:
    url, program = served
    with chromium.new_context(viewport=PHONE) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        tab.make_app()
        page = tab.page
        page.get_by_role("link", name="Add your first SMTP server").click()
        page.get_by_label("Provider").fill("nobody")
        page.get_by_role("button", name="Fill in").click()
        expect(page.get_by_role("alert")).to_contain_text("has this name")
        fits(page)
        page.get_by_label("Provider").fill("sendgrid")
        page.get_by_role("button", name="Fill in").click()
        expect(page.get_by_label("Host")).to_have_value("smtp.sendgrid.net")
        expect(page.get_by_role("alert")).to_have_count(0)
        expect(page.get_by_text("has this name")).to_have_count(0)


def test_port_follows_the_encryption_while_it_is_a_usual_one(tab: Watched) -> None:
    page = tab.page
    port = page.get_by_role("textbox", name="Port")
    expect(port).to_have_value("587")
    page.get_by_label("Implicit TLS (SMTPS, port 465)").check()
    expect(port).to_have_value("465")
    page.get_by_label("None", exact=True).check()
    expect(port).to_have_value("25")
    port.fill("2525")
    page.get_by_label("STARTTLS (port 587)").check()
    expect(port).to_have_value("2525")


def test_warnings_appear_while_somebody_types(tab: Watched) -> None:
    page = tab.page
    asked = []
    page.on("request", lambda r: asked.append(r.url) if "preflight" in r.url else None)
    page.get_by_label("Host").fill("smtp.gmail.com")
    page.get_by_label("User name", exact=True).fill("shop@gmail.com")
    page.get_by_label("Password", exact=True).fill("mein Hund!")
    page.get_by_role("textbox", name="Port").fill("465")
    expect(page.locator("#port-warnings")).to_contain_text("usually uses implicit TLS")
    expect(page.locator("#smtp_secret-warnings")).to_contain_text("16 letters")
    page.get_by_label("Implicit TLS (SMTPS, port 465)").check()
    page.get_by_label("Password", exact=True).fill("abcd efgh ijkl mnop")
    expect(page.locator("#port-warnings")).to_be_empty()
    expect(page.locator("#smtp_secret-warnings")).to_be_empty()
    assert 1 <= len(asked) <= 6
    assert not any("Hund" in url for url in asked)
    fits(page)


def test_warnings_appear_in_the_first_run_too(tab: Watched) -> None:
    page = tab.page
    page.goto("/".join([*page.url.split("/")[:3], "start", "other"]))
    page.get_by_label("Host").fill("smtp.gmail.com")
    page.get_by_label("User name", exact=True).fill("shop@gmail.com")
    page.get_by_label("Password", exact=True).fill("mein Hund!")
    page.get_by_role("textbox", name="Port").fill("465")
    expect(page.locator("#port-warnings")).to_contain_text("usually uses implicit TLS")
    expect(page.locator("#smtp_secret-warnings")).to_contain_text("16 letters")
    page.get_by_label("Password", exact=True).fill("abcd efgh ijkl mnop")
    expect(page.locator("#smtp_secret-warnings")).to_be_empty()
    fits(page)
