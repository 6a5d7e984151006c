"""The order of SMTPs in a real browser: by mouse, finger, keys and buttons; a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from smtpweb.app import create_app
from smtpweb.database.models import App, Smtp
from smtpweb.database.session import db
from tests.conftest import settings_for
from tests.support.chromium import DESKTOP, PHONE, Watched, fits
from tests.support.fake_smtp import FakeServer
from tests.support.serving import Program, database_of
from tests.support.worker import work

HOSTS = ("ada", "bob", "cleo", "dan")


def add_smtps(folder: Path, *, port: int = 25, host: str = "", count: int = len(HOSTS)) -> None:
    """SMTPs of the one app, named by HOSTS unless ``host`` is given."""
    app = create_app(settings_for(database_of(folder)))
    with app.app_context():
        shop = db.session.query(App).one()
        shop.strategy = "PRIORITY"
        for number in range(count):
            name = host or f"{HOSTS[number]}.example.net"
            db.session.add(Smtp(app_id=shop.id, host=name, port=port, priority=10 * number))
        db.session.commit()
        db.engine.dispose()


@pytest.fixture
def listed(
    chromium: Browser, served: tuple[str, Program], served_folder: Path
) -> Iterator[Callable[..., Page]]:
    """Opens a tab with the list of four SMTPs; the first tab makes them."""
    url, program = served
    with chromium.new_context(viewport=DESKTOP) as first:
        tab = Watched(first)
        tab.set_up(url, program)
        tab.make_app()
        add_smtps(served_folder)
        cookies, address = first.storage_state(), tab.page.url
    contexts: list[BrowserContext] = []
    tabs: list[Watched] = []

    def open_tab(mode: str = "/order", **options: Any) -> Page:
        context = chromium.new_context(storage_state=cookies, **({"viewport": DESKTOP} | options))
        contexts.append(context)
        tabs.append(Watched(context))
        tabs[-1].page.goto(address + mode)
        return tabs[-1].page

    yield open_tab
    for context in contexts:
        context.close()
    assert [tab.complaints for tab in tabs] == [[] for _ in tabs]


def shown(page: Page) -> Locator:
    return page.locator(".row-title")


def in_order(page: Page, *names: str) -> None:
    expect(shown(page)).to_have_text([f"{name}.example.net:25" for name in names])


def told(page: Page) -> Locator:
    return page.locator("#order-told")


def handle(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=f"Move {name}.example.net:25: drag")


def test_arrow_keys_move_an_smtp_and_the_focus_stays_with_it(
    listed: Callable[..., Page],
) -> None:
    page = listed()
    in_order(page, "ada", "bob", "cleo", "dan")
    handle(page, "cleo").focus()
    page.keyboard.press("ArrowUp")
    expect(told(page)).to_have_text("cleo.example.net:25 is now number 2 of 4.")
    expect(handle(page, "cleo")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # it is the first already: nothing happens
    expect(told(page)).to_have_text("cleo.example.net:25 is now number 1 of 4.")
    in_order(page, "cleo", "ada", "bob", "dan")
    for _ in range(3):  # faster than the replies come
        page.keyboard.press("ArrowDown")
    expect(told(page)).to_have_text("cleo.example.net:25 is now number 4 of 4.")
    expect(page.locator(".row-used")).to_contain_text("ada.example.net")
    page.reload()
    in_order(page, "ada", "bob", "dan", "cleo")


def test_buttons_keep_the_focus_and_need_no_new_page(listed: Callable[..., Page]) -> None:
    page = listed(viewport=PHONE)
    page.evaluate("window.still = true")
    page.get_by_role("button", name="Move dan.example.net:25 up").click()
    expect(told(page)).to_have_text("dan.example.net:25 is now number 3 of 4.")
    expect(page.get_by_role("button", name="Move dan.example.net:25 up")).to_be_focused()
    in_order(page, "ada", "bob", "dan", "cleo")
    assert page.evaluate("window.still") is True
    fits(page)


def middle(locator: Locator) -> tuple[float, float]:
    box = locator.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_smtp_is_dragged_by_its_handle(listed: Callable[..., Page]) -> None:
    page = listed()
    x, y = middle(handle(page, "dan"))
    _, first = middle(handle(page, "ada"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, first - 30, steps=12)
    in_order(page, "dan", "ada", "bob", "cleo")
    page.mouse.up()
    expect(told(page)).to_have_text("dan.example.net:25 is now number 1 of 4.")
    expect(page.locator(".row-used")).to_contain_text("dan.example.net")
    # Escape puts it back.
    x, y = middle(handle(page, "bob"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 100, steps=8)
    in_order(page, "dan", "ada", "cleo", "bob")
    page.keyboard.press("Escape")
    page.mouse.up()
    in_order(page, "dan", "ada", "bob", "cleo")
    page.reload()
    in_order(page, "dan", "ada", "bob", "cleo")


def test_smtp_is_dragged_by_a_finger(listed: Callable[..., Page]) -> None:
    page = listed(viewport=PHONE, has_touch=True, is_mobile=True)
    handle(page, "ada").scroll_into_view_if_needed()
    x, y = middle(handle(page, "ada"))
    _, second = middle(page.locator(".dense-row").nth(1))
    touch = page.context.new_cdp_session(page)

    def finger(kind: str, *points: tuple[float, float]) -> None:
        at = [{"x": left, "y": top} for left, top in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    finger("touchStart", (x, y))
    for part in range(1, 11):
        finger("touchMove", (x, y + (second + 30 - y) * part / 10))
    finger("touchEnd")
    expect(told(page)).to_have_text("ada.example.net:25 is now number 2 of 4.")
    in_order(page, "bob", "ada", "cleo", "dan")


def test_order_that_somebody_else_changed_is_named_and_shown(listed: Callable[..., Page]) -> None:
    page, other = listed(), listed()
    other.get_by_role("button", name="Move dan.example.net:25 up").click()
    expect(told(other)).to_contain_text("number 3")
    handle(page, "dan").focus()
    page.keyboard.press("ArrowUp")
    expect(told(page)).to_contain_text("nothing was moved")
    said = page.locator("li", has=handle(page, "dan")).locator(".row-said")
    expect(said).to_contain_text("nothing was moved")
    expect(said).to_be_in_viewport()
    in_order(page, "ada", "bob", "dan", "cleo")
    expect(handle(page, "dan")).to_be_focused()


def test_buttons_without_scripts_load_the_page_anew(listed: Callable[..., Page]) -> None:
    page = listed(java_script_enabled=False)
    expect(page.locator("[data-handle]").first).to_be_hidden()
    page.get_by_role("button", name="Move dan.example.net:25 up").click()
    expect(page.locator(".row-said")).to_contain_text("dan.example.net:25 is now number 3 of 4.")
    expect(page.locator(".row-said")).to_be_in_viewport()
    in_order(page, "ada", "bob", "dan", "cleo")


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_selected_smtps_are_checked_at_once(
    listed: Callable[..., Page], smtp: FakeServer, served_folder: Path, scripts: bool
) -> None:
    for _number in range(2):
        add_smtps(served_folder, host=smtp.host, port=smtp.port, count=1)
    page = listed("", java_script_enabled=scripts)
    for box in page.get_by_role("checkbox", name=f"Select {smtp.host}").all():
        box.check()
    if scripts:
        every = page.get_by_label("Select all")
        expect(every).to_be_checked(checked=False)
        every.check()
        expect(page.get_by_role("checkbox", checked=True)).to_have_count(7)
        every.uncheck()
        expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)
        for box in page.get_by_role("checkbox", name=f"Select {smtp.host}").all():
            box.check()
    page.get_by_role("button", name="Check 2 selected" if scripts else "Check selected").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Checks of shop")
    with ThreadPoolExecutor(1) as beside:  # the browser has an event loop in this thread
        app = create_app(settings_for(database_of(served_folder)))
        assert beside.submit(work, app).result() == 2
        with app.app_context():
            db.engine.dispose()
    expect(page.get_by_role("status")).to_contain_text(
        "2 of 2 checked: 2 accepted, 0 failed.", timeout=20_000
    )
    expect(page.get_by_role("progressbar")).to_have_attribute("max", "2")
    assert page.get_by_role("progressbar").evaluate("bar => bar.value") == 2
    expect(page.locator(".dense-row .state")).to_have_text(["Accepted", "Accepted"])
    assert len(smtp.mails) == 2
    fits(page)
