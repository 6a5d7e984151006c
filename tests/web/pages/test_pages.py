"""What holds for every page: ownership, bad addresses, secrets, scripts, statements."""

from __future__ import annotations

import base64
import html
import re
from typing import NoReturn

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from smtpweb.database.models import App, Check, Smtp
from smtpweb.database.session import db, now
from smtpweb.registry import apps, overview
from tests.support.browser import Browser, Page, one_database, signed_in, words
from tests.support.counting import statements
from tests.support.factories import CHECK, SECRET, count, for_server, make_check, only_smtp
from tests.support.fake_smtp import fake_smtp
from tests.support.people import Person

NOBODYS = "0" * 24
ONLY_READ = ("/progress", "/arrival", "/fix")


def _everything(alice: Person, idapp: str) -> list[str]:
    """The address of every page about something of alice's."""
    with alice.app.app_context():
        check = make_check(alice, idapp)
        return [
            f"/apps/{idapp}", f"/apps/{idapp}/edit", f"/apps/{idapp}/remove",
            f"/apps/{idapp}/smtps/new", f"/smtps/{check.smtp_id}", f"/smtps/{check.smtp_id}/edit",
            f"/smtps/{check.smtp_id}/remove", f"/checks/{check.id}",
            f"/checks/{check.id}/progress", f"/checks/{check.id}/arrival",
            f"/smtps/{check.smtp_id}/fix",
        ]  # fmt: skip


def test_page_of_somebody_elses_row_is_not_found(
    alice: Person, charlie: Person, idapp: str
) -> None:
    stranger = signed_in(alice.app, charlie)
    pages = _everything(alice, idapp)
    token = stranger.get("/apps/new").form().value("csrf_token")
    for path in pages:
        nobodys = stranger.get("/".join(_nobodys(part) for part in path.split("/")), status=404)
        assert _same(stranger.get(path, status=404).html) == _same(nobodys.html)
    pages = [page for page in pages if not page.endswith(ONLY_READ)]
    pages.append(pages[4] + "/check")
    for path in (page for page in pages if page.count("/") > 2):
        assert stranger.post(path, {"csrf_token": [token], "name": ["mine"]}).status == 404
    assert "Set up your first SMTP server" in stranger.get("/apps").links()
    assert (count(alice.app, App), count(alice.app, Smtp), count(alice.app, Check)) == (1, 1, 1)


def _same(html: str) -> str:
    """A page without its CSRF tokens, which differ, and its own address, to return to."""
    return re.sub('name="(csrf_token|back)" value="[^"]*"', "", html)


def _nobodys(part: str) -> str:
    return NOBODYS if len(part) == len(NOBODYS) else part


@one_database
@pytest.mark.parametrize(
    "path",
    ["/apps/x", "/apps/%00", f"/apps/{'A' * 24}", "/smtps/" + "0" * 25, "/checks/٣", "/nothing"],
)
def test_unknown_address_is_a_page_that_says_so(browser: Browser, path: str) -> None:
    assert browser.get(path, status=404).heading == "Page not found"


def test_wrong_method_is_a_page_that_says_so(browser: Browser, idapp: str) -> None:
    page = browser.get(f"/smtps/{NOBODYS}/check", status=405)
    assert page.heading == "Nothing to show at this address"
    assert page.links()["Go to the page above"] == f"/smtps/{NOBODYS}"


def test_body_that_is_too_large_is_a_page_that_says_so(browser: Browser, alice: Person) -> None:
    token = browser.get("/apps/new").form().value("csrf_token")
    page = browser.post("/apps/new", {"csrf_token": [token], "name": ["x" * 2_000_000]})
    assert page.status == 413
    assert count(alice.app, App) == 0


def test_pages_never_hold_the_password_in_any_encoding(
    browser: Browser, alice: Person, idapp: str
) -> None:
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
    assert smtp.password_sealed
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


