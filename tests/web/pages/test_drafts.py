"""A form whose session ended while it was open comes back as it was typed, passwords aside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from smtpweb.database.models import App, BrowserSession, FormDraft, Smtp
from smtpweb.database.session import db, now
from smtpweb.registry import drafts
from tests.support.browser import Browser, Page, one_database
from tests.support.factories import SAVE, typed
from tests.support.people import PASSWORD, Person

SECRET = "correct-horse-battery"
TYPED = typed(
    host="mail.example.net", port="2525", encryption="implicit", smtp_login="ana@example.com",
    smtp_secret=SECRET, defaultfromname="Ana's shop", priority="7",
)  # fmt: skip


def end_sessions(alice: Person, browser: Browser) -> None:
    """Time is over: the cookie is still there, the session behind it is not."""
    with alice.app.app_context():
        db.session.query(BrowserSession).delete()
        db.session.commit()


def lose_cookies(alice: Person, browser: Browser) -> None:
    browser.client.delete_cookie("smtpweb")


def sign_out_in_another_tab(alice: Person, browser: Browser) -> None:
    page = browser.get("/apps")
    browser.post("/logout", {"csrf_token": page_token(page)})


ENDINGS = [end_sessions, lose_cookies, sign_out_in_another_tab]


def page_token(page: Page) -> list[str]:
    fields = [field for field in page.all("input") if field.get("name") == "csrf_token"]
    return [fields[0].get("value") or ""]


def sign_in(browser: Browser, page: Page, name: str = "alice") -> Page:
    assert page.url == "/login", page.text
    form = page.form().fill(name=name, password=PASSWORD)
    return browser.post(page.address, dict(form.values))


def kept(alice: Person) -> int:
    with alice.app.app_context():
        return db.session.query(FormDraft).count()


@pytest.mark.parametrize("end", ENDINGS)
def test_draft_of_a_new_smtp_comes_back_after_signing_in(
    browser: Browser, alice: Person, idapp: str, end: Callable[..., Any]
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    form = page.form().fill(**TYPED)
    end(alice, browser)
    page = browser.send(page, form, SAVE)
    assert "Your session has ended, so nothing was saved." in page.text
    assert alice.smtps(idapp) == []
    page = sign_in(browser, page)
    assert page.url == f"/apps/{idapp}/smtps/new"
    assert "This is what you entered before." in page.text
    shown = page.form()
    assert {name: shown.value(name) for name in TYPED} == TYPED | {"smtp_secret": ""}
    assert SECRET not in page.html
    assert "autofocus" in page.by_id("smtp_secret").attrib
    assert kept(alice) == 0
    browser.send(page, shown.fill(smtp_secret=SECRET), SAVE)
    (smtp,) = alice.smtps(idapp)
    assert (smtp["host"], smtp["port"], smtp["priority"]) == ("mail.example.net", 2525, 7)
    assert "entered before" not in browser.get(f"/apps/{idapp}/smtps/new").text


@pytest.mark.parametrize("end", ENDINGS)
def test_draft_of_an_edit_comes_back_with_its_version(
    browser: Browser, alice: Person, idapp: str, end: Callable[..., Any]
) -> None:
    smtp = alice.make_smtp(idapp, priority=3)
    path = f"/smtps/{smtp['_id']}/edit"
    page = browser.get(path)
    form = page.form().fill(priority="4", auth=False)
    end(alice, browser)
    page = browser.send(page, form, "Save without checking")
    alice.make_smtp(idapp, idsmtp=smtp["_id"], priority=9)  # meanwhile
    page = sign_in(browser, page)
    assert (page.url, page.form().value("priority"), page.form().value("auth")) == (path, "4", "")
    page = browser.send(page, page.form(), "Save without checking")
    assert page.status == 409
    assert "Stored now: 9" in page.text


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/apps/new", {"name": "blog", "testemail": "b@example.com", "strategy": "RANDOM"}),
        ("/account#profile", {"name": "alicia", "email": "alicia@example.com"}),
        ("/account#tokens", {"label": "nightly", "scopes": ["read", "check"], "days": "365"}),
    ],
)
def test_drafts_of_other_forms_come_back_too(
    browser: Browser, alice: Person, path: str, values: dict[str, Any]
) -> None:
    where, _, action = path.partition("#")
    page = browser.get(where)
    form = page.form(f"/account/{action}" if action else "").fill(**values)
    if action == "profile":
        form.fill(present_password=PASSWORD)
    end_sessions(alice, browser)
    page = sign_in(browser, browser.post(form.action or where, dict(form.values)))
    assert page.url == where
    shown = page.form(f"/account/{action}" if action else "")
    for name, value in values.items():
        assert shown.values[name] == (value if isinstance(value, list) else [value])
    assert page.html.count("entered before") == 1
    assert PASSWORD not in page.html


def test_draft_is_not_shown_to_another_user_who_signs_in(
    browser: Browser, alice: Person, charlie: Person
) -> None:
    page = browser.get("/apps/new")
    form = page.form().fill(name="hush-hush")
    end_sessions(alice, browser)
    page = browser.send(page, form, "Save")
    page = sign_in(browser, page, "charlie")
    assert page.url == "/apps/new"
    assert "hush-hush" not in page.html
    assert kept(alice) == 1


def test_draft_of_an_earlier_session_comes_back_at_once(browser: Browser, alice: Person) -> None:
    """Signed out and in again in another tab: the token in this form is of a session before."""
    page = browser.get("/apps/new")
    form = page.form().fill(name="blog")
    sign_out_in_another_tab(alice, browser)
    sign_in(browser, browser.get("/login"))
    page = browser.send(page, form, "Save")
    assert (page.status, page.url, page.form().value("name")) == (200, "/apps/new", "blog")
    assert "Not saved yet." in page.text
    with alice.app.app_context():
        assert db.session.query(App).count() == 0
    assert browser.send(page, page.form(), "Save").heading == "blog"


def test_form_of_somebody_else_is_neither_saved_nor_kept(
    browser: Browser, alice: Person, charlie: Person
) -> None:
    page = browser.get("/apps/new")
    form = page.form().fill(name="blog")
    sign_out_in_another_tab(alice, browser)
    sign_in(browser, browser.get("/login"), "charlie")
    page = browser.send(page, form, "Save")
    assert (page.status, page.heading) == (400, "This form has expired")
    assert kept(alice) == 0


@one_database
@pytest.mark.parametrize("owner", ["", "x", "{other}", None])
def test_draft_without_a_valid_owner_is_not_kept(
    browser: Browser, alice: Person, owner: str | None
) -> None:
    """Such as a page of somebody else's that sends a form here."""
    page = browser.get("/apps/new")
    form = page.form().fill(name="blog")
    data = dict(form.values)
    if owner is None:
        del data["form_owner"]
    else:
        data["form_owner"] = [owner.format(other=f'"{alice.user_id}".a.b')]
    end_sessions(alice, browser)
    assert browser.post("/apps/new", data).url == "/login"
    lose_cookies(alice, browser)
    assert browser.post("/apps/new", data).status == 400
    assert kept(alice) == 0


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"smtp_secret": SECRET, "smtp_login": f"x{SECRET}"}, "smtp_login"),
        ({"host": f"smtp://ana:{SECRET}@mail.example.net"}, "host"),
        ({"host": f"ana:{SECRET}@mail.example.net"}, "host"),
        ({"host": "smtp.postmarkapp.com", "smtp_login": SECRET}, "smtp_login"),
    ],
)
def test_draft_keeps_nothing_that_may_be_a_secret(
    browser: Browser, alice: Person, idapp: str, changes: dict[str, str], lost: str
) -> None:
    path = f"/apps/{idapp}/smtps/new"
    page = browser.get(path)
    form = page.form().fill(**TYPED | {"smtp_secret": ""} | changes)
    end_sessions(alice, browser)
    page = sign_in(browser, browser.send(page, form, SAVE))
    assert page.url == path
    assert SECRET not in page.html
    assert page.form().value(lost) == ""
    assert page.form().value("defaultfromname") == "Ana's shop"


