"""The test email: its subject and language, as it was sent, and once to another address."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import timedelta
from typing import Any

import pytest

from smtpweb.checking import limits, recipients
from smtpweb.database.models import User
from smtpweb.database.session import db
from smtpweb.errors import BadInput
from tests.support.browser import Browser, Page, words
from tests.support.factories import only_check, use_share
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.people import Person

ADDRESS = "http://localhost"


def register(alice: Person, idapp: str, server: FakeServer, **given: Any) -> str:
    made: str = alice.make_smtp(idapp, host=server.host, port=server.port, **given)["_id"]
    return made


def received(server: FakeServer) -> email.message.EmailMessage:
    (mail,) = server.mails
    parsed = email.message_from_bytes(mail[2], policy=email.policy.default)
    assert isinstance(parsed, email.message.EmailMessage)
    return parsed


def shown_message(page: Page) -> str:
    (block,) = [one for one in page.all("pre") if one.get("aria-label") == "Test email"]
    return "".join(block.itertext())


def test_subject_names_app_server_and_time(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server, name="Relé 🦄")
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        mail = received(server)
    assert re.fullmatch(r"\[smtpweb\] shop · Relé 🦄 · \d\d:\d\d", mail["Subject"])
    text = mail.get_content()
    assert "This is a test email." in text
    assert "Server: Relé 🦄" in text


def test_subject_and_text_are_in_the_language_of_the_account(alice: Person, idapp: str) -> None:
    with alice.app.app_context():
        db.session.get_one(User, alice.user_id).language = "es"
        db.session.commit()
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        mail = received(server)
    assert mail["Subject"].startswith(f"[smtpweb] shop · {server.host}:{server.port} · ")
    assert "Este es un correo de prueba." in mail.get_content()
    link = re.search(rf"{ADDRESS}/received/[\w-]{{43}}", mail.get_content())
    assert link, mail.get_content()


def test_subject_names_no_user(alice: Person, idapp: str) -> None:
    with fake_smtp(login=("hush-hush", "s3cret")) as server:
        login = {"auth": "true", "username": "hush-hush", "password": "s3cret"}
        smtp_id = register(alice, idapp, server, **login)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        assert b"hush" not in server.mails[0][2]


@pytest.mark.parametrize("language", ["en", "es"])
def test_email_is_shown_as_it_was_sent_with_its_link_masked(
    browser: Browser, alice: Person, idapp: str, language: str
) -> None:
    with alice.app.app_context():
        db.session.get_one(User, alice.user_id).language = language
        db.session.commit()
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        raw = server.mails[0][2].decode().replace("\r\n", "\n")
        content = received(server).get_content()
    token = content.partition("/received/")[2][:43]
    html = browser.client.get(f"/checks/{only_check(alice.app).id}").text
    page = Page(browser.client.get(f"/checks/{only_check(alice.app).id}"))
    (shown,) = [
        "".join(one.itertext())
        for one in page.all("pre")
        if "".join(one.itertext()).startswith("From: ")
    ]
    assert token not in html
    assert token[:10] not in re.sub(r"=\n", "", shown)
    assert "/received/********" in re.sub(r"=\n", "", shown)
    head = raw.partition("\n\n")[0]
    assert shown.partition("\n\n")[0] == head
    assert "Message-ID: <" in head


def test_email_that_was_not_sent_is_not_shown(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"RCPT": "550 5.1.1 no such user"}) as server:
        smtp_id = register(alice, idapp, server)
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 406
    page = browser.get(f"/checks/{only_check(alice.app).id}")
    assert "as it was sent" not in page.text


def send(browser: Browser, smtp_id: str, address: str) -> Page:
    return browser.submit(f"/smtps/{smtp_id}/elsewhere", email=address)


def test_email_is_sent_once_to_another_address(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        page = browser.result(send(browser, smtp_id, "bob@example.com"))
        assert server.mails[0][1] == ["bob@example.com"]
        assert "bob@example.com" in page.text
        assert "This was a single email to bob@example.com" in page.text
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        assert server.mails[1][1] == ["alice@example.com"]


def test_email_to_another_address_does_not_change_the_state(
    browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_smtp(replies={"RCPT": "550 5.1.1 no such user"}) as server:
        smtp_id = register(alice, idapp, server)
        browser.result(send(browser, smtp_id, "bob@example.com"))
    smtp = alice.smtp(smtp_id)
    assert (smtp["status"], smtp["numerrors"]) == ("A", 0)
    check = only_check(alice.app)
    assert (check.accepted, check.applied, check.recipient) == (False, False, "bob@example.com")
    assert "Not checked yet" in browser.get(f"/smtps/{smtp_id}").text


@pytest.mark.parametrize(
    ("account", "test", "address", "accepted"),
    [
        ("ana@example.com", "t@example.org", "bob@example.com", True),
        ("ana@example.com", "t@example.org", "BOB@EXAMPLE.ORG", True),
        ("ana@example.com", "t@example.org", "bob@sub.example.com", False),
        ("ana@example.com", "t@example.org", "bob@example.net", False),
        ("ana@gmail.com", "t@example.org", "bob@gmail.com", False),
        ("ana@gmail.com", "t@example.org", "Ana+check@gmail.com", True),
        ("ana@gmail.com", "t@example.org", "ana@gmail.com", True),
        ("ana@hotmail.com", "t@web.de", "t2@web.de", False),
        ("ana@example.com", "t@yahoo.com", "t+1@yahoo.com", True),
    ],
)
def test_address_must_be_the_users_own(
    alice: Person, inside: None, account: str, test: str, address: str, accepted: bool
) -> None:
    from smtpweb.registry import apps

    db.session.get_one(User, alice.user_id).email = account
    db.session.commit()
    apps.save(alice.user_id, {"name": "blog", "testemail": test})
    if accepted:
        assert recipients.accept(alice.user_id, address) == address
    else:
        with pytest.raises(BadInput):
            recipients.accept(alice.user_id, address)


def test_strangers_get_no_email(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        page = send(browser, smtp_id, "victim@example.net")
        assert page.status == 422
        assert page.errors()["email"].startswith("Only to an address in the domain")
        assert server.connections == 0


def test_emails_to_other_addresses_are_limited(browser: Browser, alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        with alice.app.app_context():
            use_share(alice, recipients.MOST, kind=limits.ELSEWHERE, age=timedelta(minutes=1))
        page = send(browser, smtp_id, "bob@example.com")
        assert "You can send at most 5 emails to other addresses in 10 minutes." in page.text
        assert server.connections == 0
        page = browser.get(f"/smtps/{smtp_id}")
        assert words(page.one("h1"))
