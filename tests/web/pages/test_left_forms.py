"""A form that is left, or that cannot be saved, comes back as it was filled in, without scripts."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from smtpweb.database.models import App, FormDraft, Smtp
from smtpweb.database.session import db
from smtpweb.registry import apps, drafts, smtps
from tests.support.browser import Browser, Page, one_database
from tests.support.factories import SAVE, count, typed
from tests.support.people import Person

SECRET = "correct-horse-battery"
NOTE = "two\nlines"


def cancel(browser: Browser, path: str, **values: Any) -> Page:
    page = browser.get(path)
    return browser.send(page, page.form().fill(**values), "Cancel")


@pytest.mark.parametrize("kind", ["new app", "edit app", "new server", "edit server"])
def test_cancelled_form_comes_back_as_it_was_filled_in(
    browser: Browser, alice: Person, idapp: str, kind: str
) -> None:
    smtp = alice.make_smtp(idapp, name="Relay")
    path, left, values = {
        "new app": ("/apps/new", "/apps", {"name": "blog"}),
        "edit app": (f"/apps/{idapp}/edit", f"/apps/{idapp}", {"name": "blog"}),
        "new server": (f"/apps/{idapp}/smtps/new", f"/apps/{idapp}",
                       typed(smtp_secret=SECRET, note=NOTE)),
        "edit server": (f"/smtps/{smtp['_id']}/edit", f"/smtps/{smtp['_id']}",
                        {"host": "b.example.net", "smtp_secret": SECRET, "note": NOTE}),
    }[kind]  # fmt: skip
    page = cancel(browser, path, **values)
    assert page.url == left
    assert "Nothing was saved. What you entered is kept for 10 minutes" in page.text
    assert page.links()["Continue editing"] == path
    page = browser.get(path)
    assert "Not saved yet. This is what you entered before." in page.text
    assert SECRET not in page.html
    for name, value in values.items():
        assert page.form().value(name) == ("" if name == "smtp_secret" else value), name
    assert alice.smtp(smtp["_id"])["host"] == "mail.example.net"
    assert (count(alice.app, App), count(alice.app, Smtp)) == (1, 1)
    assert page.links()["Discard it"] == path
    assert "Not saved yet." not in browser.get(path).text


def test_cancelled_form_without_changes_leaves_nothing(
    browser: Browser, alice: Person, idapp: str
) -> None:
    given = {"auth": "true", "username": "shop", "password": "s3cret", "note": NOTE, "tags": "EU"}
    smtp = alice.make_smtp(idapp, **given)
    for path in ("/apps/new", f"/apps/{idapp}/edit", f"/apps/{idapp}/smtps/new",
                 f"/smtps/{smtp['_id']}/edit"):  # fmt: skip
        assert "Nothing was saved" not in cancel(browser, path).text, path
    assert count(alice.app, FormDraft) == 0


def test_form_that_was_refused_is_kept_when_it_is_cancelled(
    browser: Browser, alice: Person, idapp: str
) -> None:
    path = f"/apps/{idapp}/smtps/new"
    page = browser.submit(path, SAVE, **typed(port="99999"))
    assert page.status == 422
    page = browser.send(page, page.form(), "Cancel")
    assert browser.get(page.links()["Continue editing"]).form().value("port") == "99999"


def break_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OperationalError("", {}, Exception("database is locked"))

    monkeypatch.setattr(smtps, "save", fail)
    monkeypatch.setattr(apps, "save", fail)


def test_form_that_meets_a_busy_database_comes_back(
    browser: Browser, alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/apps/{idapp}/smtps/new"
    page = browser.get(path)
    with monkeypatch.context() as patch:
        break_saving(patch)
        form = page.form().fill(**typed(smtp_secret=SECRET, note=NOTE))
        data = {name: list(found) for name, found in form.values.items()}
        page = Page(browser.client.post(path, data=data | {"save": ["1"]}))
    assert page.status == 503
    assert SECRET not in page.html
    page = browser.send(page, page.form(), "Back to my form")
    assert (page.status, page.url) == (200, path)
    assert "Not saved yet." in page.text
    assert (page.form().value("host"), page.form().value("note")) == ("mail.example.net", NOTE)
    assert alice.smtps(idapp) == []  # showing it again saves nothing
    browser.send(page, page.form().fill(smtp_secret=SECRET), SAVE)
    assert len(alice.smtps(idapp)) == 1


def test_form_shown_again_does_not_keep_a_stored_password_by_mistake(
    browser: Browser, alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"auth": "true", "username": "shop", "password": "yesterday's"}
    smtp = alice.make_smtp(idapp, **given)
    path = f"/smtps/{smtp['_id']}/edit"
    page = browser.get(path)
    with monkeypatch.context() as patch:
        break_saving(patch)
        form = page.form().fill(smtp_secret=SECRET, priority="3")
        data = {name: list(found) for name, found in form.values.items()}
        page = Page(browser.client.post(path, data=data | {"save": ["1"]}))
    page = browser.send(page, page.form(), "Back to my form")
    assert page.form().value("priority") == "3"
    assert alice.smtp(smtp["_id"])["priority"] == 10


def test_owner_of_one_form_is_not_taken_for_another(
    browser: Browser, alice: Person, idapp: str
) -> None:
    page = browser.get("/apps/new")
    owner = page.form().values["form_owner"]
    data = browser.get(f"/apps/{idapp}/edit").form().fill(name="blog").values
    browser.client.delete_cookie("smtpweb")
    for path, status in ((f"/apps/{idapp}/edit", 400), ("/apps/new", 200)):
        sent = data | {"form_owner": owner}
        assert browser.post(path, sent).status == status, path
    assert count(alice.app, FormDraft) == 1


@one_database
def test_hidden_user_name_that_is_typed_again_is_not_kept(
    browser: Browser, alice: Person, idapp: str
) -> None:
    given = {"auth": "true", "username": "t0ken", "password": "t0ken"}
    smtp = alice.make_smtp(idapp, host="mail.example.net", **given)
    path = f"/smtps/{smtp['_id']}/edit"
    page = cancel(browser, path, smtp_login="t0ken", priority="3")
    assert "is kept for 10 minutes" in page.text
    page = browser.get(path)
    assert "t0ken" not in page.html
    assert page.form().value("priority") == "3"


def test_drafts_are_deleted_by_more_than_the_next_draft(
    browser: Browser, alice: Person, idapp: str
) -> None:
    cancel(browser, "/apps/new", name="blog")
    with alice.app.app_context():
        row = db.session.query(FormDraft).one()
        row.created -= drafts.KEPT * 2
        db.session.commit()
    browser.submit(f"/apps/{idapp}/edit", "Save", name="shop 2")
    assert count(alice.app, FormDraft) == 0