@pytest.mark.parametrize(
    "changes",
    [
        {"smtp_secret": f"{SECRET} "},  # the user name is the same but for a blank
        {"host": "smtp.postmarkapp.com:587"},
        {"host": "smtp.postmarkapp\u3002com"},
        {"host": "", "provider": "Postmark"},
    ],
)
def test_draft_drops_a_user_name_that_is_the_password(
    browser: Browser, alice: Person, idapp: str, changes: dict[str, str]
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    typed_now = {"smtp_secret": "", "smtp_login": SECRET} | changes
    form = page.form().fill(**TYPED | typed_now)
    end_sessions(alice, browser)
    page = sign_in(browser, browser.send(page, form, SAVE))
    assert SECRET not in page.html


def test_draft_is_sealed_bounded_and_gone_in_ten_minutes(alice: Person, inside: None) -> None:
    def keep(path: str, **values: Any) -> bool:
        return drafts.keep(alice.user_id, path, {name: [text] for name, text in values.items()})

    assert keep("/a", name="visible")
    (row,) = db.session.query(FormDraft)
    assert "visible" not in row.sealed
    assert not keep("/b", name="x" * 6000)
    assert not drafts.keep("f" * 24, "/a", {})
    for number in range(8):
        assert keep(f"/{number}", name="x")
    assert db.session.query(FormDraft).count() == drafts.MOST
    assert drafts.take(alice.user_id, "/7") == {"name": ["x"]}
    assert drafts.take(alice.user_id, "/7") is None
    old = now() - drafts.KEPT - timedelta(seconds=1)
    db.session.query(FormDraft).update({"created": old})
    db.session.commit()
    assert drafts.take(alice.user_id, "/6") is None
    assert keep("/new", name="x")
    assert db.session.query(FormDraft).count() == 1
    assert db.session.query(Smtp).count() == 0
