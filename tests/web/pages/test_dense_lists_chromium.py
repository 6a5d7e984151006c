"""Lists of sixty servers in a real browser: their measures, what can be pressed, what is seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from tests.support.chromium import DESKTOP, Watched, violations
from tests.support.many_servers import COUNT, many_servers
from tests.support.tour import Tour
from tests.support.vitals import Meter

PHONE: ViewportSize = {"width": 390, "height": 844}
LISTS = ("app", "servers", "apps", "batch", "home", "order")
MOST_HIGH = {"desktop": 64, "phone": 96}
VIEWPORTS = {"desktop": DESKTOP, "phone": PHONE}
MOST_ELEMENTS, MOST_BYTES, MOST_SHIFT = 700, 40_000, 0.02


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tour]:
    with many_servers(tmp_path_factory.mktemp("many")) as running:
        yield running


@contextmanager
def opened(
    chromium: Browser, many: Tour, name: str, device: str = "desktop", **options: Any
) -> Iterator[Page]:
    with chromium.new_context(viewport=VIEWPORTS[device], **options) as context:
        tab = Watched(context)
        many.sign_in(tab.page)
        tab.page.goto(many.url + many.pages[name])
        yield tab.page
        assert [one for one in tab.complaints if "ERR_FAILED" not in one] == []


# --- measures --------------------------------------------------------------------------------

BOXES = """selector => [...document.querySelectorAll(selector)]
  .map(it => it.getBoundingClientRect()).map(it => [it.x, it.y + scrollY, it.width, it.height])"""


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_rows_are_low_and_come_first(
    chromium: Browser, many: Tour, device: str, language: str
) -> None:
    with opened(chromium, many, "app", device, locale=language) as page:
        for name in LISTS:
            page.goto(many.url + many.pages[name])
            boxes = page.evaluate(BOXES, ".dense-row")
            assert len(boxes) >= 15, name
            assert max(height for *_, height in boxes) <= MOST_HIGH[device], name
            if device == "phone" and name not in ("batch", "home"):
                assert boxes[0][1] < 300, f"{name}: the first row is at {boxes[0][1]}"
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, name


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_rows_of_a_phone_come_first_also_without_scripts(
    chromium: Browser, many: Tour, scripts: bool
) -> None:
    with opened(chromium, many, "app", "phone", java_script_enabled=scripts) as page:
        box = page.locator(".dense-row").first.bounding_box()
        assert box and box["y"] < 300
        expect(page.get_by_role("link", name="Add SMTP server")).to_have_count(1)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("app", (".row-title", ".state", ".row-bar", ".row-last", ".row-check")),
        ("servers", (".row-title", ".row-app", ".state", ".row-bar", ".row-last")),
        ("apps", (".row-title", ".state")),
        ("order", (".row-handle", ".row-title", ".state", ".row-down")),
    ],
)
def test_columns_are_aligned(
    chromium: Browser, many: Tour, name: str, parts: tuple[str, ...]
) -> None:
    with opened(chromium, many, name) as page:
        for part in parts:
            lefts = {round(x) for x, *_ in page.evaluate(BOXES, f".dense-row > {part}")}
            assert len(lefts) == 1, f"{part}: {lefts}"
        bars = {round(width) for _, _, width, _ in page.evaluate(BOXES, ".row-bar img")}
        assert len(bars) <= 1


def test_position_is_shown_instead_of_the_priority(chromium: Browser, many: Tour) -> None:
    with opened(chromium, many, "app") as page:
        shown = page.evaluate(
            "[...document.querySelectorAll('.dense-row')]"
            ".map(it => getComputedStyle(it, '::before').content)"
        )
        assert shown == [f'"{number}"' for number in range(1, 51)]
        assert "Priority" not in page.inner_text("main")


# --- what can be pressed ---------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_row_leads_to_its_page_and_its_parts_to_theirs(
    chromium: Browser, many: Tour, scripts: bool
) -> None:
    with opened(chromium, many, "app", java_script_enabled=scripts) as page:
        row = page.locator(".dense-row").nth(2)
        target = row.locator(".row-title").get_attribute("href") or ""
        box = row.bounding_box()
        state = row.locator(".state").bounding_box()
        assert box and state
        free = (state["x"] + state["width"] + 10, box["y"] + box["height"] - 5)
        page.mouse.click(*free)
        page.wait_for_url(f"**{target}")
        page.go_back()
        if not scripts:
            row.locator(".row-bar").click()
            page.wait_for_url(f"**{target}#history")
            page.go_back()
        row.locator(".row-last").click()
        page.wait_for_url("**/checks/*")
        page.go_back()
        row.locator(".row-choice").check()
        expect(row.locator(".row-choice")).to_be_checked()


@pytest.mark.parametrize("device", ["desktop", "phone"])
@pytest.mark.parametrize("name", ["app", "servers"])
def test_mark_of_a_bar_leads_to_its_check(
    chromium: Browser, many: Tour, name: str, device: str
) -> None:
    with opened(chromium, many, name, device) as page:
        page.wait_for_load_state("networkidle")
        row = page.locator(".dense-row", has=page.locator(".row-bar")).nth(2)
        bar = row.locator(".row-bar img")
        history = row.locator(".row-bar").get_attribute("href") or ""
        page.goto(many.url + history)
        links = page.locator(".marks a").evaluate_all("all => all.map(it => it.href)")
        assert len(links) == 30
        for place in (0, 13, 29):
            page.goto(many.url + many.pages[name], wait_until="networkidle")
            box = bar.bounding_box()
            assert box
            page.mouse.click(box["x"] + box["width"] * (place + 0.4) / 30, box["y"] + 8)
            page.wait_for_url(links[place])
        # One stop for keys: where each mark is a link of its own.
        page.goto(many.url + many.pages[name], wait_until="networkidle")
        bar.hover()
        row.locator(".row-bar").focus()
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{history}")


@pytest.mark.parametrize("name", LISTS)
def test_control_contains_no_other_control(chromium: Browser, many: Tour, name: str) -> None:
    with opened(chromium, many, name) as page:
        nested = "main :is(a, button, label) :is(a, button)"
        assert page.locator(nested).count() == 0


def test_row_is_reached_and_opened_by_keys(chromium: Browser, many: Tour) -> None:
    with opened(chromium, many, "app") as page:
        title = page.locator(".row-title").nth(1)
        page.locator(".row-choice").nth(1).focus()
        page.keyboard.press("Tab")
        expect(title).to_be_focused()
        # The outline is drawn around the row that it opens.
        outline = title.evaluate("it => getComputedStyle(it, '::after').outlineStyle")
        assert outline == "solid"
        target = title.get_attribute("href") or ""
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{target}")


def test_filter_applies_on_change_and_keeps_the_focus(chromium: Browser, many: Tour) -> None:
    with opened(chromium, many, "servers") as page:
        expect(page.get_by_role("button", name="Apply")).to_be_hidden()
        state = page.get_by_label("State")
        with page.expect_navigation():
            state.select_option("degraded")
        assert page.url.endswith("/smtps?state=degraded&sort=app")
        expect(page.locator(".dense-row")).to_have_count(1)
        expect(state).to_be_focused()
        page.goto(many.url + many.pages["apps"])
        with page.expect_navigation():
            page.get_by_label("Show").select_option("problems")
        assert "state=problems" in page.url
        page.goto(many.url + many.pages["app"])
        page.get_by_label("Search servers").fill("gmail")
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.locator(".dense-row").count() == COUNT // 4


def test_filter_without_scripts_has_a_button(chromium: Browser, many: Tour) -> None:
    with opened(chromium, many, "app", "phone", java_script_enabled=False) as page:
        button = page.get_by_role("button", name="Apply")
        expect(button).to_be_hidden()  # folded: the list comes first
        page.locator("summary", has_text="Filter").click()
        page.get_by_label("Show").select_option("disabled")
        button.click()
        expect(page.locator(".dense-row .state").first).to_have_text("Disabled")
        expect(button).to_be_visible()  # open while it filters


def test_button_counts_what_is_selected(chromium: Browser, many: Tour) -> None:
    with opened(chromium, many, "app") as page:
        button = page.locator("#check-chosen")
        expect(button).to_be_hidden()
        page.locator(".row-choice").nth(0).check()
        expect(button).to_have_text("Check 1 selected")
        page.locator(".row-choice").nth(5).check()
        expect(button).to_have_text("Check 2 selected")
        page.get_by_label("Select this page").check()
        expect(button).to_have_text("Check 50 selected")
    with opened(chromium, many, "app", java_script_enabled=False) as page:
        expect(page.get_by_role("button", name="Check selected")).to_be_visible()


def test_handles_and_arrows_are_only_in_the_mode_that_reorders(
    chromium: Browser, many: Tour
) -> None:
    with opened(chromium, many, "app") as page:
        expect(page.locator(".row-handle, .row-move")).to_have_count(0)
        page.get_by_role("link", name="Reorder").click()
        expect(page.locator(".row-handle:visible")).to_have_count(COUNT)
        expect(page.locator(".row-move")).to_have_count(2 * COUNT - 2)
        expect(page.locator(".row-choice, .row-check")).to_have_count(0)
        page.get_by_role("link", name="Done").click()
        expect(page.locator(".row-choice")).to_have_count(50)


# --- what is seen ----------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["desktop", "phone"])
@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_message_of_a_move_far_below_is_seen_beside_its_row(
    chromium: Browser, many: Tour, scripts: bool, device: str
) -> None:
    with opened(chromium, many, "order", device, java_script_enabled=scripts) as page:
        row = page.locator(".dense-row").nth(COUNT - 1)
        name = row.get_attribute("id")
        row.locator(".row-up").click()
        said = page.locator(f"#{name} .row-said")
        expect(said).to_contain_text(f"is now number {COUNT - 1} of {COUNT}.")
        expect(said).to_be_in_viewport()
        said.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("The order is as it was before.")).to_be_in_viewport()


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_error_of_a_move_far_below_is_seen_beside_its_row(
    chromium: Browser, many: Tour, device: str
) -> None:
    def fail(route: Route) -> None:
        route.abort()

    with opened(chromium, many, "order", device) as page:
        page.route(re.compile("/order$"), fail)
        row = page.locator(".dense-row").nth(COUNT - 1)
        row.locator(".row-up").click()
        expect(row.locator(".row-said")).to_contain_text("smtpweb could not be reached")
        expect(row.locator(".row-said")).to_be_in_viewport(ratio=1)
        expect(page.get_by_role("status").first).to_contain_text("could not be reached")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lists_have_no_accessibility_violation(
    chromium: Browser, many: Tour, scheme: Literal["light", "dark"]
) -> None:
    for device in ("desktop", "phone"):
        with opened(
            chromium, many, "app", device, color_scheme=scheme, reduced_motion="reduce"
        ) as page:  # colours are measured, not their change under the pointer
            page.locator(".row-choice").first.check()
            assert violations(page) == []
            for name in ("order", "servers", "apps", "batch", "home"):
                page.goto(many.url + many.pages[name])
                assert violations(page) == [], name


# --- budgets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_page_with_fifty_servers_keeps_its_budget(
    chromium: Browser, many: Tour, device: str
) -> None:
    """Its document as served to a browser; style sheets and scripts are kept for a year."""
    with opened(chromium, many, "app", device) as page:
        meter = Meter(page)
        for name in ("app", "servers", "apps"):
            seen = meter.open(many.url + many.pages[name])
            assert page.locator(".dense-row").count() == 50
            assert seen.elements <= MOST_ELEMENTS, name
            assert 1000 < seen.document <= MOST_BYTES, name
            assert seen.shift < MOST_SHIFT, name


def test_page_with_fifty_servers_keeps_its_budget_however_they_are_marked(
    chromium: Browser, tmp_path: Path
) -> None:
    """All are broken duplicates with tags, and have checks of every kind."""
    with many_servers(tmp_path, worst=True) as many, opened(chromium, many, "app") as page:
        meter = Meter(page)
        for name in ("app", "servers"):
            seen = meter.open(many.url + many.pages[name])
            assert page.locator(".dense-row").count() == 50
            assert "transactional" in page.locator(".dense-row").first.inner_text()
            assert seen.elements <= MOST_ELEMENTS, name
            assert seen.document <= MOST_BYTES, name


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_scripts_that_start_late_move_no_row(chromium: Browser, many: Tour, device: str) -> None:
    def top(page: Page, name: str) -> float:
        page.goto(many.url + many.pages[name], wait_until="networkidle")
        box = page.locator(".dense-row").first.bounding_box()
        assert box
        return box["y"]

    with opened(chromium, many, "app", device) as page:
        page.wait_for_load_state("networkidle")
        names = ("app", "servers", "apps", "order")
        with_scripts = [top(page, name) for name in names]
        page.route(re.compile(r"\.js\?"), lambda route: route.abort())
        assert [top(page, name) for name in names] == with_scripts


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_rows_stay_where_they_are_while_the_rest_of_the_page_arrives(
    chromium: Browser, many: Tour, device: str
) -> None:
    def half(route: Route) -> None:
        reply = route.fetch()
        text = reply.text()
        route.fulfill(response=reply, body=text[: text.index("</li>", text.index("dense-row"))])

    def boxes(page: Page) -> list[tuple[str, list[int]]]:
        page.goto(many.url + many.pages[name])
        found: list[tuple[str, list[int]]] = page.evaluate(
            "[...document.querySelector('.dense-row').children].map(it => [it.className,"
            " [it.getBoundingClientRect().x, it.getBoundingClientRect().y + scrollY]])"
        )
        return found

    with opened(chromium, many, "app", device) as page:
        for name in LISTS:
            whole = boxes(page)
            page.route(re.compile(re.escape(many.pages[name]) + "$"), half)
            assert boxes(page) == whole, name
            page.unroute_all()
