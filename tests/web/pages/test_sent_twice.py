"""The same opened form, sent twice, creates one thing."""

from __future__ import annotations

import pytest

from smtpweb.database.models import App, Check, Smtp
from tests.support.browser import Browser
from tests.support.factories import CHECK, SAVE, count, for_server, typed
from tests.support.fake_smtp import FakeServer
from tests.support.people import Person


def test_smtp_form_sent_twice_makes_one_server(browser: Browser, alice: Person, idapp: str) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    form = page.form().fill(**typed())
    first, second = browser.send(page, form, SAVE), browser.send(page, form, SAVE)
    assert first.url == second.url
    assert len(alice.smtps(idapp)) == 1


def test_smtp_form_changed_and_sent_again_makes_another_server(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    for host in ("one.example", "two.example", "one.example"):
        browser.send(page, page.form().fill(**typed(host=host)), SAVE)
    assert sorted(smtp["host"] for smtp in alice.smtps(idapp)) == ["one.example", "two.example"]


def test_smtp_form_opened_twice_makes_two_servers(
    browser: Browser, alice: Person, idapp: str
) -> None:
    for _ in range(2):
        browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    assert len(alice.smtps(idapp)) == 2


def test_smtp_form_keeps_its_key_after_a_mistake(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(port="0"))
    assert page.status == 422
    form = page.form().fill(port="587", smtp_secret="s3cret")
    browser.send(page, form, SAVE)
    browser.send(page, form, SAVE)
    assert len(alice.smtps(idapp)) == 1


def test_smtp_form_sent_twice_leads_to_the_one_check(
    browser: Browser, alice: Person, idapp: str, smtp: FakeServer
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    form = page.form().fill(**for_server(smtp))
    first = browser.send(page, form, CHECK)
    browser.result(first)
    assert browser.send(page, form, CHECK).url == first.url
    assert (count(alice.app, Smtp), count(alice.app, Check)) == (1, 1)


def test_app_form_sent_twice_makes_one_app(browser: Browser, alice: Person) -> None:
    page = browser.get("/apps/new")
    form = page.form().fill(name="shop")
    first, second = browser.send(page, form), browser.send(page, form)
    assert (first.status, second.status, first.url) == (200, 200, second.url)
    assert count(alice.app, App) == 1


@pytest.mark.parametrize("key", ["a b", "x" * 300])
def test_form_with_a_broken_key_is_refused(browser: Browser, alice: Person, key: str) -> None:
    page = browser.get("/apps/new")
    form = page.form().fill(name="shop")
    form.values["once_key"] = [key]
    assert browser.send(page, form).status == 422
    assert count(alice.app, App) == 0
