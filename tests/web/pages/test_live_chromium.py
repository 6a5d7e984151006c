"""A check in a real browser: its stages fill in, its result comes by itself and can be copied."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Locator, Page, Route, expect

from tests.support.chromium import Watched
from tests.support.fake_smtp import FakeServer, Slowly, fake_smtp
from tests.support.matching import search
from tests.support.serving import Program

BUTTON = "Save and send a test email to ana@example.com"
SLOW = {"EHLO": Slowly(2.5, "250-fake.example.com\r\n250 AUTH PLAIN")}


def stage(page: Page, name: str) -> Locator:
    return page.locator(f"#stage-{name}")


def test_stages_fill_in_and_the_result_comes_by_one_stream(
    chromium: Chromium, served: tuple[str, Program]
) -> None:
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
        tab.heading("Check in progress")
        expect(stage(page, "ehlo")).to_contain_text("running")
        expect(stage(page, "greeting")).to_contain_text("done")
        expect(page.get_by_role("status")).to_have_text("EHLO: The server lists its capabilities")
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


def cut(page: Page, how: str, *kinds: str) -> None:
    """Let these requests of a check's page fail: its stream, its looks at itself."""

    def fail(route: Route) -> None:
        if route.request.resource_type not in kinds:
            route.continue_()
        elif how == "broken":
            route.abort("connectionreset")
        else:
            route.fulfill(status=503, body="", headers={"Retry-After": "5"})

    page.route("**/checks/**", fail)


@pytest.mark.parametrize("how", ["broken", "503"])
@pytest.mark.parametrize(
    "kinds", [("eventsource", "fetch"), ("fetch",)], ids=["from the start", "at the end"]
)
def test_page_whose_connection_breaks_stays_and_goes_on_by_itself(
    chromium: Chromium, served: tuple[str, Program], how: str, kinds: tuple[str, ...]
) -> None:
    url, program = served
    with (
        fake_smtp(login=("shop", "s3cret"), replies=SLOW) as smtp,
        chromium.new_context() as context,
    ):
        tab = Watched(context)
        page = tab.page
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        tab.set_up(url, program)
        tab.make_app()
        tab.fill_smtp(smtp)
        cut(page, how, *kinds)
        page.get_by_role("button", name=BUTTON).click()
        tab.heading("Check in progress")
        check = page.url
        notice = page.get_by_role("alert").filter(has_text="Connection lost. Reconnecting…")
        expect(notice).to_be_visible(timeout=10000)
        expect(page.locator("h1")).to_have_text("Check in progress")
        expect(page.locator(".rung")).to_have_count(11)
        seconds = int(page.locator("#elapsed").inner_text())
        expect(page.locator("#elapsed")).not_to_have_text(str(seconds))
        page.unroute("**/checks/**")
        tab.heading("The server accepted the test email")
        assert page.url == check
        assert errors == []


def test_stream_that_is_refused_is_made_up_for_by_looking(
    chromium: Chromium, served: tuple[str, Program]
) -> None:
    url, program = served
    slow = {"EHLO": Slowly(5, "250-fake.example.com\r\n250 AUTH PLAIN")}
    with (
        fake_smtp(login=("shop", "s3cret"), replies=slow) as smtp,
        chromium.new_context() as context,
    ):
        tab = Watched(context)
        page = tab.page
        tab.set_up(url, program)
        tab.make_app()
        tab.fill_smtp(smtp)
        cut(page, "503", "eventsource")
        page.get_by_role("button", name=BUTTON).click()
        expect(stage(page, "ehlo")).to_contain_text("running")
        expect(page.locator("#connection")).to_have_text("")
        tab.heading("The server accepted the test email")


def test_arrival_that_is_confirmed_elsewhere_appears_by_itself(
    chromium: Chromium, served: tuple[str, Program]
) -> None:
    url, program = served
    with (
        fake_smtp(login=("shop", "s3cret")) as smtp,
        chromium.new_context() as context,
        chromium.new_context() as elsewhere,
    ):
        tab = Watched(context)
        page = tab.page
        tab.set_up(url, program)
        tab.make_app()
        tab.fill_smtp(smtp)
        tab.save_and_check()
        expect(page.get_by_text("Accepted does not mean delivered")).to_be_visible()
        expect(page.get_by_text("What to do next")).to_be_visible()
        page.get_by_text("Diagnosis as text").click()
        mailbox = elsewhere.new_page()
        mailbox.goto(search(r"http://\S+/received/\S+", smtp.mails[0][2].decode())[0])
        mailbox.get_by_role("button", name="I received this email").click()
        expect(page.locator("#arrival")).to_contain_text(
            "Delivered: confirmed after", timeout=15000
        )
        expect(page.locator("#check-facts")).to_contain_text("Delivered: confirmed after")
        expect(page.get_by_text("What to do next")).to_be_hidden()
        expect(page.locator("#diagnosis")).to_be_visible()  # what was open is open
        expect(page.locator("#diagnosis")).to_contain_text("Delivery confirmed:")
        assert tab.complaints == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_result_on_paper_has_everything_and_nothing_to_press(
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
        assert (
            page.title()
            == f"The server accepted the test email · {smtp.host}:{smtp.port} · smtpweb"
        )
        expect(page.locator("#check-facts")).to_contain_text(re.compile("[0-9]{4}-.* UTC.*took"))
        expect(page.get_by_text("C: EHLO").first).to_be_hidden()
        page.emulate_media(media="print")
        expect(page.get_by_text("C: EHLO").first).to_be_visible()
        expect(page.locator("#diagnosis")).to_be_visible()
        for one in page.locator("button, .btn, nav, form").all():
            expect(one).to_be_hidden()
        expect(page.locator(".print-only")).to_contain_text(page.url)
        page.emulate_media(media="screen")
        expect(page.locator(".print-only")).to_be_hidden()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_result_is_there_for_who_left_the_page(
    chromium: Chromium, served: tuple[str, Program], scripts: bool
) -> None:
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
        tab.heading("Check in progress")
        check = page.url
        page.goto(f"{url}/apps")
        tab.heading("Apps")
        page.goto(check)
        tab.heading("The server accepted the test email")
        if not scripts:
            expect(page.get_by_role("button", name="Copy diagnosis")).to_have_count(0)
            page.get_by_text("Diagnosis as text").click()
            expect(page.locator("#diagnosis")).to_be_visible()

        mailbox = context.new_page()
        mailbox.goto(search(r"http://\S+/received/\S+", smtp.mails[0][2].decode())[0])
        mailbox.get_by_role("button", name="I received this email").click()
        expect(mailbox.get_by_role("heading", level=1)).to_contain_text("delivery is confirmed")
        page.reload()
        expect(page.get_by_role("main")).to_contain_text("Delivered: confirmed after")
        assert tab.complaints == []
