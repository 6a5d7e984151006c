"""The pages "Use in your app", as people use them in a browser."""

from __future__ import annotations

import re

import pytest

from smtpweb.database.models import ApiToken
from smtpweb.database.secret_box import digest_of
from smtpweb.database.session import db, now
from smtpweb.web.presentation.snippets import LIST_RECIPES, RECIPES, Recipe
from tests.support.browser import Browser, one_database, signed_in
from tests.support.people import PASSWORD, Person, Visitor

LOGIN = {"auth": "true", "username": "shop@example.com", "password": "s3cret-9", "starttls": "true"}


def token_of(page_text: str) -> str:
    found = re.search(r'value="(smw_[^"]+)"', page_text)
    assert found, page_text
    return found[1]


@one_database
@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.id for recipe in RECIPES])
def test_server_page_shows_a_snippet_with_its_settings_and_without_its_password(
    alice: Person, recipe: Recipe
) -> None:
    smtp = alice.make_smtp(alice.make_app()["_id"], host="smtp.example.net", port=2525, **LOGIN)
    browser = signed_in(alice.app, alice)
    page = browser.get(f"/smtps/{smtp['_id']}/use?in={recipe.id}")
    shown = page.by_id("snippet")
    code = "".join(shown.itertext())
    assert "smtp.example.net" in code
    assert "2525" in code
    assert "s3cret-9" not in page.html
    assert "SMTP_PASSWORD" in page.text


@one_database
def test_server_page_is_reached_from_the_server_and_the_app(alice: Person) -> None:
    app = alice.make_app()
    smtp = alice.make_smtp(app["_id"], **LOGIN)
    browser = signed_in(alice.app, alice)
    assert browser.get(f"/smtps/{smtp['_id']}").links()["Use in your app"] == (
        f"/smtps/{smtp['_id']}/use"
    )
    assert browser.get(f"/apps/{app['_id']}").links()["Use in your app"] == (
        f"/apps/{app['_id']}/use"
    )


@one_database
def test_app_page_shows_the_address_of_its_list_and_the_server_in_use(alice: Person) -> None:
    app = alice.make_app(strategy="PRIORITY")
    first = alice.make_smtp(app["_id"], host="first.example.net", priority=1)
    alice.make_smtp(app["_id"], host="second.example.net", priority=2)
    alice.post("/private/smtps/check", idsmtp=first["_id"])  # it fails, so the second is used
    browser = signed_in(alice.app, alice)
    for recipe in LIST_RECIPES:
        page = browser.get(f"/apps/{app['_id']}/use?fetch={recipe.id}&in=smtplib")
        code = "".join(page.by_id("list-snippet").itertext())
        assert f"http://localhost/private/smtps/findByApp?idapp={app['_id']}" in code
        settings = "".join(page.by_id("snippet").itertext())
        assert "second.example.net" in settings
        assert "first.example.net" not in settings


@one_database
def test_app_page_without_servers_leads_to_adding_one(alice: Person) -> None:
    app = alice.make_app()
    page = signed_in(alice.app, alice).get(f"/apps/{app['_id']}/use")
    assert page.links()["Add SMTP server"] == f"/apps/{app['_id']}/smtps/new"


@one_database
@pytest.mark.parametrize(
    ("strategy", "words"), [("PRIORITY", "by priority"), ("RANDOM", "at random")]
)
def test_app_page_says_in_which_order_servers_are_used(
    alice: Person, strategy: str, words: str
) -> None:
    app = alice.make_app(strategy=strategy)
    assert words in signed_in(alice.app, alice).get(f"/apps/{app['_id']}/use").text


def test_token_for_the_list_is_made_in_one_click_and_reads_no_password(alice: Person) -> None:
    app = alice.make_app(name="Web shop")
    alice.make_smtp(app["_id"], **LOGIN)
    browser = signed_in(alice.app, alice)
    page = browser.get(f"/apps/{app['_id']}/use")
    shown = browser.send(page, page.form(f"/apps/{app['_id']}/use/token"))
    assert shown.links()["Done"] == f"/apps/{app['_id']}/use"
    token = token_of(shown.html)
    program = Visitor(alice.app, token)
    (smtp,) = program.get("/private/smtps/findByApp", idapp=app["_id"]).json
    assert smtp["password"] is None
    assert program.post("/private/smtps/remove", idsmtp=smtp["_id"]).status_code == 401
    with alice.app.app_context():
        row = db.session.query(ApiToken).filter_by(digest=digest_of(token)).one()
        assert (row.label, row.scopes) == ("Web shop", "read")
        assert row.expires is not None
        assert 364 <= (row.expires - now()).days <= 365


def test_token_that_reads_passwords_needs_the_current_password(alice: Person) -> None:
    app = alice.make_app()
    alice.make_smtp(app["_id"], **LOGIN)
    browser = signed_in(alice.app, alice)
    address = f"/apps/{app['_id']}/use/secrets-token"
    page = browser.get(f"/apps/{app['_id']}/use")
    csrf = page.form(address).values["csrf_token"]
    for wrong in ("", "guess"):
        refused = browser.post(address, {"csrf_token": csrf, "confirm_password": [wrong]})
        assert refused.status == 422
        assert "smw_" not in refused.html
        assert browser.get(address).url == f"/apps/{app['_id']}/use"  # if it is reloaded
    shown = browser.post(address, {"csrf_token": csrf, "confirm_password": [PASSWORD]})
    program = Visitor(alice.app, token_of(shown.html))
    (smtp,) = program.get("/private/smtps/findByApp", idapp=app["_id"]).json
    assert smtp["password"] == LOGIN["password"]


