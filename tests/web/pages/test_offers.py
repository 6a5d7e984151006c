"""The page of services that can be tried without paying."""

from __future__ import annotations

import datetime
from xml.etree.ElementTree import Element

import pytest

from smtpweb.providers import offers
from smtpweb.web.pages import offers as offers_page
from tests.support.browser import Browser, Page, one_database, signed_in, words
from tests.support.people import Person

pytestmark = one_database


def card(page: Page, name: str) -> Element:
    return page.by_id(name)


def links(element: Element) -> dict[str, str]:
    return {words(link): link.get("href", "") for link in element.iter("a")}


def test_offers_page_is_public_and_linked(alice: Person) -> None:
    assert Browser(alice.app).get("/offers").status == 200
    browser = signed_in(alice.app, alice)
    app = alice.make_app()
    for path in ("/login", "/docs", "/start", f"/apps/{app['_id']}/smtps/new"):
        assert "No SMTP server yet?" in browser.get(path).links(), path
    shown = browser.get(f"/apps/{app['_id']}").one("main")
    assert links(shown)["No SMTP server yet?"] == f"/offers?app={app['_id']}"


def test_offers_page_shows_limit_login_sandbox_date_and_source(alice: Person) -> None:
    page = Browser(alice.app).get("/offers")
    ses = words(card(page, "ses"))
    assert "200 emails a day" in ses
    assert "At first a sandbox" in ses
    assert "Checked on 2026-08-13" in ses
    assert "OAuth 2.0, no password" in words(card(page, "outlook"))
    assert links(card(page, "outlook"))["Use these settings"] == "/start/outlook"
    trial = words(card(page, "sendgrid"))
    assert "100 emails a day for 60 days" in trial
    assert links(card(page, "sendgrid"))["Sign up"] == "https://signup.sendgrid.com/"


def test_offers_page_shows_no_figure_without_a_dated_source(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Browser(alice.app).get("/offers")
    for offer in offers.offers():
        shown = words(card(page, offer.preset.id))
        assert ("emails a" in shown) == bool(offer.per_day or offer.per_month)
        assert ("Checked on" in shown) == (offer.checked is not None)

    class Later(datetime.date):
        @classmethod
        def today(cls) -> Later:
            return cls(2099, 1, 1)

    monkeypatch.setattr(offers_page, "date", Later)
    old = Browser(alice.app).get("/offers").text
    assert "emails a" not in old
    assert "Checked on" not in old
    assert "sandbox:" not in old


def test_offer_is_used_for_a_new_app_or_for_one_that_exists(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    page = browser.get("/offers")
    assert links(card(page, "brevo"))["Use these settings"] == "/start/brevo"
    app = alice.make_app()
    page = browser.get(f"/offers?app={app['_id']}")
    form = browser.get(links(card(page, "brevo"))["Use these settings"]).form()
    assert (form.value("host"), form.value("port")) == ("smtp-relay.brevo.com", "587")
    form = browser.get(links(card(page, "sendgrid"))["Use these settings"]).form()
    assert form.value("smtp_login") == "apikey"
    chosen = browser.get(links(card(page, "ses"))["Use these settings"])
    assert chosen.status == 200
    assert "Which one?" in chosen.text
    form = browser.get(links(card(page, "outlook"))["Use these settings"]).form()
    assert (form.value("host"), form.value("signin")) == ("smtp-mail.outlook.com", "oauth")


@pytest.mark.parametrize("query", ["?app=", "?app=x", "?app=ffffffffffffffffffffffff", "?app=%00"])
def test_offers_page_takes_any_app_in_its_address(alice: Person, query: str) -> None:
    assert Browser(alice.app).get(f"/offers{query}").status == 200
