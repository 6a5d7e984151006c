"""What holds for every page: ownership, bad addresses, secrets, scripts, statements."""

from __future__ import annotations

import base64
import html

import pytest

from smtpweb.database.models import App, Check, Smtp
from smtpweb.database.session import db, now
from tests.support.browser import one_database, signed_in
from tests.support.counting import statements
from tests.support.factories import CHECK, SECRET, count, for_server, make_check, only_smtp
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person

NOBODYS = "0" * 24


def _everything(alice: Person, idapp: str) -> list[str]:
    """The address of every page about something of alice's."""
    with alice.app.app_context():
        check = make_check(alice, idapp)
        return [
            f"/apps/{idapp}", f"/apps/{idapp}/edit", f"/apps/{idapp}/remove",
            f"/apps/{idapp}/smtps/new", f"/smtps/{check.smtp_id}", f"/smtps/{check.smtp_id}/edit",
            f"/smtps/{check.smtp_id}/remove", f"/checks/{check.id}",
            f"/checks/{check.id}/progress",
        ]  # fmt: skip


def test_what_is_somebody_elses_is_not_there(alice, charlie, idapp):
    stranger = signed_in(alice.app, charlie)
    pages = _everything(alice, idapp)
    token = stranger.get("/apps/new").form().value("csrf_token")
    for path in pages:
        nobodys = stranger.get("/".join(_nobodys(part) for part in path.split("/")), status=404)
        assert stranger.get(path, status=404).html == nobodys.html
    pages.append(pages[4] + "/check")
    pages.remove(pages[8])  # is only followed
    for path in (page for page in pages if page.count("/") > 2):
        assert stranger.post(path, {"csrf_token": [token], "name": ["mine"]}).status == 404
    assert "Create the first app" in stranger.get("/apps").links()
    assert (count(alice.app, App), count(alice.app, Smtp), count(alice.app, Check)) == (1, 1, 1)


def _nobodys(part: str) -> str:
    return NOBODYS if len(part) == len(NOBODYS) else part


@one_database
@pytest.mark.parametrize(
    "path",
    ["/apps/x", "/apps/%00", f"/apps/{'A' * 24}", "/smtps/" + "0" * 25, "/checks/٣", "/nothing"],
)
def test_what_is_no_address_is_a_page_that_says_so(browser, path):
    assert browser.get(path, status=404).heading == "Not Found"


def test_a_wrong_method_is_a_page_that_says_so(browser, idapp):
    assert browser.get(f"/smtps/{NOBODYS}/check", status=405).heading == "Method Not Allowed"


def test_a_body_that_is_too_large_is_a_page_that_says_so(browser, alice):
    token = browser.get("/apps/new").form().value("csrf_token")
    page = browser.post("/apps/new", {"csrf_token": [token], "name": ["x" * 2_000_000]})
    assert page.status == 413
    assert count(alice.app, App) == 0


def test_no_page_ever_holds_the_password_in_any_writing(browser, alice, idapp):
    replies = {"AUTH": f"535 no: {SECRET}"}
    with fake_smtp(login=("shop", SECRET), replies=replies) as server:
        given = for_server(server)
        pages = [
            browser.result(browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **given)),
            browser.submit(f"/apps/{idapp}/smtps/new", CHECK, **(given | {"port": "x"})),
        ]
    smtp = only_smtp(alice.app)
    paths = [
        f"/apps/{idapp}", f"/apps/{idapp}/remove", f"/smtps/{smtp.id}", f"/smtps/{smtp.id}/edit",
        f"/smtps/{smtp.id}/remove",
    ]  # fmt: skip
    pages += [browser.get(path) for path in paths]
    raw = SECRET.encode()
    forms = [
        SECRET,
        html.escape(SECRET),
        base64.b64encode(raw).decode().rstrip("="),
        base64.b64encode(b"\0shop\0" + raw).decode().rstrip("="),
        smtp.password_sealed,
    ]
    for page in pages:
        for form in forms:
            assert form not in page.html, page.url
            assert form not in html.unescape(page.html), page.url


XSS = "<img src=x onerror=alert(1)>'\"&{{7*7}}"


def test_whatever_people_and_servers_say_is_text_and_nothing_else(browser, alice):
    app = browser.submit(
        "/apps/new",
        name=XSS,
        defaultfromname=XSS,
        testemail="a@example.com",
        defaultfromemail="b@example.com",
    )
    replies = {
        "connect": f"220 {XSS}",
        "EHLO": f"250-{XSS}\r\n250 AUTH PLAIN",
        "AUTH": f"535 {XSS}",
    }
    with fake_smtp(login=(XSS, "s3cret"), replies=replies) as server:
        given = for_server(server, defaultfromname=XSS, smtp_secret="other")
        check = browser.result(
            browser.submit(
                f"{app.url}/smtps/new", "Save and send a test mail to a@example.com", **given
            )
        )
    smtp = only_smtp(alice.app)
    pages = [app, check] + [
        browser.get(path)
        for path in (
            "/apps", app.url, f"{app.url}/edit", f"{app.url}/remove", f"/smtps/{smtp.id}",
            f"/smtps/{smtp.id}/edit", f"/smtps/{smtp.id}/remove",
        )
    ]  # fmt: skip
    assert f"535 {XSS}" in check.text
    assert app.heading == XSS
    for page in pages:
        assert "<img src=x" not in page.html, page.url
        assert not [image for image in page.all("img") if image.get("src") == "x"]


@pytest.mark.parametrize("what", ["apps", "smtps", "history"])
def test_a_longer_list_takes_no_more_statements(browser, alice, idapp, what):
    def grow(rows: int) -> None:
        with alice.app.app_context():
            if what == "apps":
                for _ in range(rows):
                    app = App(user_id=alice.user_id, name=f"{now()}{_}", testemail="a@example.com")
                    db.session.add(app)
                    db.session.flush()
                    make_check(alice, app.id)
            elif what == "smtps":
                for _ in range(rows):
                    make_check(alice, idapp)
            else:
                for _ in range(rows):
                    make_check(alice, idapp, smtp_id=smtp_id)

    with alice.app.app_context():
        smtp_id = make_check(alice, idapp).smtp_id
    path = {"apps": "/apps", "smtps": f"/apps/{idapp}", "history": f"/smtps/{smtp_id}"}[what]
    grow(1)
    with statements() as few:
        browser.get(path)
    grow(12)
    with statements() as many:
        page = browser.get(path)
    assert len(many) == len(few) <= 10, many
    assert len(list(page.all("time"))) >= 12 or what == "apps"


def test_static_files_are_named_by_their_content_and_kept(browser):
    page = browser.get("/apps")
    for link in page.all("link", "script"):
        address = link.get("href") or link.get("src") or ""
        reply = browser.client.get(address)
        assert reply.status_code == 200, address
        assert "immutable" in reply.headers["Cache-Control"]
        plain = browser.client.get(address.partition("?")[0])
        assert "immutable" not in plain.headers["Cache-Control"]
        for one in (reply, plain):
            assert "Set-Cookie" not in one.headers, address
            one.close()


def test_an_error_page_asks_the_storage_nothing(browser, alice):
    with statements() as seen:
        browser.get("/nothing", status=404)
    assert seen == []
    assert alice.name not in browser.get("/nothing", status=404).text
