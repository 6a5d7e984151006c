"""Set-up, signing in and out, CSRF, as people meet them in a browser."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from smtpweb import installation
from smtpweb.accounts import users
from smtpweb.database.models import BrowserSession
from smtpweb.database.session import db
from tests.support.browser import Browser, Page, one_database, signed_in
from tests.support.people import PASSWORD, Person, Visitor


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


def code_of(app: Flask) -> str:
    with app.app_context():
        return installation.set_up_code()


def set_up(browser: Browser, **changes: str) -> Page:
    given = {
        "code": code_of(browser.app),
        "name": "Ana",
        "email": "ana@example.com",
        "password": PASSWORD,
        "again": PASSWORD,
    }
    return browser.submit("/setup", **(given | changes))


# --- set-up --------------------------------------------------------------------------------


@one_database
@pytest.mark.parametrize("path", ["/", "/apps", "/login", "/account"])
def test_fresh_installation_leads_every_visitor_to_the_set_up_page(
    browser: Browser, path: str
) -> None:
    assert browser.get(path).url == "/setup"


def test_set_up_makes_an_administrator_who_is_signed_in(browser: Browser) -> None:
    page = set_up(browser)
    assert page.url == "/apps"
    with browser.app.app_context():
        user = users.find_user("ana")
        assert (user.name, user.email, user.is_admin) == ("Ana", "ana@example.com", True)


@one_database
@pytest.mark.parametrize("spell", [str.lower, lambda code: f"  {code.replace('-', ' ')} "])
def test_set_up_code_may_be_typed_without_care(browser: Browser, spell: Callable[..., Any]) -> None:
    assert set_up(browser, code=spell(code_of(browser.app))).url == "/apps"


@one_database
@pytest.mark.parametrize("code", ["AAAA-BBBB-CCCC", "ñ", "-"])
def test_wrong_set_up_code_makes_no_account(browser: Browser, code: str) -> None:
    page = set_up(browser, code=code)
    assert page.status == 422
    assert "not the code" in page.errors()["code"]
    with browser.app.app_context():
        assert installation.needs_first_account()


def test_guesses_of_the_set_up_code_are_throttled(browser: Browser) -> None:
    for _ in range(users.FAILURES_PER_ACCOUNT):
        assert set_up(browser, code="wrong").status == 422
    page = set_up(browser)
    assert page.status == 429
    assert int(page.headers["Retry-After"]) > 0
    assert page.form().value("name") == "Ana"


@one_database
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a\x00b"),
        ("name", "a\r\nb"),
        ("name", "x" * 101),
        ("email", "nobody"),
        ("email", "a@example.com\r\nBcc: b@example.com"),
        ("password", "short"),
        ("again", "something else"),
        ("code", ""),
    ],
)
def test_set_up_names_the_field_at_fault_and_keeps_the_others(
    browser: Browser, field: str, value: str
) -> None:
    page = set_up(browser, **({"again": value} if field == "password" else {}), **{field: value})
    assert page.status == 422
    assert list(page.errors()) == [field]
    assert page.form().value("password") == ""
    if field != "name":
        assert page.form().value("name") == "Ana"


def test_set_up_is_over_once_somebody_has_an_account(browser: Browser, alice: Person) -> None:
    assert browser.get("/setup").url == "/login"
    form_of_before = {"code": ["x"], "name": ["eve"]}
    assert browser.post("/setup", form_of_before).status == 400  # no token: nothing is looked at


# --- signing in and out --------------------------------------------------------------------


@one_database
@pytest.mark.parametrize("path", ["/", "/apps", "/apps/new", "/account", "/smtps/" + "0" * 24])
def test_stranger_is_sent_to_the_login_page(browser: Browser, alice: Person, path: str) -> None:
    page = browser.get(path)
    assert page.url == "/login"
    assert "Sign in to see this page." in page.text


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD)])
def test_wrong_login_says_the_same_for_known_and_unknown_names(
    browser: Browser, alice: Person, name: str, password: str
) -> None:
    page = browser.submit("/login", name=name, password=password)
    assert page.status == 422
    assert "The user name or the password is wrong." in page.text
    assert page.form().value("name") == name
    assert page.form().value("password") == ""


def test_name_with_a_nul_is_just_a_wrong_login(browser: Browser, alice: Person) -> None:
    assert browser.submit("/login", name="al\x00ice", password=PASSWORD).status == 422


def test_wrong_logins_beyond_the_limit_are_refused_for_a_while(
    browser: Browser, alice: Person
) -> None:
    for _ in range(users.FAILURES_PER_ACCOUNT):
        browser.submit("/login", name="alice", password="wrong")
    page = browser.submit("/login", name="alice", password=PASSWORD)
    assert page.status == 429
    assert page.headers["Retry-After"]
    assert page.form().value("name") == "alice"


def test_guesses_sent_at_once_learn_no_more_than_one_after_the_other(app: Flask) -> None:
    def guess(number: int) -> int:
        reply = Visitor(app).post("/auth/login", username="alice", password=f"guess {number}")
        return reply.status_code

    with ThreadPoolExecutor(30) as pool:
        told = list(pool.map(guess, range(30)))
    assert set(told) == {403, 429}
    assert told.count(403) <= users.FAILURES_PER_ACCOUNT


@one_database
@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/account", "/account"),
        ("/apps/new?x=1", "/apps/new"),
        ("/apps?page=2", "/apps"),
        ("//evil.example", "/apps"),
        ("/\\evil.example", "/apps"),
        ("https:evil.example", "/apps"),
        ("https://evil.example/account", "/apps"),
        ("///evil.example/account", "/apps"),
        ("/\t/evil.example", "/apps"),
        ("javascript:alert(1)", "/apps"),
        ("/logout", "/apps"),
        ("/account/tokens", "/account"),
        ("/nothing", "/apps"),
        ("/static/icon.svg", "/apps"),
        ("/private/apps/findAll", "/apps"),
        ("http://[", "/apps"),
    ],
)
def test_signing_in_leads_only_to_pages_of_our_own(
    browser: Browser, alice: Person, wanted: str, reached: str
) -> None:
    form = browser.get("/login").form().fill(name="alice", password=PASSWORD)
    data = {name: list(values) for name, values in form.values.items()}
    reply = browser.client.post("/login", query_string={"next": wanted}, data=data)
    assert reply.status_code == 303
    assert reply.location == "/" or reply.location.startswith(("/apps", "/account"))
    assert browser.get(reply.location).url == reached


def test_signed_in_user_is_not_asked_again(alice: Person) -> None:
    assert signed_in(alice.app, alice).get("/login").url == "/apps"


def test_signing_in_begins_a_new_session(browser: Browser, alice: Person) -> None:
    browser.get("/login")
    with browser.client.session_transaction() as planted:
        planted["planted"] = "by somebody else"
        token = planted["csrf_token"]
    browser.submit("/login", name="alice", password=PASSWORD)
    with browser.client.session_transaction() as session:
        assert "planted" not in session
        assert session.get("csrf_token") != token


def test_signing_out_kills_copies_of_the_cookie(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    cookie = browser.client.get_cookie("smtpweb")
    assert cookie
    stolen = cookie.value
    assert browser.press(*_sign_out(browser)).url == "/login"
    thief = Browser(alice.app)
    thief.client.set_cookie("smtpweb", stolen)
    assert thief.get("/apps").url == "/login"
    with alice.app.app_context():
        assert db.session.query(BrowserSession).count() == 0


def _sign_out(browser: Browser) -> tuple[Page, str]:
    page = browser.get("/apps")
    # The button stands in the head of the page, outside its main part.
    page.one("main").append(page.one("header"))
    return page, "/logout"


def test_signing_out_twice_does_no_harm(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    page, action = _sign_out(browser)
    browser.press(page, action)
    token = browser.get("/login").form().value("csrf_token")
    assert browser.post("/logout", {"csrf_token": [token]}).url == "/login"


def test_signing_out_takes_a_post(alice: Person) -> None:
    assert signed_in(alice.app, alice).get("/logout", status=405).heading == "Method Not Allowed"


def test_session_cookie_is_kept_from_scripts_and_other_sites(
    browser: Browser, alice: Person
) -> None:
    form = browser.get("/login").form().fill(name="alice", password=PASSWORD)
    reply = browser.client.post("/login", data={n: list(v) for n, v in form.values.items()})
    cookie = reply.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_bearer_token_opens_no_page_and_a_cookie_no_call_of_the_api(alice: Person) -> None:
    bearer = {"Authorization": f"Bearer {alice.token}"}
    reply = alice.app.test_client().get("/apps", headers=bearer)
    assert (reply.status_code, reply.location.split("?")[0]) == (302, "/login")
    browser = signed_in(alice.app, alice)
    reply = browser.client.get("/private/apps/findAll?page=0&size=1")
    assert reply.status_code == 401


# --- CSRF ----------------------------------------------------------------------------------


@one_database
@pytest.mark.parametrize(
    "path",
    ["/login", "/logout", "/setup", "/apps/new", "/account/password", "/account/tokens"]
    + [
        f"/{what}/{'0' * 24}/{act}"
        for what, act in (
            ("apps", "edit"), ("apps", "remove"), ("apps", "smtps/new"), ("smtps", "edit"),
            ("smtps", "remove"), ("smtps", "check"), ("account/tokens", "revoke"),
        )
    ],
)  # fmt: skip
def test_form_from_elsewhere_is_refused_with_what_to_do(alice: Person, path: str) -> None:
    browser = signed_in(alice.app, alice)
    page = browser.post(path, {"name": ["x"]})
    assert page.status == 400
    assert "reload the page" in page.text


def test_token_of_another_browser_is_refused(alice: Person, charlie: Person) -> None:
    page = signed_in(alice.app, alice).get("/apps/new")
    other = signed_in(alice.app, charlie)
    assert other.send(page, page.form().fill(name="shop")).status == 400


def test_json_body_with_a_good_token_is_just_an_empty_form(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    token = browser.get("/apps/new").form().value("csrf_token")
    reply = browser.client.post("/apps/new", json=[1, 2], headers={"X-CSRFToken": token})
    assert reply.status_code == 422
