"""A form with changes asks before it is left, in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Dialog, Page, expect

from tests.support.chromium import DESKTOP, Watched
from tests.support.serving import Program


def test_changed_form_asks_before_it_is_left(
    chromium: Browser, served: tuple[str, Program]
) -> None:
    url, program = served
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        if stays:
            dialog.dismiss()
        else:
            dialog.accept()

    with chromium.new_context(viewport=DESKTOP) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        tab.make_app()  # saving a form that was filled in does not ask
        page = tab.page
        page.on("dialog", answer)
        app = page.url
        stays = True
        for path in ("/edit", "/smtps/new"):
            page.goto(app + path)
            away = page.get_by_role("link", name="Account")
            away.click()  # nothing was changed
            expect(page).to_have_url(re.compile("/account$"))
            page.goto(app + path)
            field = page.get_by_label("Name" if path == "/edit" else "Host", exact=True)
            field.fill("elsewhere")
            away.click()
            page.wait_for_timeout(200)
            assert asked == ["beforeunload"]
            expect(page).to_have_url(app + path)
            expect(field).to_have_value("elsewhere")
            stays = False
            away.click()
            expect(page).to_have_url(re.compile("/account$"))
            assert asked == ["beforeunload"] * 2
            asked.clear()
            stays = True
        assert tab.complaints == []


def fill(page: Page) -> None:
    page.get_by_label("Host").fill("mail.example.net")
    page.get_by_label("Implicit TLS (SMTPS, port 465)").check()
    page.get_by_label("User name", exact=True).fill("shop")
    page.get_by_label("Password", exact=True).fill("s3cret-word")
    page.get_by_label("Note").fill("two\nlines")


def comes_back(page: Page) -> None:
    expect(
        page.get_by_text(re.compile("Your earlier input is back|This is what you entered before"))
    ).to_be_visible()
    expect(page.get_by_label("Host")).to_have_value("mail.example.net")
    expect(page.get_by_label("Implicit TLS (SMTPS, port 465)")).to_be_checked()
    expect(page.get_by_label("User name", exact=True)).to_have_value("shop")
    expect(page.get_by_label("Password", exact=True)).to_have_value("")
    expect(page.get_by_label("Note")).to_have_value("two\nlines")


def test_form_that_is_left_comes_back_from_the_tab_until_it_is_saved(
    chromium: Browser, served: tuple[str, Program]
) -> None:
    url, program = served
    with chromium.new_context(viewport=DESKTOP) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        tab.make_app()
        page = tab.page
        page.on("dialog", lambda dialog: dialog.accept())
        form = f"{page.url}/smtps/new"
        page.goto(form)
        fill(page)
        page.get_by_role("link", name="Account").click()
        expect(page).to_have_url(re.compile("/account$"))
        page.goto(form)
        comes_back(page)
        page.reload()
        comes_back(page)
        stored = page.evaluate("JSON.stringify({...sessionStorage})")
        assert "mail.example.net" in stored
        assert "s3cret-word" not in stored
        page.get_by_role("link", name="Discard it").click()
        expect(page.get_by_label("Host")).to_have_value("")
        fill(page)
        page.get_by_role("button", name="Save without checking").click()
        tab.heading("mail.example.net:465")
        page.goto(form)  # what was saved does not come back
        expect(page.get_by_label("Host")).to_have_value("")
        # A token that is user name and password is kept nowhere
        page.get_by_label("Host").fill("smtp.postmarkapp.com")
        page.get_by_label("User name", exact=True).fill("t0ken-of-postmark")
        assert "t0ken" not in page.evaluate("JSON.stringify({...sessionStorage})")
        assert tab.complaints == []


def test_form_is_not_sent_while_smtpweb_cannot_be_reached(
    chromium: Browser, served: tuple[str, Program]
) -> None:
    url, program = served
    with chromium.new_context(viewport=DESKTOP) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        tab.make_app()
        page = tab.page
        page.goto(f"{page.url}/smtps/new")
        fill(page)
        context.set_offline(True)
        page.get_by_role("button", name="Save without checking").click()
        expect(page.get_by_role("alert")).to_contain_text("smtpweb cannot be reached")
        expect(page.get_by_label("Password", exact=True)).to_have_value("s3cret-word")
        context.set_offline(False)
        page.get_by_role("button", name="Save without checking").click()
        tab.heading("mail.example.net:465")


def test_cancelled_form_does_not_ask_and_comes_back_from_the_server(
    chromium: Browser, served: tuple[str, Program]
) -> None:
    url, program = served
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    with chromium.new_context(viewport=DESKTOP) as context:
        tab = Watched(context)
        tab.set_up(url, program)
        tab.make_app()
        page = tab.page
        page.on("dialog", answer)
        page.goto(f"{page.url}/smtps/new")
        fill(page)
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("link", name="Continue editing").click()
        comes_back(page)
        assert asked == []
        assert tab.complaints == []
