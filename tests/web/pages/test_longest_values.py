"""No page is wider than its window, whatever stands on it: Chromium, phone and desktop."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.exceptions import NotFound

from smtpweb.web.http.i18n import API_PREFIXES
from tests.support.longest import ADDRESS, HOST, SCRIPTS, Longest, longest
from tests.support.people import PASSWORD

WIDTHS = (320, 1280)

# What does not fit: the page itself; what sticks out of the window; what is cut off; words that
# spill out of their box. What can be scrolled by itself, such as a transcript, may be wider.
_PROBLEMS = """() => {
  const root = document.documentElement;
  const found = [];
  if (root.scrollWidth > root.clientWidth) found.push(`the page: ${root.scrollWidth} px`);
  const scrolls = (one) => ["auto", "scroll"].includes(getComputedStyle(one).overflowX);
  const apart = "svg *, input, select, textarea, option, .visually-hidden, .skip-link, script";
  const name = (one) => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 30)}`;
  for (const one of document.body.querySelectorAll("*")) {
    if (one.matches(apart) || !one.getClientRects().length) continue;
    let kept = one.parentElement;
    while (kept && !scrolls(kept)) kept = kept.parentElement;
    if (kept || scrolls(one)) continue;
    const box = one.getBoundingClientRect();
    if (box.right > root.clientWidth + 1 || box.left < -1) found.push(`outside: ${name(one)}`);
    const inside = one.clientWidth && one.scrollWidth > one.clientWidth + 1;
    const style = getComputedStyle(one);
    const whole = style.textOverflow === "ellipsis" && one.title; // said in full elsewhere
    const how = style.overflowX === "visible" ? "spills" : "cut";
    if (inside && !whole) found.push(`${how}: ${name(one)}`);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Longest]]]:
    with longest(tmp_path_factory.mktemp("longest")) as running:
        yield running


def problems(page: Page, name: str) -> list[str]:
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    return [f"{name}: {one}" for one in page.evaluate(_PROBLEMS)]


# What has no layout of its own: redirects, data, the first account of an empty installation,
# and pages that exist only for the demo.
_NO_PAGE = {
    "account.back", "appearance.choose", "bootstrap.static", "dark.rules", "login.set_up",
    "pages.back_to_use", "pages.back_to_use_smtp", "pages.end_sign_in", "pages.fix_smtp",
    "pages.follow_check", "pages.show_arrival", "pages.show_earlier", "probes.description",
    "probes.healthz", "probes.metrics", "probes.readyz", "static",
}  # fmt: skip


def test_pages_are_all_tried_with_the_longest_values(
    installed: tuple[str, dict[str, Longest]], app: Flask
) -> None:
    routes = app.url_map.bind("")
    tried = {"login.sign_in"}
    for path in installed[1]["latin"].pages.values():
        try:
            tried.add(routes.match(urlsplit(path).path, method="GET")[0])
        except NotFound:
            continue
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and not f"{rule.rule}/".startswith(API_PREFIXES)
    }
    assert pages - _NO_PAGE - tried == set()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("script", SCRIPTS)
def test_pages_do_not_overflow_with_the_longest_values(
    chromium: Browser, installed: tuple[str, dict[str, Longest]], script: str, width: int
) -> None:
    url, shares = installed
    share, sign = shares[script], SCRIPTS[script]
    with chromium.new_context(viewport={"width": width, "height": 800}) as context:
        page = context.new_page()
        page.goto(f"{url}/login")
        found = problems(page, "login")
        page.locator("input[name=name]").fill(share.name)
        page.locator("input[name=password]").fill("wrong")
        page.locator("main [type=submit]").click()
        found += problems(page, "login refused")
        page.locator("input[name=password]").fill(PASSWORD)
        page.locator("main [type=submit]").click()
        page.wait_for_url(lambda url: not url.endswith("/login"))
        for name, path in share.pages.items():
            if name.startswith("remove ") and name != "remove server":
                continue  # each is there for one of the widths
            reply = page.goto(url + path)
            assert reply is not None
            assert reply.status == {"refused": 400, "not found": 404}.get(name, 200), name
            found += problems(page, name)
        found += [*_refused(page, url, share, sign), *_sent(page, url, share, sign)]
    assert not found, "\n".join(found)


def _refused(page: Page, url: str, share: Longest, sign: str) -> Iterator[str]:
    """Forms that come back with what was typed."""
    page.goto(url + share.pages["edit app"])
    page.locator("input[name=testemail]").fill(sign * 250)
    page.locator("main [type=submit]").click()
    page.locator(".errors").wait_for()
    yield from problems(page, "app refused")
    page.goto(url + share.pages["new server"])
    page.locator("#provider").fill(sign * 300)
    with page.expect_navigation():
        page.locator("[name=use]").click()
    yield from problems(page, "no such provider")
    page.locator("#provider").fill("ses")
    page.locator("[name=use]").click()
    page.locator(".fitting").wait_for()
    yield from problems(page, "several providers")
    page.locator("#host").fill(sign * 250)
    page.locator("[name=save]").click()
    page.locator(".errors").wait_for()
    yield from problems(page, "server refused")


def _sent(page: Page, url: str, share: Longest, sign: str) -> Iterator[str]:
    """What a page says of what was done."""
    page.goto(url + share.pages["find"])
    page.locator("input[name=email]").fill(ADDRESS)
    with page.expect_navigation():
        page.locator("main [type=submit]").click()
    yield from problems(page, "found")
    page.goto(url + share.pages["edit server"])
    page.locator("input[name=host]").fill(HOST.replace("w", "m", 1))
    page.locator("input[name=smtp_secret]").fill("x" * 1024)
    page.locator("[name=save]").last.click()
    page.wait_for_url(url + share.pages["edit server"].removesuffix("/edit"))
    yield from problems(page, "saved")
    page.goto(url + share.pages["account"])
    page.locator("form[action$='/account/tokens'] input[name=label]").fill(sign * 199)
    page.locator("#create-token").click()
    page.locator("#token").wait_for()
    yield from problems(page, "new token")
    first = page.viewport_size == {"width": WIDTHS[0], "height": 800}
    page.goto(url + share.pages["remove one" if first else "remove another"])
    with page.expect_navigation():
        page.locator("main button.btn-danger").click()
    yield from problems(page, "removed")
