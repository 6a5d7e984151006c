"""The pages of alarms."""

from __future__ import annotations

import dataclasses

import pytest
from flask import Flask

from smtpweb.extensions import services
from tests.support.browser import Browser, Page
from tests.support.databases import ONE_DATABASE
from tests.support.fake_http import fake_hook
from tests.support.people import Person

pytestmark = ONE_DATABASE


@pytest.fixture(autouse=True)
def _open_loopback(app: Flask) -> None:
    settings = services(app).settings
    services(app).settings = dataclasses.replace(
        settings, webhook_egress=settings.egress.for_webhooks("*")
    )


def address(page: Page, end: str) -> str:
    """Where the form goes whose address ends so."""
    return next(
        form.get("action", "")
        for form in page.root.iter("form")
        if form.get("action", "").endswith(end)
    )


def test_webhook_is_added_tested_switched_off_and_removed(browser: Browser, idapp: str) -> None:
    with fake_hook(204, 500) as hook:
        page = browser.get(f"/apps/{idapp}/alarms")
        assert "This app has no alarms of its own." in page.text
        page = browser.submit(f"/apps/{idapp}/alarms/new/webhook", target=hook.url, label="ops")
        secret = page.root.find(".//input[@id='secret']")
        assert secret is not None and secret.get("value", "").startswith("whsec_")
        page = browser.get(f"/apps/{idapp}/alarms")
        assert "ops" in page.text and f"http://127.0.0.1:{hook.port}/…" in page.text
        assert "secret-path" not in page.html and "whsec_" not in page.html
        test = address(page, "/test")
        assert "The test was delivered: HTTP 204" in browser.press(page, test).text
        assert "The test was not delivered: HTTP 500" in browser.press(page, test).text
    page = browser.press(page, test.replace("/test", "/off"))
    assert "Off" in page.text
    page = browser.press(page, test.replace("/test", "/on"))
    page = browser.get(test.replace("/test", "/remove"))
    page = browser.press(page, test.replace("/test", "/remove"))
    assert "The alarm was removed." in page.text


def test_email_of_the_account_needs_no_address(browser: Browser) -> None:
    page = browser.submit("/account/alarms/new/email", quietfrom="22:00", quietuntil="07:00")
    assert "the address of the account, alice@example.com" in page.text
    assert "quiet from 22:00 to 07:00, UTC" in page.text


def test_edit_keeps_the_target_that_it_does_not_show(browser: Browser, idapp: str) -> None:
    browser.submit(f"/apps/{idapp}/alarms/new/email", target="ops@example.com")
    page = browser.get(f"/apps/{idapp}/alarms")
    edit = next(url for url in page.links().values() if url.startswith("/alarms/"))
    edit = edit.replace("/remove", "/edit")
    form = browser.get(edit).form()
    assert form.value("target") == ""
    page = browser.submit(edit, label="team", weekly=True, events=["lost"])
    assert "team" in page.text and "ops@example.com" in page.text
    assert "weekly report" in page.text


@pytest.mark.parametrize(
    ("kind", "typed", "said"),
    [
        ("email", {}, "Fill in this field."),
        ("email", {"target": "nobody"}, "Enter a valid email address"),
        ("webhook", {"target": "hooks.example.com"}, "Must be a URL such as"),
        ("apprise", {"target": "exec://rm"}, "Must be an Apprise URL"),
        ("email", {"target": "a@example.com", "quietfrom": "22:00"}, "both ends"),
        ("email", {"target": "a@example.com", "timezone": "Mars/Olympus"}, "time zone"),
    ],
)
def test_wrong_values_are_said_at_the_field(
    browser: Browser, idapp: str, kind: str, typed: dict[str, str], said: str
) -> None:
    page = browser.submit(f"/apps/{idapp}/alarms/new/{kind}", **typed)
    assert page.status == 422
    assert said in page.text


def test_alarms_of_somebody_else_are_no_pages(browser: Browser, charlie: Person) -> None:
    theirs = charlie.make_app()["_id"]
    alarm = charlie.post(
        "/private/alarms/save", idapp=theirs, kind="email", target="c@example.com"
    ).json["_id"]
    for path in (f"/apps/{theirs}/alarms", f"/alarms/{alarm}/edit", f"/alarms/{alarm}/remove"):
        browser.get(path, status=404)
