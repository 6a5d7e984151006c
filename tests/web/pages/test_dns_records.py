"""The card of the sender domain, the page of our own address, and warnings in the form."""

from __future__ import annotations

import pytest
from flask import Flask

from smtpweb.checking import limits
from smtpweb.extensions import services
from tests.support.browser import Browser, signed_in
from tests.support.dns_zones import GOOD
from tests.support.fake_dns import Records, fake_dns
from tests.support.people import Person


@pytest.fixture
def smtp_id(alice: Person, idapp: str) -> str:
    given = {"host": "smtp.office365.com", "defaultfromemail": "info@shop.example"}
    made: str = alice.make_smtp(idapp, **given)["_id"]
    return made


def test_card_shows_what_dns_says(app: Flask, browser: Browser, smtp_id: str) -> None:
    page = browser.get(f"/smtps/{smtp_id}")
    link = next(href for text, href in page.links().items() if text.startswith("Look up its DNS"))
    changed: Records = {("selector1._domainkey.shop.example", "TXT"): ['"v=DKIM1; p="']}
    with fake_dns(GOOD | changed) as server:
        services(app).resolver = server.resolver
        page = browser.get(link)
    assert "shop.example" in page.text
    assert "v=spf1 include:spf.protection.outlook.com -all" in page.text
    assert "no key under the selectors of Microsoft 365" in page.text


def test_record_with_markup_is_text(app: Flask, browser: Browser, smtp_id: str) -> None:
    changed: Records = {("shop.example", "TXT"): ['"v=spf1 <script>alert(1)</script> -all"']}
    with fake_dns(GOOD | changed) as server:
        services(app).resolver = server.resolver
        assert "<script>alert" not in browser.get(f"/smtps/{smtp_id}/sender").html


def test_card_of_another_user_is_not_found(app: Flask, smtp_id: str, charlie: Person) -> None:
    with fake_dns({}) as server:
        services(app).resolver = server.resolver
        signed_in(app, charlie).get(f"/smtps/{smtp_id}/sender", status=404)
        assert server.asked == []


def test_look_ups_at_once_are_limited(app: Flask, browser: Browser, smtp_id: str) -> None:
    with app.app_context():
        slots = [limits.take_dns_slot() for _ in range(limits.DNS_SLOTS)]
        assert browser.client.get(f"/smtps/{smtp_id}/sender").status_code == 503
        for slot in slots:
            slot.release()


def test_form_warns_of_the_sender_domain_before_anything_is_sent(
    app: Flask, browser: Browser, idapp: str
) -> None:
    form = browser.get(f"/apps/{idapp}/smtps/new").form()
    form.fill(host="smtp.office365.com", defaultfromemail="info@shop.example")
    with fake_dns(GOOD | {("shop.example", "MX"): ["0 ."]}) as server:
        services(app).resolver = server.resolver
        reply = browser.client.post(f"/apps/{idapp}/smtps/preflight", data=form.values)
    assert reply.json
    (warning,) = reply.json["warnings"]["defaultfromemail"]
    assert warning.startswith("MX of shop.example: The domain says that it receives no email")


def test_own_address_is_shown_to_administrators_only(
    app: Flask, browser: Browser, charlie: Person
) -> None:
    with fake_dns({("smtpweb.example", "A"): ["203.0.113.9"]}) as server:
        services(app).resolver = server.resolver
        page = browser.get("/operation/address")
        assert "The EHLO name smtpweb.example exists in DNS" in page.text
        assert "no reverse DNS" in page.text
        signed_in(app, charlie).get("/operation/address", status=404)
