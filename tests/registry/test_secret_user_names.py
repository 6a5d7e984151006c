"""A user name that is the password, too, is shown and used no more freely than a password."""

from __future__ import annotations

import html
import json
from typing import Any

import pytest
from sqlalchemy import text

from smtpweb import installation
from smtpweb.checking import service
from smtpweb.database.models import Smtp
from smtpweb.database.session import db
from smtpweb.mailcheck import Target
from smtpweb.registry import export_import
from tests.support.browser import Browser
from tests.support.factories import SAVE, forget_default_from, only_check
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person

TOKEN = "8f14e45f-ceea-467a-9575-28da1c3d0f1e"
POSTMARK = {"host": "smtp.postmarkapp.com", "port": 587, "starttls": True}
SAME: dict[str, dict[str, Any]] = {
    "preset": POSTMARK | {"username": TOKEN, "password": TOKEN},
    "preset, another password": POSTMARK | {"username": TOKEN, "password": "another-1"},
    "entered twice": {"host": "mail.example.net", "username": TOKEN, "password": TOKEN},
    "with a blank": {"host": "mail.example.net", "username": TOKEN, "password": f"{TOKEN} "},
}


def make(alice: Person, idapp: str, how: str = "preset", **more: Any) -> str:
    return str(alice.make_smtp(idapp, auth=True, **(SAME[how] | more))["_id"])


@pytest.mark.parametrize("how", SAME)
def test_user_name_that_is_the_password_needs_the_scope_secrets(
    alice: Person, idapp: str, how: str
) -> None:
    smtp_id = make(alice, idapp, how)
    for scopes in (("read",), ("read", "write", "check")):
        caller = alice.with_scopes(*scopes)
        for shown in (caller.smtp(smtp_id), caller.smtps(idapp)[0]):
            assert shown["username"] is None
            assert shown["password"] is None
            assert TOKEN not in json.dumps(shown)
    assert alice.with_scopes("read", "secrets").smtp(smtp_id)["username"] == TOKEN
    assert alice.smtp(smtp_id)["username"] == TOKEN  # a login token, as documented


def test_ordinary_user_name_is_shown(alice: Person, idapp: str, browser: Browser) -> None:
    smtp_id = alice.make_smtp(idapp, username="shop", password="other", auth=True)["_id"]
    assert alice.with_scopes("read").smtp(smtp_id)["username"] == "shop"
    assert "as shop" in browser.get(f"/apps/{idapp}").text
    page = browser.get(f"/smtps/{smtp_id}/edit")
    assert page.form().value("smtp_login") == "shop"


@pytest.mark.parametrize("how", SAME)
def test_pages_hide_a_user_name_that_is_the_password(
    alice: Person, idapp: str, browser: Browser, how: str
) -> None:
    smtp_id = make(alice, idapp, how)
    for path in (
        f"/apps/{idapp}", f"/apps/{idapp}/remove", f"/smtps/{smtp_id}", f"/smtps/{smtp_id}/edit",
        f"/smtps/{smtp_id}/remove",
    ):  # fmt: skip
        assert TOKEN not in html.unescape(browser.get(path).html), path


def test_search_does_not_find_a_user_name_that_is_the_password(
    alice: Person, idapp: str, browser: Browser
) -> None:
    make(alice, idapp)
    alice.make_smtp(idapp, username="8f-shop", password="other", auth=True)
    page = browser.get(f"/apps/{idapp}?q={TOKEN[:6]}")
    assert "postmarkapp" not in page.text
    assert "8f-shop" in browser.get(f"/apps/{idapp}?q=8f").text


def test_form_keeps_a_hidden_user_name_and_can_replace_it(
    alice: Person, idapp: str, browser: Browser
) -> None:
    smtp_id = make(alice, idapp)
    path = f"/smtps/{smtp_id}/edit"
    page = browser.get(path)
    assert page.form().value("smtp_login") == ""
    page = browser.send(page, page.form().fill(priority="3"), SAVE)
    assert page.url == f"/smtps/{smtp_id}", page.text
    saved = alice.smtp(smtp_id)
    assert (saved["username"], saved["password"], saved["priority"]) == (TOKEN, TOKEN, 3)
    page = browser.get(path)
    browser.send(page, page.form().fill(smtp_login="new", smtp_secret="secret-2"), SAVE)
    assert alice.smtp(smtp_id)["username"] == "new"


def test_hidden_user_name_does_not_move_to_another_server(
    alice: Person, idapp: str, browser: Browser
) -> None:
    smtp_id = make(alice, idapp)
    reply = alice.post(
        "/private/smtps/save", idapp=idapp, idsmtp=smtp_id, host="evil.example", port=587,
        password="other", starttls="true",
    )  # fmt: skip
    assert reply.status_code == 400
    assert [fault["parameter"] for fault in reply.json["errors"]] == ["username"]
    page = browser.get(f"/smtps/{smtp_id}/edit")
    typed = page.form().fill(host="evil.example", smtp_secret="other")
    page = browser.send(page, typed, SAVE)
    assert page.status == 422
    assert list(page.errors()) == ["smtp_login"]
    assert alice.smtp(smtp_id)["host"] == "smtp.postmarkapp.com"


