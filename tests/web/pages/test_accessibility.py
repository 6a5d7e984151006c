"""WCAG 2.2 AA by axe, on every page, in light and in dark; and how heavy a page is."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from tests.support.chromium import PHONE, violations
from tests.support.tour import Tour, tour

MOST_BYTES = 60_000


@pytest.fixture(scope="module")
def toured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    with tour(tmp_path_factory.mktemp("tour")) as running:
        yield running


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "es")])
def test_pages_have_no_accessibility_violation(
    chromium: Browser, toured: Tour, scheme: Literal["light", "dark"], language: str
) -> None:
    with chromium.new_context(color_scheme=scheme, viewport=PHONE, locale=language) as context:
        page = context.new_page()
        page.goto(f"{toured.url}/login")
        found = _violations(page, "login")
        toured.sign_in(page)
        for name, path in toured.pages.items():
            page.goto(toured.url + path)
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            found += _violations(page, name)
        # What is only seen after something was sent
        page.goto(toured.url + toured.pages["new-app"])
        page.locator("main input[type=submit]").click()
        found += _violations(page, "errors in a form")
        page.goto(toured.url + toured.pages["app"])
        page.locator("button[formaction$='/checks'][name=all]").click()
        page.wait_for_url("**/checks?*")
        found += _violations(page, "batch")
        page.goto(f"{toured.url}/explain")
        page.locator("textarea").fill("535 5.7.8 authentication failed " + "x" * 200)
        with page.expect_navigation():
            page.locator("main input[type=submit]").click()
        found += _violations(page, "an explained error")
        page.goto(f"{toured.url}/account")
        tokens = page.locator("form[action$='/account/tokens']")
        tokens.locator("input[name=label]").fill("backup")
        with page.expect_navigation():  # the script asks first whether smtpweb is there
            tokens.locator("[type=submit]").click()
        found += _violations(page, "token")
    assert not found, "\n".join(found)


def _violations(page: Page, name: str) -> list[str]:
    found = [f"{name}: {one}" for one in violations(page)]
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [*found, f"{name}: {wide} px too wide"] if wide > 0 else found


def test_pages_weigh_no_more_than_their_share(chromium: Browser, toured: Tour) -> None:
    """Our own HTML, style sheets and scripts, compressed as nginx does; Bootstrap is extra."""
    with chromium.new_context() as context:
        page = context.new_page()
        toured.sign_in(page)
        for name, path in toured.pages.items():
            page.goto(toured.url + path)
            used = page.evaluate(
                "[...document.querySelectorAll('link, script, img')].map(it => it.href || it.src)"
                ".filter(it => !it.startsWith('data:'))"  # those are part of the page
            )
            own = [toured.url + path, *{one for one in used if "/bootstrap/" not in one}]
            bodies = [context.request.get(address).body() for address in own]
            weight = sum(len(gzip.compress(body)) for body in bodies)
            assert 1000 < weight < MOST_BYTES, f"{name}: {weight} bytes: {own}"
