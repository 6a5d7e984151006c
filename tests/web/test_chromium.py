"""The pages in a real browser: Chromium, a real gunicorn, real SMTP servers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests.conftest import cannot_run
from tests.fake_smtp import FakeServer, fake_smtp
from tests.people import PASSWORD
from tests.serving import Program, smtpweb_server

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
)  # fmt: skip
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        cannot_run(f"no browser: {CHROMIUM} is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Program]]:
    """A fresh installation that may check loopback."""
    with smtpweb_server(
        tmp_path, SMTPWEB_EGRESS_ALLOW="127.0.0.0/8", SMTPWEB_EGRESS_PORTS="*"
    ) as server:
        yield server


@pytest.fixture
def smtp() -> Iterator[FakeServer]:
    with fake_smtp(login=("shop", "s3cret")) as server:
        yield server


class Watched:
    """A tab whose complaints are kept: errors of scripts, refusals by the CSP, failed loads."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.complaints.append(said.text) if said.type == "error" else None,
        )
        self.page.on("requestfailed", self._failed)

    def _failed(self, request: Request) -> None:
        # Aborted: the browser went on to the next page before an icon had come.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"failed: {request.url}: {request.failure}")

    def set_up(self, url: str, served: Program) -> None:
        """Make the first account with the code that the console shows."""
        self.page.goto(url)
        code = re.search(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}\b", served.output)
        assert code, served.output
        self.page.get_by_label("Set-up code").fill(code[0].lower())
        self.page.get_by_label("User name").fill("ana")
        self.page.get_by_label("Email").fill("ana@example.com")
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_label("Password, again").fill(PASSWORD)
        self.page.get_by_role("button", name="Create the account").click()
        self.heading("Apps")

    def make_app(self) -> None:
        self.page.get_by_role("link", name="Create the first app").click()
        self.page.get_by_label("Name", exact=True).fill("shop")
        self.page.get_by_label("Default From email").fill("shop@example.com")
        self.page.get_by_role("button", name="Save").click()
        self.heading("shop")

    def fill_smtp(self, server: FakeServer) -> None:
        self.page.get_by_role("link", name="Add the first SMTP").click()
        self.page.get_by_label("Host").fill(server.host)
        self.page.get_by_label("None: unencrypted").check()
        self.page.get_by_label("Port").fill(str(server.port))
        self.page.get_by_label("User name").fill("shop")
        self.page.get_by_label("Password", exact=True).fill("s3cret")

    def save_and_check(self) -> None:
        name = "Save and send a test mail to ana@example.com"
        self.page.get_by_role("button", name=name).click()
        self.page.wait_for_url("**/checks/*")

    def heading(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_newcomer_goes_from_nothing_to_a_green_and_a_red_check(chromium, served, smtp, scripts):
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
        expect(page.get_by_text("C: EHLO")).to_be_hidden()
        page.get_by_text("Transcript").click()
        expect(page.get_by_text("C: EHLO")).to_be_visible()

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


def test_the_pages_fit_a_phone_and_follow_the_systems_colours(chromium, served, smtp):
    url, program = served
    with chromium.new_context(viewport=PHONE, color_scheme="dark") as context:
        tab = Watched(context)
        tab.set_up(url, program)
        _fits(tab.page)
        tab.make_app()
        _fits(tab.page)
        tab.fill_smtp(smtp)
        tab.page.get_by_label("From name").fill("x" * 60)
        tab.page.get_by_label("User name").fill("somebody-with-a-rather-long-name@example.com")
        _fits(tab.page)
        tab.save_and_check()
        _fits(tab.page)
        for path in ("/apps", "/account", "/docs", "/nothing"):
            tab.page.goto(url + path)
            _fits(tab.page)
        root = tab.page.locator("html")
        expect(root).to_have_attribute("data-bs-theme", "dark")
        tab.page.emulate_media(color_scheme="light")
        expect(root).to_have_attribute("data-bs-theme", "light")


def _fits(page: Page) -> None:
    """Nothing has to be scrolled to the side; the colours are those of the system."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"


def test_the_keyboard_reaches_the_content_and_errors_take_the_focus(chromium, served):
    url, program = served
    with chromium.new_context() as context:
        tab = Watched(context)
        page = tab.page
        tab.set_up(url, program)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Create the first app")).to_be_focused()
        page.keyboard.press("Enter")
        page.get_by_label("Name", exact=True).fill("shop")
        page.get_by_label("Send test mails to").fill("nobody")
        page.keyboard.press("Enter")
        summary = page.get_by_role("alert")
        expect(summary).to_be_focused()
        summary.get_by_role("link", name="Send test mails to").click()
        expect(page.get_by_label("Send test mails to")).to_be_focused()
        expect(page.get_by_label("Name", exact=True)).to_have_value("shop")