def test_export_without_passwords_leaves_a_secret_user_name_out(
    alice: Person, idapp: str, inside: None
) -> None:
    make(alice, idapp)
    assert TOKEN not in export_import.dump()
    assert TOKEN in export_import.dump(with_passwords=True)


def test_secret_user_name_is_never_the_from(alice: Person, inside: None) -> None:
    idapp = alice.make_app("mute")["_id"]
    forget_default_from(alice.app, idapp)
    address = "someone@example.com"
    alice.make_smtp(idapp, username=address, password=address, auth=True)
    target = service.target_of(db.session.query(Smtp).one(), "")
    assert not isinstance(target, Target)
    assert target.code == "SMTP_POLICY_NO_FROM"


def test_check_does_not_show_a_secret_user_name(
    alice: Person, idapp: str, browser: Browser
) -> None:
    refusal = f"535 5.7.8 no account {TOKEN}"
    with fake_smtp(login=(TOKEN, TOKEN), replies={"AUTH": refusal}) as server:
        smtp_id = make(alice, idapp, "entered twice", host="127.0.0.1", port=server.port)
        reply = alice.with_scopes("check").post("/private/smtps/check", idsmtp=smtp_id)
    assert reply.status_code == 406
    check = only_check(alice.app)
    page = html.unescape(browser.get(f"/checks/{check.id}").html)
    assert TOKEN not in reply.text + page + json.dumps(check.report_json)


def test_names_from_before_the_column_are_hidden_and_marked_at_the_next_start(
    alice: Person, idapp: str
) -> None:
    secret = make(alice, idapp)
    plain = alice.make_smtp(idapp, username="shop", password="other", auth=True)["_id"]
    with alice.app.app_context():
        db.session.execute(text("UPDATE smtp SET username_is_secret = NULL"))
        db.session.commit()
    caller = alice.with_scopes("read")
    assert [one["username"] for one in caller.smtps(idapp)] == [None, None]
    with alice.app.app_context():
        installation.make_ready()
        found = {smtp.id: smtp.username_is_secret for smtp in db.session.query(Smtp)}
    assert found == {secret: True, plain: False}


def test_stored_password_is_judged_only_for_where_it_is_bound_to(
    alice: Person, idapp: str, browser: Browser
) -> None:
    smtp_id = alice.make_smtp(
        idapp, host="smtp.gmail.com", port=587, starttls=True, username="a@gmail.com",
        password="not sixteen", auth=True,
    )["_id"]  # fmt: skip
    other = alice.make_smtp(
        idapp, host="mail.example.net", port=587, starttls=True, username="a@gmail.com",
        password="not sixteen", auth=True,
    )["_id"]  # fmt: skip
    assert "this one doesn't" in browser.get(f"/smtps/{smtp_id}/edit").text
    for changes in (
        {"host": "smtp.gmail.com"},
        {"host": "smtp.gmail.com", "smtp_login": "b@gmail.com"},
    ):
        page = browser.get(f"/smtps/{other}/edit")
        form = page.form()
        judged = browser.send(page, form.fill(port="bad", **changes), SAVE)
        assert judged.status == 422
        assert "this one doesn't" not in judged.text
    page = browser.get(f"/smtps/{smtp_id}/edit")
    form = page.form()
    assert "this one doesn't" in browser.send(page, form.fill(priority="x"), SAVE).text
    judged = browser.send(page, form.fill(priority="x", port="465"), SAVE)
    assert "this one doesn't" not in judged.text


@pytest.mark.parametrize("how", SAME)
def test_secret_user_name_is_forgotten_where_the_server_moves_without_authentication(
    alice: Person, idapp: str, how: str
) -> None:
    smtp_id = make(alice, idapp, how)
    caller = alice.with_scopes("read", "write")
    moved = caller.post(
        "/private/smtps/save", idapp=idapp, idsmtp=smtp_id, host="other.example.com", port=587,
        auth="false",
    )  # fmt: skip
    assert (moved.status_code, moved.json["username"]) == (200, None)
    assert alice.smtp(smtp_id)["username"] is None


@pytest.mark.parametrize("how", SAME)
def test_secret_user_name_stays_hidden_after_a_new_password(
    alice: Person, idapp: str, how: str
) -> None:
    smtp_id = make(alice, idapp, how)
    caller = alice.with_scopes("read", "write")
    stored = alice.smtp(smtp_id)
    saved = caller.post(
        "/private/smtps/save", idapp=idapp, idsmtp=smtp_id, host=stored["host"],
        port=stored["port"], password="renewed-1",
    )  # fmt: skip
    assert (saved.status_code, saved.json["username"]) == (200, None)
    assert caller.smtps(idapp)[0]["username"] is None
    assert TOKEN not in export_after(alice)


def export_after(person: Person) -> str:
    with person.app.app_context():
        return export_import.dump()
