"""The account page: name, language, password and tokens, as people meet them in a browser."""

from __future__ import annotations

from typing import Any

import pytest

from smtpweb.accounts import users
from smtpweb.database.models import ApiToken, BrowserSession, User
from smtpweb.database.secret_box import digest_of
from smtpweb.database.session import db, now
from tests.support.browser import Browser, Page, one_database, signed_in, words
from tests.support.people import PASSWORD, Person, Visitor

NEW_PASSWORD = "seven quiet lanterns drift"


def change_password(browser: Browser, **typed: str | bool) -> Page:
    page = browser.get("/account")
    given: dict[str, str | bool] = {
        "old_password": PASSWORD,
        "password": NEW_PASSWORD,
        "again": NEW_PASSWORD,
    }
    form = page.form("/account/password")
    return browser.send(page, form.fill(**(given | typed)))


def test_new_password_ends_the_other_sessions_and_keeps_this_one(alice: Person) -> None:
    here, elsewhere = signed_in(alice.app, alice), signed_in(alice.app, alice)
    page = change_password(here)
    assert page.url == "/account"
    assert "Password changed" in page.text
    assert here.get("/apps").url == "/apps"
    assert elsewhere.get("/apps").url == "/login"
    fresh = Browser(alice.app)
    assert fresh.submit("/login", name="alice", password=PASSWORD).status == 422
    assert fresh.submit("/login", name="alice", password=NEW_PASSWORD).url == "/apps"


@pytest.mark.parametrize("keeps", [None, False, True])
def test_new_password_ends_login_tokens_and_personal_ones_unless_they_are_kept(
    alice: Person, keeps: bool | None
) -> None:
    personal = alice.with_scopes("read")
    typed = {} if keeps is None else {"keep_tokens": keeps}
    change_password(signed_in(alice.app, alice), **typed)
    assert alice.get("/private/apps/findAll", page=0, size=1).status_code == 403
    reply = personal.get("/private/apps/findAll", page=0, size=1)
    assert reply.status_code == (200 if keeps else 403)


@one_database
@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"old_password": "wrong"}, "old_password"),
        ({"password": "password1234", "again": "password1234"}, "password"),
        ({"password": "short", "again": "short"}, "password"),
        ({"again": "another one"}, "again"),
        ({"old_password": ""}, "old_password"),
        ({"password": "ab\x00cdefghijklmnop", "again": "ab\x00cdefghijklmnop"}, "password"),
    ],
)
def test_password_that_cannot_be_changed_says_why(
    alice: Person, typed: dict[str, str], field: str
) -> None:
    browser = signed_in(alice.app, alice)
    page = change_password(browser, **typed)
    assert page.status == 422
    assert list(page.errors()) == [field]
    with alice.app.app_context():
        assert db.session.query(BrowserSession).count() == 1


