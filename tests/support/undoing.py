"""Delete things on pages, and undo what a page offers to undo."""

from __future__ import annotations

from tests.support.browser import Browser, Page


def undo_path(page: Page) -> str:
    found = [
        value
        for one in page.all("form", "button")
        if (value := one.get("action") or one.get("formaction") or "").startswith("/undo/")
    ]
    assert found, page.text
    return found[0]


def undo(browser: Browser, page: Page) -> Page:
    fields = [one for one in page.all("input") if one.get("name") == "csrf_token"]
    return browser.post(undo_path(page), {"csrf_token": [fields[0].get("value") or ""]})


def delete(browser: Browser, path: str) -> Page:
    return browser.press(browser.get(f"{path}/remove"), f"{path}/remove")


def token(browser: Browser) -> dict[str, list[str]]:
    return {"csrf_token": browser.get("/apps/new").form().values["csrf_token"]}
