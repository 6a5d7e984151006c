"""The advanced part of the form, and trusting the key that a failed check has seen."""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from smtpweb.config import Settings
from smtpweb.database.models import Smtp
from smtpweb.database.session import db
from tests.conftest import settings_for
from tests.support.browser import Browser, Page
from tests.support.factories import SAVE, only_smtp, typed
from tests.support.fake_certificates import ca_pem, client_pair
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.people import Person

CERTIFICATE, KEY = client_pair()
SECRET_LINE = KEY.splitlines()[2]


def saved(browser: Browser, idapp: str, **changes: Any) -> Page:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(**changes))
    assert page.url.startswith("/smtps/"), page.text
    return page


def refused(browser: Browser, idapp: str, **changes: Any) -> dict[str, str]:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(**changes))
    assert page.status == 422
    assert SECRET_LINE not in page.html
    return page.errors()


def advanced(page: Page) -> Any:
    found = page.root.find(".//details[@class='advanced']")
    assert found is not None
    return found


def test_advanced_part_is_closed_until_something_is_set(
    app: Flask, browser: Browser, idapp: str
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    assert "open" not in advanced(page).attrib
    assert "sourceaddress" not in page.form().values
    saved(browser, idapp, mechanism="LOGIN", ehloname="app.example.com", envelopefrom="b@b.example")
    page = browser.get(f"/smtps/{only_smtp(app).id}/edit")
    assert "open" in advanced(page).attrib
    form = page.form()
    assert [form.value(name) for name in ("mechanism", "ehloname", "envelopefrom")] == [
        "LOGIN", "app.example.com", "b@b.example",
    ]  # fmt: skip
    browser.send(page, form.fill(mechanism="", ehloname="", envelopefrom=""), SAVE)
    smtp = only_smtp(app)
    assert (smtp.mechanism, smtp.ehloname, smtp.envelopefrom) == (None, None, None)


def test_certificates_are_pasted_and_the_key_is_never_shown(
    app: Flask, browser: Browser, idapp: str
) -> None:
    given = {"cacertificates": ca_pem(), "clientcertificate": CERTIFICATE, "clientkey": KEY}
    saved(browser, idapp, **given)
    page = browser.get(f"/smtps/{only_smtp(app).id}/edit")
    assert page.form().value("cacertificates").strip() == ca_pem().strip()
    assert page.form().value("clientkey") == ""
    assert SECRET_LINE not in page.html
    before = only_smtp(app)
    browser.send(page, page.form().fill(priority="3"), SAVE)
    after = only_smtp(app)
    assert after.priority == 3
    assert after.clientkey_sealed == before.clientkey_sealed
    assert after.cacertificates == before.cacertificates


def test_certificates_are_uploaded(app: Flask, browser: Browser, idapp: str) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    form = page.form().fill(**typed())
    data: dict[str, Any] = {name: values[0] for name, values in form.values.items() if values}
    der = ssl.PEM_cert_to_DER_cert(ca_pem())
    files = {"cacertificates": der, "clientcertificate": CERTIFICATE.encode(),
             "clientkey": KEY.encode()}  # fmt: skip
    uploads = {f"{name}_file": (io.BytesIO(text), "a.pem") for name, text in files.items()}
    name, value = form.buttons[SAVE] or ("", "")
    reply = browser.client.post(page.url, data=data | uploads | {name: value})
    assert reply.status_code == 303
    smtp = only_smtp(app)
    assert smtp.cacertificates == ca_pem()
    assert smtp.clientcertificate == CERTIFICATE
    assert smtp.clientkey_sealed


@pytest.mark.parametrize(
    ("field", "changes", "words"),
    [
        ("cacertificates", {"cacertificates": KEY}, "contains a private key"),
        ("cacertificates", {"cacertificates": "hello"}, "not a certificate"),
        ("clientcertificate", {"clientcertificate": CERTIFICATE + KEY}, "contains a private key"),
        ("clientkey", {"clientcertificate": CERTIFICATE}, "Enter the private key"),
        ("clientkey", {"clientcertificate": CERTIFICATE, "clientkey": client_pair()[1]},
         "does not belong"),
        ("clientkey", {"clientcertificate": CERTIFICATE,
                       "clientkey": KEY.replace("EC PRIVATE", "ENCRYPTED PRIVATE")},
         "encrypted with a passphrase"),
        ("ehloname", {"ehloname": "two words"}, "full host name"),
        ("mechanism", {"mechanism": "XOAUTH2"}, "Must be one of PLAIN"),
    ],
)  # fmt: skip
def test_fault_is_shown_at_its_field_without_the_key(
    browser: Browser, idapp: str, field: str, changes: dict[str, str], words: str
) -> None:
    assert words in refused(browser, idapp, **changes)[field]


def test_new_name_of_a_server_keeps_its_results_with_a_client_key(
    app: Flask, browser: Browser, idapp: str
) -> None:
    saved(browser, idapp, clientcertificate=CERTIFICATE, clientkey=KEY)
    with app.app_context():
        db.session.execute(update(Smtp).values(judged=True))
        db.session.commit()
    page = browser.get(f"/smtps/{only_smtp(app).id}/edit")
    browser.send(page, page.form().fill(name="Relay"), SAVE)
    assert (only_smtp(app).name, only_smtp(app).judged) == ("Relay", True)


def test_password_is_asked_for_again_if_the_trust_changes(
    app: Flask, browser: Browser, idapp: str
) -> None:
    saved(browser, idapp)
    page = browser.get(f"/smtps/{only_smtp(app).id}/edit")
    page = browser.send(page, page.form().fill(cacertificates=ca_pem()), SAVE)
    assert list(page.errors()) == ["smtp_secret"]


class TestSourceAddress:
    @pytest.fixture
    def settings(self, database_url: str) -> Settings:
        return settings_for(database_url, source_addresses=(ip_address("127.0.0.1"),))

    def test_source_address_is_chosen_from_those_of_the_setting(
        self, app: Flask, browser: Browser, idapp: str
    ) -> None:
        form = browser.get(f"/apps/{idapp}/smtps/new").form()
        assert form.choices["sourceaddress"] == ["", "127.0.0.1"]
        saved(browser, idapp, sourceaddress="127.0.0.1")
        assert only_smtp(app).sourceaddress == "127.0.0.1"


# --- trusting the key of a failed check -----------------------------------------------------


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with fake_smtp(tls="starttls", login=("shop", "s3cret"), certificate="untrusted") as running:
        yield running


def failed(browser: Browser, alice: Person, idapp: str, server: FakeServer) -> Page:
    smtp_id = alice.make_smtp(
        idapp, host="localhost", port=server.port, starttls="true", auth="true", username="shop",
        password="s3cret",
    )["_id"]  # fmt: skip
    page = browser.get(f"/smtps/{smtp_id}")
    return browser.result(browser.press(page, f"/smtps/{smtp_id}/check"))


def test_key_of_a_failed_check_is_trusted_by_a_button_with_the_stored_password(
    app: Flask, browser: Browser, alice: Person, idapp: str, server: FakeServer
) -> None:
    page = failed(browser, alice, idapp, server)
    assert "If this certificate is the right one" in page.text
    assert server.mails == []
    page = browser.result(browser.press(page, f"{page.url}/trust"))
    assert len(server.mails) == 1, page.text
    smtp = only_smtp(app)
    assert smtp.certificatepin
    assert smtp.enabled
    assert "Trust exactly" not in page.text
    with app.app_context():
        db.session.execute(update(Smtp).values(certificatepin="A" * 43 + "="))
        db.session.commit()
    page = browser.result(
        browser.press(browser.get(f"/smtps/{smtp.id}"), f"/smtps/{smtp.id}/check")
    )
    assert page.heading == "The server has another key than the one that is trusted here"
    assert page.links()["Fix…"].endswith("field=certificatepin")


def test_key_is_not_trusted_if_the_server_changed_since(
    app: Flask, browser: Browser, alice: Person, idapp: str, server: FakeServer
) -> None:
    page = failed(browser, alice, idapp, server)
    smtp = only_smtp(app)
    alice.make_smtp(
        idapp, idsmtp=smtp.id, host="127.0.0.1", port=25, auth="true", username="shop",
        password="s3cret",
    )  # fmt: skip
    page = browser.press(page, f"{page.url}/trust")
    assert "has changed since then" in page.html
    assert only_smtp(app).certificatepin is None


def test_key_of_an_accepted_check_or_of_another_user_is_not_trusted(
    app: Flask, browser: Browser, alice: Person, charlie: Person, idapp: str, server: FakeServer
) -> None:
    page = failed(browser, alice, idapp, server)
    stranger = Browser(app)
    assert stranger.client.post(f"{page.url}/trust").status_code in (302, 303, 400)
    with app.app_context():
        smtp = db.session.get_one(Smtp, only_smtp(app).id)
        assert smtp.certificatepin is None
    with fake_smtp() as good:
        smtp_id = alice.make_smtp(idapp, host=good.host, port=good.port)["_id"]
        accepted = browser.result(
            browser.press(browser.get(f"/smtps/{smtp_id}"), f"/smtps/{smtp_id}/check")
        )
    assert "Trust exactly" not in accepted.text


def test_password_is_not_kept_for_a_key_that_no_check_has_seen(
    app: Flask, browser: Browser, alice: Person, idapp: str, server: FakeServer
) -> None:
    failed(browser, alice, idapp, server)
    smtp = only_smtp(app)
    page = browser.get(f"/smtps/{smtp.id}/edit")
    form = page.form().fill(certificatepin="0" * 64)
    form.values["keep_password"] = ["y"]
    page = browser.send(page, form, SAVE)
    assert list(page.errors()) == ["smtp_secret"]
    assert only_smtp(app).certificatepin is None