def test_current_password_guesses_are_throttled(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    for _ in range(users.FAILURES_PER_ACCOUNT):
        change_password(browser, old_password="wrong")
    assert change_password(browser).status == 429


def make_token(browser: Browser, **typed: str | list[str]) -> Page:
    page = browser.get("/account")
    form = page.form("/account/tokens")
    given: dict[str, str | list[str]] = {"label": "nightly report"}
    return browser.send(page, form.fill(**(given | typed)))


def test_personal_token_is_shown_once_and_works(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    page = make_token(browser, scopes=["read", "check"], days="30")
    assert page.heading == "Your new token"
    token = page.by_id("token").attrib["value"]
    assert token in page.html
    reply = Visitor(alice.app, token).get("/private/apps/findAll", page=0, size=1)
    assert reply.status_code == 200
    with browser.client.session_transaction() as session:
        assert token not in str(dict(session))
    page = browser.get("/account")
    assert token not in page.html
    assert "nightly report" in page.text
    assert "read check" in page.text
    assert "last used just now" in page.text or "last used 1 second" in page.text
    assert "expires in 30 days" in page.text
    with alice.app.app_context():
        kept = db.session.query(ApiToken).filter_by(personal=True).one()
        assert kept.digest == digest_of(token)


def personal_tokens(alice: Person) -> int:
    with alice.app.app_context():
        return db.session.query(ApiToken).filter_by(personal=True).count()


def test_token_that_sees_passwords_needs_the_current_password(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    for wrong in ("", "not my password"):
        page = make_token(browser, scopes=["read", "secrets"], confirm_password=wrong)
        assert page.status == 422
        assert list(page.errors()) == ["confirm_password"]
    assert personal_tokens(alice) == 0
    page = make_token(browser, scopes=["read", "secrets"], confirm_password=PASSWORD)
    assert PASSWORD not in page.html
    token = page.by_id("token").attrib["value"]
    idapp = alice.make_app("shop")["_id"]
    made = alice.make_smtp(idapp, username="shop", password="s3cret", auth="true")
    assert Visitor(alice.app, token).smtp(made["_id"])["password"] == "s3cret"


def test_guesses_of_the_password_for_a_token_are_throttled(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    for _ in range(users.FAILURES_PER_ACCOUNT):
        make_token(browser, scopes=["secrets"], confirm_password="wrong")
    assert make_token(browser, scopes=["secrets"], confirm_password=PASSWORD).status == 429
    assert personal_tokens(alice) == 0


def test_personal_token_may_live_for_ever_and_an_expired_one_is_marked(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    make_token(browser, days="")
    assert "never expires" in browser.get("/account").text
    with alice.app.app_context():
        db.session.query(ApiToken).filter_by(personal=True).one().expires = now()
        db.session.commit()
    assert "expired" in browser.get("/account").text


@one_database
@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "x" * 201}, "label"),
        ({"label": "a\r\nb"}, "label"),
        ({"label": "a\x00b"}, "label"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["read", "everything"]}, "scopes"),
        ({"days": "100000"}, "days"),
    ],
)
def test_bad_token_form_names_the_field_and_makes_nothing(
    alice: Person, typed: dict[str, Any], field: str
) -> None:
    browser = signed_in(alice.app, alice)
    page = make_token(browser, **typed)
    assert page.status == 422
    assert list(page.errors()) == [field]
    with alice.app.app_context():
        assert not db.session.query(ApiToken).filter_by(personal=True).count()


def test_token_can_be_revoked_by_its_owner_only(alice: Person, charlie: Person) -> None:
    mine = signed_in(alice.app, alice)
    token = make_token(mine).by_id("token").get("value")
    page = mine.get("/account")
    ask = page.links()["Revoke…"]
    revoke = f"{ask}/revoke"
    other = signed_in(alice.app, charlie)
    assert other.get(ask, status=404)
    own_token = other.get("/account").form("/account/tokens").value("csrf_token")
    assert other.post(revoke, {"csrf_token": [own_token]}).status == 404
    assert Visitor(alice.app, token).get("/private/apps/findAll", page=0, size=1).status_code == 200
    page = mine.get(ask)
    assert page.heading == "Revoke nightly report?"
    assert "read" in page.text and "Last used" in page.text
    assert Visitor(alice.app, token).get("/private/apps/findAll", page=0, size=1).status_code == 200
    assert "Token revoked" in mine.press(page, revoke).text
    assert mine.get(ask, status=404)
    assert Visitor(alice.app, token).get("/private/apps/findAll", page=0, size=1).status_code == 403


def test_new_token_has_a_button_to_copy_it_for_those_with_scripts(alice: Person) -> None:
    page = make_token(signed_in(alice.app, alice))
    (button,) = [one for one in page.all("button") if one.get("data-copy")]
    assert button.get("data-copy") == "token"
    assert "hidden" in button.attrib
    assert any("copy.js" in (one.get("src") or "") for one in page.all("script"))


