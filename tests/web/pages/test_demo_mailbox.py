"""The mailbox page: of the demo only, and for who is signed in; what it shows is hostile."""

from __future__ import annotations

from pathlib import Path

from smtpweb import installation
from smtpweb.app import create_app
from smtpweb.config import Settings
from tests.conftest import settings_for
from tests.support.browser import Browser, signed_in
from tests.support.databases import ONE_DATABASE
from tests.support.people import make_person

pytestmark = ONE_DATABASE

MAIL = (
    b"From: a@example.com\r\nTo: b@example.com\r\nSubject: =?utf-8?q?<b>Fall=C3=B3</b>?=\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nline <i>one</i>\r\nline\x1b two\r\n"
)


def test_mailbox_shows_what_arrived(settings: Settings, tmp_path: Path, database_url: str) -> None:
    app = create_app(settings_for(database_url, demo_mailbox=tmp_path / "mailbox"))
    with app.app_context():
        installation.make_ready()
    assert app.test_client().get("/demo/mailbox").status_code == 302
    browser = signed_in(app, make_person(app, "alice"))
    assert "Nothing has arrived yet." in browser.get("/demo/mailbox").text
    (tmp_path / "mailbox").mkdir()
    (tmp_path / "mailbox/1.eml").write_bytes(MAIL)
    (tmp_path / "mailbox/2.eml").write_bytes(b"\xff\xfe no mail at all")
    page = browser.get("/demo/mailbox")
    assert "<b>Falló</b>" in page.text
    assert "line <i>one</i>" in page.text
    assert "Mailbox" in page.links()
    assert "Open the link in this email" not in page.links()


def test_mailbox_leads_to_the_link_of_a_test_email_and_to_no_other_site(
    settings: Settings, tmp_path: Path, database_url: str
) -> None:
    app = create_app(settings_for(database_url, demo_mailbox=tmp_path))
    with app.app_context():
        installation.make_ready()
    browser = signed_in(app, make_person(app, "alice"))
    for url in (b"http://127.0.0.1:8000/received/a-b_C1", b"http://evil.example/received/a-b_C1"):
        (tmp_path / "1.eml").write_bytes(MAIL + b"\r\n    " + url + b"\r\n")
        assert browser.get("/demo/mailbox").links()["Open the link in this email"] == (
            "/received/a-b_C1"
        )
    for url in (b"http://127.0.0.1/login", b"http://127.0.0.1/received/../login", b"javascript:x"):
        (tmp_path / "1.eml").write_bytes(MAIL + url + b"\r\n")
        assert "Open the link in this email" not in browser.get("/demo/mailbox").links()


def test_mailbox_is_absent_outside_the_demo(browser: Browser) -> None:
    browser.get("/demo/mailbox", status=404)
    assert "Mailbox" not in browser.get("/apps").links()
