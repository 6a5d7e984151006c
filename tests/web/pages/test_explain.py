"""The page that explains a pasted error: open to anybody, limited, and it keeps nothing."""

from __future__ import annotations

import dataclasses
import logging

import pytest
from flask import Flask
from sqlalchemy import func, select

from smtpweb.checking import limits
from smtpweb.database.session import Base, db
from smtpweb.errors import TooMany
from smtpweb.extensions import services
from tests.support.browser import Browser, Page
from tests.support.databases import ONE_DATABASE
from tests.support.people import Person

REFUSED = "smtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed')"
SECRET = "Tr0ub4dor-and-3"


@pytest.fixture
def guest(app: Flask) -> Browser:
    return Browser(app)


def paste(browser: Browser, text: str, **fields: str) -> Page:
    return browser.submit("/explain", text=text, **fields)


@ONE_DATABASE
def test_explain_needs_no_account(guest: Browser) -> None:
    page = paste(guest, REFUSED)
    assert page.status == 200
    assert "Wrong user name or password" in page.heading
    assert "535 5.7.8 Error: authentication failed" in page.text
    assert "What to do next" in page.text


@ONE_DATABASE
@pytest.mark.parametrize(
    ("language", "likely", "other"),
    [
        ("en", "This is the likely cause", "It can also be: The account needs an app password"),
        ("es", "Es la causa probable", "También puede ser: La cuenta"),
    ],
)
def test_explain_says_how_sure_it_is(
    guest: Browser, language: str, likely: str, other: str
) -> None:
    guest.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = language
    page = paste(guest, REFUSED)
    assert likely in page.text and other in page.text
    certain = paste(guest, "452 4.2.2 The mailbox is over quota").text
    assert likely not in certain and other[:10] not in certain


@ONE_DATABASE
def test_explain_asks_for_the_provider_and_uses_it(guest: Browser) -> None:
    page = paste(guest, REFUSED)
    assert "The answer depends on the server" in page.text
    page = paste(guest, REFUSED, provider="gmail")
    assert "The answer depends on the server" not in page.text
    assert "App passwords and keys" in page.text and "myaccount.google.com" in page.html
    page = paste(guest, REFUSED, host="smtp.office365.com:587")
    assert "smtp.office365.com:587" in page.text
    assert "end of December 2026" in page.text


@ONE_DATABASE
def test_explain_masks_credentials_in_what_it_shows(guest: Browser) -> None:
    page = paste(guest, f"smtp://shop:{SECRET}@smtp.example.org\n{REFUSED} {SECRET}")
    assert page.status == 200 and SECRET not in page.html
    assert "(hidden)" in page.html


@ONE_DATABASE
def test_explain_masks_credentials_also_where_the_form_is_refused(guest: Browser) -> None:
    for fields in ({"host": "no host at all"}, {"host": "a..b"}):
        page = paste(guest, f"password={SECRET}", **fields)
        assert page.status == 422 and SECRET not in page.html


@ONE_DATABASE
@pytest.mark.parametrize("text", ["", " \n", "x" * (64 * 1024 + 1), "a\0b"])
def test_explain_refuses_what_it_cannot_read(guest: Browser, text: str) -> None:
    page = paste(guest, text)
    assert page.status == 422
    assert "Nothing was explained" in page.text


@ONE_DATABASE
def test_explain_says_when_it_finds_no_error(guest: Browser) -> None:
    page = paste(guest, "Hello, this is my shopping list.")
    assert page.status == 200
    assert "No SMTP error was found in this text" in page.text


@ONE_DATABASE
def test_explain_tells_that_a_sandbox_delivers_nothing(guest: Browser) -> None:
    log = "relay=sandbox.smtp.mailtrap.io[192.0.2.1]:2525, status=sent (250 2.0.0 Ok: queued)"
    assert "delivers none of it" in paste(guest, log).text


@ONE_DATABASE
def test_explain_escapes_what_was_pasted(guest: Browser) -> None:
    page = paste(guest, "550 5.7.1 <script>alert(1)</script> refused, <b>x</b>")
    assert "<script>alert" not in page.html and "<b>x" not in page.html


def test_explain_stores_and_logs_nothing(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    def rows() -> dict[str, int]:
        with app.app_context():
            return {
                name: db.session.scalar(select(func.count()).select_from(table)) or 0
                for name, table in Base.metadata.tables.items()
            }

    before = rows()
    with caplog.at_level(logging.DEBUG):
        page = paste(Browser(app), f"{REFUSED} marker-of-this-text password={SECRET}")
    assert page.status == 200
    assert rows() == before
    assert "marker-of-this-text" not in caplog.text and SECRET not in caplog.text


@ONE_DATABASE
def test_explain_is_limited_for_each_network(app: Flask) -> None:
    allowed = limits.Allowance(2, 600)
    services(app).limits = dataclasses.replace(services(app).limits, explanations=allowed)
    here, there = Browser(app), Browser(app)
    there.client.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    for _ in range(2):
        assert paste(here, REFUSED).status == 200
    page = paste(here, f"{REFUSED} password={SECRET}")
    assert page.status == 429 and int(page.headers["Retry-After"]) > 0
    assert SECRET not in page.html
    assert paste(there, REFUSED).status == 200


def test_allowance_forgets_after_its_time_and_bounds_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("smtpweb.checking.limits.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(limits, "_MOST_KEYS", 3)
    allowance = limits.Allowance(most=1, seconds=60)
    allowance.take("a")
    with pytest.raises(TooMany) as refused:
        allowance.take("a")
    assert refused.value.retry_after == 61
    clock[0] = 60
    allowance.take("a")
    for key in "bcd":
        allowance.take(key)
    assert len(allowance._taken) == 3


@ONE_DATABASE
def test_explain_speaks_spanish(guest: Browser) -> None:
    guest.client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "es"
    page = paste(guest, REFUSED, provider="microsoft")
    assert "Qué significa" in page.text
    assert "finales de diciembre de 2026" in page.text
    for english in ("What it means", "What to do next", "Paste", "Explain an error"):
        assert english not in page.text


@ONE_DATABASE
def test_explain_is_linked_from_footer_and_sign_in(app: Flask, alice: Person) -> None:
    page = Browser(app).get("/login")
    assert page.html.count('href="/explain"') == 2


@ONE_DATABASE
def test_explain_does_not_repeat_a_password_pasted_as_the_server(guest: Browser) -> None:
    page = paste(guest, REFUSED, host=f"smtp://ana:{SECRET}@smtp.example.com:25")
    assert page.status == 422
    assert SECRET not in page.html


@ONE_DATABASE
def test_explain_reads_no_text_beyond_the_limit(
    app: Flask, guest: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_text: str) -> str:
        raise AssertionError("read although the limit was reached")

    def refuse(_key: str) -> None:
        raise TooMany("Too many texts.", 60)

    monkeypatch.setattr("smtpweb.checking.explain.shown", read)
    monkeypatch.setattr("smtpweb.checking.explain.count", refuse)
    assert paste(guest, REFUSED).status == 429
