"""A real Chromium for tests, and a tab whose errors are recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.conftest import cannot_run
from tests.support.fake_smtp import FakeServer
from tests.support.people import PASSWORD
from tests.support.serving import Program

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
)  # fmt: skip
PHONE: ViewportSize = {"width": 360, "height": 740}


# The rules that axe checks: WCAG 2.2 AA, and the best practices of its authors
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
expect.set_options(timeout=15_000)  # milliseconds, for a busy machine; what is there does not wait


@contextmanager
def chromium_browser() -> Iterator[Browser]:
    """Run a headless browser."""
    if not CHROMIUM.exists():
        cannot_run(f"no browser: {CHROMIUM} is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Watched:
    """A tab whose errors are recorded: script errors, CSP violations, failed loads."""

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
        # Aborted: the browser left for the next page before an icon had loaded.
        if request.failure != "net::ERR_ABORTED":
            self.complaints.append(f"failed: {request.url}: {request.failure}")

    def set_up(self, url: str, served: Program) -> None:
        """Create the first account with the code shown in the console."""
        self.page.goto(url)
        code = re.search(r"\b[A-Z2-7]{4}-[A-Z2-7]{4}-[A-Z2-7]{4}\b", served.output)
        assert code, served.output
        self.page.get_by_label("Set-up code").fill(code[0].lower())
        self.page.get_by_label("User name", exact=True).fill("ana")
        self.page.get_by_label("Email").fill("ana@example.com")
        self.page.get_by_label("Password", exact=True).fill(PASSWORD)
        self.page.get_by_label("Confirm password").fill(PASSWORD)
        self.page.get_by_role("button", name="Create account").click()
        self.heading("Set up your first SMTP server")
        self.page.goto(f"{url}/apps")

    def make_app(self) -> None:
        self.page.get_by_role("link", name="Create an app without a server").click()
        self.page.get_by_label("Name", exact=True).fill("shop")
        self.page.get_by_label("Default From address").fill("shop@example.com")
        self.page.get_by_role("button", name="Save").click()
        self.heading("shop")

    def fill_smtp(self, server: FakeServer) -> None:
        self.page.get_by_role("link", name="Add your first SMTP server").click()
        self.page.get_by_label("Host").fill(server.host)
        self.page.get_by_label("None", exact=True).check()
        self.page.get_by_role("textbox", name="Port").fill(str(server.port))
        self.page.get_by_label("User name", exact=True).fill("shop")
        self.page.get_by_label("Password", exact=True).fill("s3cret")

    def save_and_check(self) -> None:
        name = "Save and send a test email to ana@example.com"
        self.page.get_by_role("button", name=name).click()
        self.page.wait_for_url("**/checks/*")
        expect(self.page.locator("h1")).not_to_have_text("Check in progress", timeout=15000)

    def heading(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)


def fits(page: Page) -> None:
    """Check that nothing requires horizontal scrolling; the system's colours apply."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"


def violations(page: Page) -> list[str]:
    """Return the violations that axe finds on the page in its current state."""
    results = Axe().run(page, options=RULES).response
    return [
        f"{one['id']}: {one['help']}: {json.dumps(node['target'])} {node['failureSummary']}"
        for one in results["violations"]
        for node in one["nodes"]
    ]
