"""The first run, from the choice of a provider to the confirmed arrival, without a script."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from smtpweb.database.models import App, Check, Smtp
from smtpweb.database.session import db
from smtpweb.errors import BadInput
from smtpweb.mailcheck import Answer
from smtpweb.mailcheck.drivers.probe import probe
from smtpweb.providers import presets
from smtpweb.registry import smtps
from tests.support.browser import Browser, one_database, signed_in
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.people import PASSWORD, Person

START = "Save and send a test email"


@pytest.fixture
def browser(alice: Person) -> Browser:
    return signed_in(alice.app, alice)


def stored(app: Flask) -> list[Smtp]:
    with app.app_context():
        found = list(db.session.scalars(db.select(Smtp)))
        for smtp in found:
            assert smtp.app  # loaded before the session ends
        return found


def other(server: FakeServer, **typed: Any) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": str(server.port),
        "encryption": "none",
        "smtp_login": "shop",
        "smtp_secret": "s3cret",
        "defaultfromemail": "shop@example.com",
        "testemail": "me@example.com",
        "name": "Shop",
    } | typed


def test_first_run_leads_from_the_choice_to_the_confirmed_arrival(browser: Browser) -> None:
    page = browser.get("/apps")
    page = browser.get(page.links()["Set up your first SMTP server"])
    assert len([link for link in page.links().values() if link.startswith("/start/")]) == 9
    with fake_smtp(login=("shop", "s3cret")) as server:
        page = browser.submit("/start/other", START, **other(server))
        page = browser.result(page)
    assert "Accepted" in page.text
    ((sender, recipients, raw),) = server.mails
    assert (sender, recipients) == ("shop@example.com", ["me@example.com"])
    link = re.search(rb"http://localhost(/received/[A-Za-z0-9_-]+)", raw)
    assert link
    mailbox = Browser(browser.app)
    received = mailbox.get(link[1].decode())
    mailbox.send(received, received.form())
    assert "Delivered: confirmed" in browser.get(page.url).text


@one_database
@pytest.mark.parametrize("preset", presets.presets(), ids=lambda preset: preset.id)
def test_start_form_asks_only_for_what_the_provider_does_not_decide(
    browser: Browser, preset: presets.Preset
) -> None:
    page = browser.get(f"/start/{preset.id}")
    names = set(page.form().values)
    assert ("server" in names) == (len(preset.hosts) > 1 and preset.host_is_known)
    assert ("host" in names) == (not preset.host_is_known)
    assert not names & {"port", "encryption", "auth"}
    if preset.word or preset.password_form in ("same", "none"):
        assert "smtp_login" not in names
        assert preset.word in page.text
    assert ("defaultfromemail" in names) == (not preset.wants_address)


@one_database
@pytest.mark.parametrize(
    ("provider", "typed", "expected"),
    [
        (
            "sendgrid",
            {"smtp_secret": "SG.x", "defaultfromemail": "shop@example.com"},
            ("smtp.sendgrid.net", 587, "apikey", "shop@example.com"),
        ),
        (
            "gmail",
            {"smtp_login": "me@gmail.com", "smtp_secret": "abcd efgh ijkl mnop"},
            ("smtp.gmail.com", 465, "me@gmail.com", "me@gmail.com"),
        ),
        (
            "ses",
            {
                "server": "email-smtp.eu-west-1.amazonaws.com",
                "smtp_login": "AKIAIOSFODNN7EXAMPLE",
                "smtp_secret": "x" * 44,
                "defaultfromemail": "shop@example.com",
            },
            ("email-smtp.eu-west-1.amazonaws.com", 587, "AKIAIOSFODNN7EXAMPLE", "shop@example.com"),
        ),
        (
            "postmark",
            {"smtp_secret": "11111111-2222", "defaultfromemail": "shop@example.com"},
            ("smtp.postmarkapp.com", 587, "11111111-2222", "shop@example.com"),
        ),
        (
            "all-inkl",
            {
                "host": "w0123.kasserver.com",
                "smtp_login": "m0123",
                "smtp_secret": "p",
                "defaultfromemail": "shop@example.com",
            },
            ("w0123.kasserver.com", 465, "m0123", "shop@example.com"),
        ),
    ],
)
def test_start_form_saves_an_app_and_its_server(
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
    typed: dict[str, str],
    expected: tuple[str, int, str, str],
) -> None:
    page = browser.submit(f"/start/{provider}", START, name="Shop", **typed)
    assert page.url.startswith("/checks/"), page.text
    (smtp,) = stored(browser.app)
    assert (smtp.host, smtp.port, smtp.username, smtp.app.defaultfromemail) == expected
    assert (smtp.auth, smtp.app.name, smtp.app.testemail) == (True, "Shop", "alice@example.com")
    preset = presets.of_id(provider)
    assert preset
    assert smtp.encryption is preset.modes[0].encryption


MICROSOFT: dict[str, str] = {
    "smtp_login": "shop@contoso.example",
    "oauthclientid": "the-app",
    "oauthclientsecret": "its-secret",
    "oauthtenant": "contoso.example",
}


@one_database
@pytest.mark.parametrize(
    ("provider", "grant", "ends_at"),
    [
        ("microsoft", "client_credentials", "/checks/"),
        ("microsoft", "authorization_code", "/oauth"),
        ("microsoft", "device_code", "/oauth"),
        ("outlook", "authorization_code", "/oauth"),
    ],
)
def test_start_form_signs_in_with_oauth_where_passwords_end(
    browser: Browser, provider: str, grant: str, ends_at: str
) -> None:
    page = browser.get(f"/start/{provider}")
    form = page.form()
    assert ("smtp_secret" in form.values) == ("signin" in form.values) == (provider != "outlook")
    assert form.values.get("signin", ["oauth"]) == ["oauth"]
    assert "http://localhost/oauth/callback" in page.text
    assert page.links()["Read the provider’s instructions"].startswith("https://learn.microsoft")
    typed = {name: text for name, text in MICROSOFT.items() if name in form.values}
    page = browser.submit(f"/start/{provider}", START, name="Shop", oauthgrant=grant, **typed)
    assert ends_at in page.url, page.text
    (smtp,) = stored(browser.app)
    assert (smtp.uses_oauth, smtp.password_sealed, smtp.auth) == (True, None, True)
    assert smtp.app.defaultfromemail == "shop@contoso.example"
    if ends_at == "/oauth":
        assert page.heading == "Sign in at the provider"
    assert "its-secret" not in page.html


@one_database
def test_start_form_accepts_a_password_where_passwords_still_work(browser: Browser) -> None:
    typed = {"smtp_login": "shop@contoso.example", "signin": "password", "name": "Shop"}
    page = browser.submit("/start/microsoft", START, **typed)
    assert page.errors() == {"smtp_secret": "Fill in this field."}
    page = browser.submit("/start/microsoft", START, **typed, smtp_secret="a password")
    assert page.url.startswith("/checks/")
    (smtp,) = stored(browser.app)
    assert (smtp.uses_oauth, smtp.username) == (False, "shop@contoso.example")


@one_database
def test_start_form_shows_what_is_missing_for_oauth_and_saves_nothing(browser: Browser) -> None:
    page = browser.submit("/start/outlook", START, smtp_login="me@outlook.com", name="Shop")
    assert page.errors() == {"oauthclientid": "Is required."}
    assert page.form().value("oauthgrant") == "authorization_code"
    assert stored(browser.app) == []
    typed = {name: text for name, text in MICROSOFT.items() if name != "oauthclientsecret"}
    page = browser.submit("/start/microsoft", START, name="Shop", **typed)
    assert page.errors() == {"oauthclientsecret": "Is required."}
    with browser.app.app_context():
        assert db.session.scalar(db.select(db.func.count()).select_from(App)) == 0


@one_database
def test_region_is_a_choice_that_must_be_made_where_there_is_no_usual_one(browser: Browser) -> None:
    page = browser.get("/start/ses")
    assert page.form().value("server") == ""
    assert len(page.form().choices["server"]) > 20
    typed = {"smtp_login": "AKIAIOSFODNN7EXAMPLE", "smtp_secret": "x" * 44}
    refused = browser.submit("/start/ses", START, defaultfromemail="shop@example.com", **typed)
    assert refused.status == 422
    assert "Choose a region." in refused.errors()["server"]
    assert browser.get("/start/mailgun").form().value("server") == "smtp.mailgun.org"


@one_database
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": ""}, "host"),
        ({"host": "http://smtp.example.com/x y"}, "host"),
        ({"port": "0"}, "port"),
        ({"smtp_login": "", "defaultfromemail": "a@example.com"}, "smtp_login"),
        ({"smtp_secret": ""}, "smtp_secret"),
        ({"defaultfromemail": ""}, "defaultfromemail"),
        ({"defaultfromemail": "nobody"}, "defaultfromemail"),
        ({"name": ""}, "name"),
        ({"testemail": "x"}, "testemail"),
    ],
)
def test_start_form_that_cannot_be_saved_names_the_field_and_makes_nothing(
    browser: Browser, changes: dict[str, str], field: str
) -> None:
    with fake_smtp() as server:
        page = browser.submit("/start/other", START, **other(server, **changes))
    assert page.status == 422
    assert list(page.errors()) == [field]
    with browser.app.app_context():
        assert not db.session.scalar(db.select(db.func.count()).select_from(App))
    assert server.connections == 0


@one_database
def test_start_form_needs_no_from_address_where_the_user_name_is_one(browser: Browser) -> None:
    with fake_smtp(login=("shop@example.com", "s3cret")) as server:
        page = browser.submit(
            "/start/other", START,
            **other(server, smtp_login="shop@example.com", defaultfromemail=""),
        )  # fmt: skip
        browser.result(page)
    assert [mail[0] for mail in server.mails] == ["shop@example.com"]


@one_database
def test_start_form_without_authentication_keeps_no_credentials(browser: Browser) -> None:
    with fake_smtp() as server:
        browser.result(browser.submit("/start/other", START, **other(server, auth=False)))
    (smtp,) = stored(browser.app)
    assert (smtp.auth, smtp.username, smtp.password_sealed) == (False, None, None)
    assert len(server.mails) == 1


def test_start_form_sent_twice_creates_one_app_and_one_server(browser: Browser) -> None:
    with fake_smtp(login=("shop", "s3cret")) as server:
        page = browser.get("/start/other")
        form = page.form().fill(**other(server))
        browser.result(browser.send(page, form, START))
        browser.result(browser.send(page, form, START))
    assert len(stored(browser.app)) == 1
    with browser.app.app_context():
        assert db.session.scalar(db.select(db.func.count()).select_from(App)) == 1
        assert db.session.scalar(db.select(db.func.count()).select_from(Check)) <= 2


def test_start_form_whose_server_is_refused_leaves_no_app(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_options: object) -> None:
        raise BadInput({"host": ["Refused."]})

    monkeypatch.setattr(smtps, "save", refuse)
    with fake_smtp() as server:
        page = browser.submit("/start/other", START, **other(server))
    assert page.errors() == {"host": "Refused."}
    with browser.app.app_context():
        assert not db.session.scalar(db.select(db.func.count()).select_from(App))


@one_database
def test_start_form_with_a_name_that_is_taken_says_so(browser: Browser, alice: Person) -> None:
    alice.make_app(name="Shop")
    with fake_smtp() as server:
        page = browser.submit("/start/other", START, **other(server))
    assert "another app named" in page.errors()["name"]


@one_database
def test_start_form_never_shows_a_password_again(browser: Browser) -> None:
    with fake_smtp() as server:
        page = browser.submit("/start/other", START, **other(server, name="", smtp_secret="q9-z"))
    assert "q9-z" not in page.html
    assert "Enter it again" in page.text


@one_database
def test_start_form_is_restored_after_signing_in_again_without_its_secret(
    browser: Browser, alice: Person
) -> None:
    page = browser.get("/start/sendgrid")
    form = page.form().fill(
        name="Shop 7", smtp_secret="SG.secret", defaultfromemail="shop@example.com"
    )
    browser.client.delete_cookie("smtpweb")
    page = browser.send(page, form, START)
    assert page.url == "/login"
    browser.send(page, page.form().fill(name="alice", password=PASSWORD))
    again = browser.get("/start/sendgrid")
    assert again.form().value("name") == "Shop 7"
    assert "SG.secret" not in again.html


@one_database
def test_provider_that_takes_no_password_is_named_before_anything_is_typed(
    browser: Browser,
) -> None:
    assert "no longer accepts passwords" in browser.get("/start/outlook").text
    assert "ending password authentication" in browser.get("/start/microsoft").text
    assert "OAuth" not in browser.get("/start/brevo").text


@one_database
@pytest.mark.parametrize(
    "path", ["/start/nobody", "/start/..", "/start/%00", "/start/" + "x" * 300]
)
def test_start_page_of_no_provider_is_not_found(browser: Browser, path: str) -> None:
    browser.get(path, status=404)


@one_database
def test_start_page_leads_to_any_provider_in_the_list(browser: Browser) -> None:
    page = browser.get("/start?provider=fastmail")
    assert page.url == "/start/fastmail"
    browser.get("/start?provider=nobody", status=404)


@one_database
def test_start_pages_need_a_session(alice: Person) -> None:
    visitor = Browser(alice.app)
    for path in ("/start", "/start/ses", "/start/find"):
        assert visitor.get(path).url == "/login"


def test_start_page_finds_settings_and_carries_the_address(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    gmail = presets.of_id("gmail")
    assert gmail
    # Nothing listens there: what is found does not depend on the answer.
    monkeypatch.setattr("smtpweb.mailcheck.probe", unreachable)
    page = browser.submit("/start/find", "Find", email="zoe@gmail.com")
    page = browser.get(page.links()["Use these settings"])
    assert page.url in ("/start/gmail", "/start/other")
    assert page.form().value("smtp_login") == "zoe@gmail.com"


def unreachable(targets: list[Any]) -> Sequence[Answer]:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    return probe([replace(target, host="127.0.0.1", port=port) for target in targets])


# --- warnings while somebody types ---------------------------------------------------------


def preflight(browser: Browser, provider: str, **given: str | bool | list[str]) -> Any:
    page = browser.get(f"/start/{provider}")
    data = page.form().fill(**given).values
    reply = browser.client.post(f"/start/{provider}/preflight", data=data)
    assert reply.status_code == 200
    assert stored(browser.app) == []
    return reply.json


def test_start_form_warns_of_what_is_likely_to_fail(browser: Browser) -> None:
    said = preflight(
        browser, "other", host="smtp.sendgrid.net", port="465", smtp_login="ana",
        smtp_secret="apikey",
    )  # fmt: skip
    assert "Port 465 usually" in said["warnings"]["port"][0]
    assert said["warnings"]["smtp_login"] == [
        "At SendGrid the user name is always the word apikey."
    ]
    assert "Enter the key here" in said["warnings"]["smtp_secret"][0]
    assert "From address" in said["warnings"]["defaultfromemail"][0]
    assert said["hints"]["smtp_login"] == "SendGrid: Always the word apikey."
    said = preflight(browser, "other", host="mail.example.net", encryption="none")
    assert "in plain text" in said["warnings"]["encryption"][0]
    assert said["hints"] == {"smtp_login": "", "smtp_secret": ""}
    said = preflight(browser, "other", host="mail.example.net", encryption="none", auth=False)
    assert said["warnings"]["encryption"] == []


def test_start_form_warns_of_a_host_that_checks_may_not_reach(browser: Browser) -> None:
    said = preflight(browser, "other", host="10.0.0.1")
    assert said["warnings"]["host"]
    assert preflight(browser, "other", host="192.0.2.1x")["warnings"]["host"]


def test_start_form_of_a_provider_warns_of_a_password_that_is_none_of_its_own(
    browser: Browser,
) -> None:
    said = preflight(browser, "gmail", smtp_login="shop@gmail.com", smtp_secret="mein Hund!")
    assert "16 letters" in said["warnings"]["smtp_secret"][0]
    said = preflight(
        browser, "gmail", smtp_login="shop@gmail.com", smtp_secret="abcd efgh ijkl mnop"
    )
    assert said["warnings"]["smtp_secret"] == []
    assert said["hints"]["smtp_secret"]  # stays as it is


def test_start_form_has_its_warnings_without_a_script(browser: Browser) -> None:
    page = browser.get("/start/other?host=smtp.gmail.com&port=465&encryption=starttls")
    assert "Port 465 usually uses implicit TLS" in page.text
    page = browser.submit(
        "/start/other", START, host="smtp.gmail.com", port="465", smtp_login="ana", name=""
    )
    assert page.status == 422
    assert "Port 465 usually uses implicit TLS" in page.text


@one_database
def test_start_preflight_is_for_the_signed_in_and_for_known_providers(browser: Browser) -> None:
    token = browser.get("/start/other").form().value("csrf_token")
    for provider, status in (("nothing", 404), ("other", 200)):
        path = f"/start/{provider}/preflight"
        assert browser.client.post(path, data={"csrf_token": token}).status_code == status
    assert browser.client.post("/start/other/preflight").status_code == 400
    stranger = browser.app.test_client()
    assert stranger.post("/start/other/preflight", data={"host": "a"}).status_code != 200