def test_reloading_after_a_refused_form_leads_back_to_the_account_page(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    assert browser.get("/account/password").url == "/account"
    assert browser.get("/account/tokens").url == "/account"


def test_names_and_labels_are_text_and_nothing_else(alice: Person) -> None:
    with alice.app.app_context():
        user = db.session.get_one(User, alice.user_id)
        user.name = "<script>alert(1)</script>"
        db.session.commit()
    browser = signed_in(alice.app, Person(alice.app, alice.user_id, "alice", alice.token))
    make_token(browser, label="<img src=x onerror=alert(2)>")
    page = browser.get("/account")
    assert "<script>alert(1)" not in page.html
    assert "<img src=x" not in page.html
    assert "<script>alert(1)</script>" in page.text


# --- name, address, language ---------------------------------------------------------------


def change(browser: Browser, what: str, **typed: str) -> Page:
    page = browser.get("/account")
    return browser.send(page, page.form(f"/account/{what}").fill(**typed))


def test_account_name_and_address_can_be_changed(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    page = change(
        browser, "profile", name="Alícia", email="al@example.com", present_password=PASSWORD
    )
    assert "Name and email saved." in page.text
    assert page.form("/account/profile").value("email") == "al@example.com"
    fresh = Browser(alice.app)
    assert fresh.submit("/login", name="alice", password=PASSWORD).status == 422
    assert fresh.submit("/login", name="ALÍCIA", password=PASSWORD).url == "/apps"
    assert fresh.get("/apps/new").form().value("testemail") == "al@example.com"


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"name": "CHARLIE"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "ﬃ" * 100}, "name"),  # 300 letters in lower case
        ({"email": "nobody"}, "email"),
        ({"present_password": "wrong"}, "present_password"),
        ({"present_password": ""}, "present_password"),
    ],
)
def test_name_or_address_that_cannot_be_taken_says_why_at_its_field(
    alice: Person, charlie: Person, typed: dict[str, str], field: str
) -> None:
    browser = signed_in(alice.app, alice)
    page = change(browser, "profile", **({"present_password": PASSWORD} | typed))
    assert page.status == 422
    assert list(page.errors()) == [field]
    with alice.app.app_context():
        user = db.session.get_one(User, alice.user_id)
        assert (user.name, user.email) == ("alice", "alice@example.com")


@one_database
def test_language_of_an_account_wins_over_the_browsers_until_it_is_given_back(
    alice: Person,
) -> None:
    browser, elsewhere = signed_in(alice.app, alice), signed_in(alice.app, alice)
    page = change(browser, "language", language="es")
    assert (page.one("html").get("lang"), page.heading) == ("es", "Cuenta")
    assert "Idioma cambiado a español." in page.text
    assert elsewhere.get("/apps").one("html").get("lang") == "es"
    # Error pages ask no storage, and know it all the same.
    assert browser.get("/nothing", status=404).heading == "Página no encontrada"
    assert change(browser, "language", language="").one("html").get("lang") == "en"


@one_database
def test_language_that_no_page_speaks_is_refused(alice: Person) -> None:
    browser = signed_in(alice.app, alice)
    token = browser.get("/account").form("/account/language").value("csrf_token")
    page = browser.post("/account/language", {"csrf_token": [token], "language": ["tlh"]})
    assert page.status == 422
    assert list(page.errors()) == ["language"]
    assert browser.get("/account").one("html").get("lang") == "en"


@one_database
def test_account_page_shows_profile_then_security_then_tokens(alice: Person) -> None:
    page = signed_in(alice.app, alice).get("/account")
    order = [words(one) for one in page.all("h2")]
    assert order.index("Name and email") < order.index("Security")
    assert order[-1] == "Personal tokens"


@one_database
def test_revoking_asks_first_and_says_when_the_token_was_used(alice: Person) -> None:
    personal = alice.with_scopes("read")
    browser = signed_in(alice.app, alice)
    link = browser.get("/account").links()["Revoke…"]
    assert "never" in browser.get(link).text
    personal.get("/private/apps/findAll", page=0, size=1)
    asked = browser.get(link)
    assert "Last used" in asked.text
    assert "never" not in asked.text
    assert "Cancel" in asked.links()
    assert personal.get("/private/apps/findAll", page=0, size=1).status_code == 200