OAUTH = {
    "host": "smtp.office365.com", "port": 587, "starttls": "true", "auth": "true",
    "username": "shop@example.com", "oauthgrant": "client_credentials", "oauthclientid": "app",
    "oauthclientsecret": "s3cret-9", "oauthtenant": "example.com",
    "defaultfromemail": "shop@example.com",
}  # fmt: skip


def test_server_with_oauth_shows_how_to_get_a_token_and_how_to_send_with_it(alice: Person) -> None:
    app = alice.make_app()
    smtp = alice.make_smtp(app["_id"], **OAUTH)
    browser = signed_in(alice.app, alice)
    for path in (f"/smtps/{smtp['_id']}/use", f"/apps/{app['_id']}/use"):
        page = browser.get(f"{path}?in=smtplib")
        getting = "".join(page.by_id("token-snippet").itertext())
        assert f"http://localhost/private/smtps/token?idsmtp={smtp['_id']}" in getting
        assert "XOAUTH2" in "".join(page.by_id("snippet").itertext())
        assert "SMTP_PASSWORD" not in page.text
        assert "s3cret-9" not in page.html
        page = browser.get(f"{path}?in=django")
        assert "Django has no setting for access tokens" in page.text
    by_password = alice.make_smtp(app["_id"], **LOGIN)
    assert "access token" not in browser.get(f"/smtps/{by_password['_id']}/use").text


def test_token_for_access_tokens_needs_the_current_password(alice: Person) -> None:
    smtp = alice.make_smtp(alice.make_app()["_id"], **OAUTH)
    browser = signed_in(alice.app, alice)
    address = f"/smtps/{smtp['_id']}/use/access-token"
    page = browser.get(f"/smtps/{smtp['_id']}/use")
    csrf = page.form(address).values["csrf_token"]
    refused = browser.post(address, {"csrf_token": csrf, "confirm_password": ["guess"]})
    assert refused.status == 422
    assert "smw_" not in refused.html
    assert browser.get(address).url == f"/smtps/{smtp['_id']}/use"  # if it is reloaded
    shown = browser.post(address, {"csrf_token": csrf, "confirm_password": [PASSWORD]})
    digest = digest_of(token_of(shown.html))
    with alice.app.app_context():
        assert db.session.query(ApiToken).filter_by(digest=digest).one().scopes == "token"


def test_use_pages_show_the_name_of_the_server(alice: Person) -> None:
    app = alice.make_app()
    smtp = alice.make_smtp(app["_id"], name="Main relay", **LOGIN)
    browser = signed_in(alice.app, alice)
    page = browser.get(f"/smtps/{smtp['_id']}/use")
    assert page.links()["Main relay"] == f"/smtps/{smtp['_id']}"
    assert "These are the settings of Main relay." in page.text
    assert "These are the settings of Main relay." in browser.get(f"/apps/{app['_id']}/use").text


def test_use_pages_of_others_are_not_found(alice: Person, charlie: Person) -> None:
    app = alice.make_app()
    smtp = alice.make_smtp(app["_id"], **LOGIN)
    browser = signed_in(charlie.app, charlie)
    browser.get(f"/apps/{app['_id']}/use", status=404)
    browser.get(f"/smtps/{smtp['_id']}/use", status=404)
    own = charlie.make_app()
    form = browser.get(f"/apps/{own['_id']}/use").form(f"/apps/{own['_id']}/use/token")
    for kind in ("token", "secrets-token"):
        data = {"csrf_token": form.values["csrf_token"], "confirm_password": [PASSWORD]}
        assert browser.post(f"/apps/{app['_id']}/use/{kind}", data).status == 404
    assert browser.post(f"/smtps/{smtp['_id']}/use/access-token", data).status == 404
    assert Browser(alice.app).get(f"/apps/{app['_id']}/use").url == "/login"


@one_database
def test_secret_user_name_is_no_part_of_a_snippet(alice: Person) -> None:
    app = alice.make_app()
    token = "11111111-2222-3333-4444-555555555555"
    smtp = alice.make_smtp(
        app["_id"], host="smtp.postmarkapp.com", port=587, starttls="true", auth="true",
        username=token, password=token, defaultfromemail="a@example.com",
    )  # fmt: skip
    browser = signed_in(alice.app, alice)
    for recipe in RECIPES:
        page = browser.get(f"/smtps/{smtp['_id']}/use?in={recipe.id}")
        assert token not in page.html
        assert "SMTP_USERNAME" in page.text


@one_database
def test_server_without_a_from_address_is_told_what_to_replace(alice: Person) -> None:
    app = alice.make_app(defaultfromemail="")
    smtp = alice.make_smtp(app["_id"])
    page = signed_in(alice.app, alice).get(f"/smtps/{smtp['_id']}/use")
    if "you@example.com" in "".join(page.by_id("snippet").itertext()):
        assert "replace you@example.com" in page.text


@one_database
def test_values_with_markup_are_text(alice: Person) -> None:
    app = alice.make_app(name="<b>shop</b>")
    smtp = alice.make_smtp(
        app["_id"], auth="true", username="</code><script>x</script>", password="p",
        defaultfromname="</pre><b>", defaultfromemail="a@example.com",
    )  # fmt: skip
    page = signed_in(alice.app, alice).get(f"/smtps/{smtp['_id']}/use?in=django")
    assert "</code><script>x</script>" in "".join(page.by_id("snippet").itertext())