def test_words_of_people_and_servers_are_text_and_nothing_else(
    browser: Browser, alice: Person
) -> None:
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
                f"{app.url}/smtps/new", "Save and send a test email to a@example.com", **given
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
def test_list_that_is_longer_takes_no_more_statements(
    browser: Browser, alice: Person, idapp: str, what: str
) -> None:
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
    assert len(many) == len(few) <= 15, many
    moments = [
        one
        for one in page.all("time", "a")
        if one.tag == "time" or "row-last" in one.get("class", "")
    ]
    assert len(moments) >= 12 or what == "apps"


def test_static_files_are_named_by_their_content_and_kept(browser: Browser) -> None:
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


def navigation(page: Page) -> list[str]:
    bars = [nav for nav in page.all("nav") if nav.get("class") == "site-nav"]
    return [words(link) for nav in bars for link in nav.iter("a")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("get", "/nothing", 404),
        ("get", f"/apps/{NOBODYS}", 404),
        ("post", "/docs", 405),
        ("get", f"/smtps/{NOBODYS}/check", 405),
        ("get", "/apps?sort=nonsense", 400),
    ],
)
def test_error_of_the_reader_keeps_the_navigation(
    browser: Browser, alice: Person, method: str, path: str, status: int
) -> None:
    token = browser.get("/apps/new").form().value("csrf_token") if method == "post" else ""
    reply = getattr(browser.client, method)(
        path, **({"data": {"csrf_token": token}} if token else {})
    )
    assert reply.status_code == status
    page = Page(reply)
    assert navigation(page) == ["Overview", "Apps", "Servers", "Operation", "Account"]
    assert "Sign out" in reply.text
    assert navigation(Page(alice.app.test_client().get("/nothing"))) == []


def test_error_page_of_a_broken_storage_asks_it_nothing(
    browser: Browser, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> NoReturn:
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    monkeypatch.setattr(overview, "summaries", away)
    monkeypatch.setattr(apps, "find", away)
    with statements() as seen:
        reply = browser.client.get(f"/apps/{NOBODYS}")
    assert reply.status_code == 503
    assert len(seen) == 1, "who is signed in, and no more"  # asked before anything failed
    assert "Apps" in navigation(Page(reply))  # of what the session knows
    assert reply.headers["Refresh"] == reply.headers["Retry-After"] == "5"
    assert "reloads automatically" in reply.text
    posted = browser.post(f"/apps/{NOBODYS}/edit", {})
    assert "Refresh" not in posted.headers


def test_page_that_is_not_there_is_a_404_while_the_storage_is_broken(
    browser: Browser, alice: Person
) -> None:
    def away(*_: object) -> NoReturn:
        raise OperationalError("SELECT", {}, Exception("disk I/O error"))

    vars(alice.app)["login_manager"].user_loader(away)
    page = browser.get("/nothing", status=404)
    assert "Apps" in navigation(page)
    assert page.heading == "Page not found"


@pytest.mark.parametrize("path", ["/favicon.ico", "/apple-touch-icon.png"])
def test_browsers_find_an_icon_where_they_ask_for_it(app: Flask, path: str) -> None:
    reply = app.test_client().get(path)
    assert reply.status_code == 200
    assert reply.mimetype in ("image/vnd.microsoft.icon", "image/x-icon", "image/png")
    assert reply.data[:4] in (b"\0\0\1\0", b"\x89PNG")
    assert reply.headers["Cache-Control"] == "public, max-age=86400"
    reply.close()


def test_printed_pages_say_where_and_when(browser: Browser, idapp: str) -> None:
    for path in ("/apps", f"/apps/{idapp}", "/account"):
        (printed,) = [
            words(one) for one in browser.get(path).all("span") if one.get("class") == "print-only"
        ]
        assert re.fullmatch(rf"http://localhost{path} · [0-9]{{4}}-[0-9-]+ [0-9:]+ UTC", printed)
