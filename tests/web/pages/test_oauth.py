"""The OAuth part of the form, and signing in at the provider from the pages."""

from __future__ import annotations

import dataclasses
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import update

from smtpweb.checking import limits
from smtpweb.database.models import Check, SmtpOauth, StartedWork
from smtpweb.database.session import db, now
from smtpweb.oauth import access_tokens, client, sign_in
from tests.support import oauth_servers
from tests.support.browser import Browser, Page, signed_in
from tests.support.factories import SAVE, only_smtp, typed, use_share
from tests.support.oauth_servers import Answer, RealOauth, fake_oauth, real_oauth, refusal, token
from tests.support.people import Person

SECRET = "the-client-secret"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOauth]:
    with real_oauth(tmp_path_factory.mktemp("oauth")) as running:
        yield running


def filled_in(**changes: Any) -> dict[str, Any]:
    given = {
        "smtp_secret": "",
        "smtp_login": oauth_servers.USER,
        "signin": "oauth",
        "oauthgrant": "client_credentials",
        "oauthprovider": "other",
        "oauthclientid": "an-app",
        "oauthclientsecret": SECRET,
        "oauthtokenurl": "https://login.example.com/token",
    }
    return typed(**(given | changes))


def interactive(grant: str, url: str, **changes: Any) -> dict[str, Any]:
    given = {
        "oauthgrant": grant,
        "oauthclientid": oauth_servers.CLIENT_ID,
        "oauthclientsecret": oauth_servers.CLIENT_SECRET,
        "oauthtokenurl": f"{url}/token",
        "oauthauthurl": f"{url}/authorize",
        "oauthdeviceurl": f"{url}/device_authorization",
        "oauthclientauth": "basic",
        "oauthscope": "openid offline_access",
    }
    return filled_in(**(given | changes))


def saved(browser: Browser, idapp: str, given: dict[str, Any]) -> Page:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
    assert page.url.startswith("/smtps/"), page.text
    return page


def grant_of(app: Flask) -> SmtpOauth:
    with app.app_context():
        return db.session.query(SmtpOauth).one()


def obtain(app: Flask) -> str:
    with app.app_context():
        return access_tokens.obtain(only_smtp(app).id).value


# --- the form ------------------------------------------------------------------------------


def test_form_saves_a_grant_and_shows_no_secret(app: Flask, browser: Browser, idapp: str) -> None:
    page = saved(browser, idapp, filled_in())
    assert "As an application, with a client secret" in page.text
    smtp = only_smtp(app)
    assert smtp.uses_oauth and smtp.password_sealed is None
    form = browser.get(f"/smtps/{smtp.id}/edit").form()
    assert form.value("signin") == "oauth"
    assert form.value("oauthclientid") == "an-app"
    assert form.value("oauthtokenurl") == "https://login.example.com/token"
    assert form.value("oauthclientsecret") == ""
    assert SECRET not in browser.get(f"/smtps/{smtp.id}/edit").html + page.html


def test_form_that_is_sent_again_keeps_the_secret(app: Flask, browser: Browser, idapp: str) -> None:
    saved(browser, idapp, filled_in())
    before = grant_of(app)
    browser.submit(f"/smtps/{only_smtp(app).id}/edit", SAVE, priority="3")
    after = grant_of(app)
    assert after.clientsecret_sealed == before.clientsecret_sealed
    assert only_smtp(app).priority == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"host": "smtp.attacker.example"},
        {"oauthtokenurl": "https://login.attacker.example/"},
        {"oauthdeviceurl": "https://login.attacker.example/"},
        {"port": "2526"},
        {"encryption": "implicit"},
        {"smtp_login": "other@example.com"},
    ],
)
def test_form_asks_for_the_secret_again_when_its_use_changes(
    app: Flask, browser: Browser, idapp: str, changes: dict[str, Any]
) -> None:
    saved(browser, idapp, filled_in())
    page = browser.submit(f"/smtps/{only_smtp(app).id}/edit", SAVE, **changes)
    assert page.status == 422
    assert "enter it again" in page.errors()["oauthclientsecret"]


def test_faults_are_shown_at_their_fields(browser: Browser, idapp: str) -> None:
    given = filled_in(oauthtokenurl="http://login.example.com/", oauthclientid="")
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
    assert page.status == 422
    assert "https://" in page.errors()["oauthtokenurl"]
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **filled_in(oauthclientid=""))
    assert page.errors() == {"oauthclientid": "Is required."}
    assert SECRET not in page.html


@pytest.mark.parametrize(
    "query", ["state=%00.x&code=c", "state=%00&error=access_denied", "state=."]
)
def test_answer_for_no_server_is_refused(browser: Browser, query: str) -> None:
    assert browser.get(f"/oauth/callback?{query}", status=409)


def test_damaged_key_is_not_shown_again(browser: Browser, idapp: str) -> None:
    given = filled_in(oauthgrant="jwt_bearer", oauthkey='{"private_key": "PRIVATE"}')
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
    assert "service account" in page.errors()["oauthkey"]
    assert "PRIVATE" not in page.html


def test_password_can_replace_the_grant(app: Flask, browser: Browser, idapp: str) -> None:
    saved(browser, idapp, filled_in())
    edit = f"/smtps/{only_smtp(app).id}/edit"
    page = browser.submit(edit, SAVE, signin="password")
    assert "password" in page.errors()["smtp_secret"]
    browser.submit(edit, SAVE, signin="password", smtp_secret="a password")
    smtp = only_smtp(app)
    assert not smtp.uses_oauth and smtp.password_sealed


def test_provider_of_the_host_needs_no_urls(app: Flask, browser: Browser, idapp: str) -> None:
    given = filled_in(
        host="smtp.office365.com", oauthprovider="", oauthtokenurl="", oauthtenant="example.com"
    )
    saved(browser, idapp, given)
    row = grant_of(app)
    assert row.tokenurl == "https://login.microsoftonline.com/example.com/oauth2/v2.0/token"
    edit = f"/smtps/{only_smtp(app).id}/edit"
    form = browser.get(edit).form()
    assert (form.value("oauthprovider"), form.value("oauthtokenurl")) == ("microsoft365", "")
    # The scope of the other grant is another one
    page = browser.submit(
        edit, SAVE, oauthgrant="authorization_code", oauthclientsecret="entered again"
    )
    assert page.status == 200
    assert grant_of(app).scope == "https://outlook.office.com/SMTP.Send offline_access"


def test_issuer_fills_in_the_urls(
    app: Flask, browser: Browser, idapp: str, server: RealOauth
) -> None:
    saved(browser, idapp, filled_in(oauthtokenurl="", oauthissuer=server.url))
    row = grant_of(app)
    assert (row.tokenurl, row.authurl) == (f"{server.url}/token", f"{server.url}/authorize")


def test_unreachable_issuer_is_an_error_at_its_field(browser: Browser, idapp: str) -> None:
    with fake_oauth() as fake:
        pass
    page = browser.submit(
        f"/apps/{idapp}/smtps/new", SAVE, **filled_in(oauthtokenurl="", oauthissuer=fake.url)
    )
    assert "could not be read" in page.errors()["oauthissuer"]


def test_passwords_are_not_warned_about_with_oauth(browser: Browser, idapp: str) -> None:
    given = filled_in(
        host="smtp-mail.outlook.com", oauthprovider="", oauthgrant="authorization_code",
        oauthtokenurl="",
    )  # fmt: skip
    assert "no longer accepts passwords" not in saved(browser, idapp, given).text


# --- authorization code --------------------------------------------------------------------


def address_of(page: Page) -> str:
    return next(href for text, href in page.links().items() if text.startswith("Continue to"))


def started(browser: Browser, app: Flask) -> str:
    """Start a sign-in and return the address at the provider."""
    page = browser.press(
        browser.get(f"/smtps/{only_smtp(app).id}/oauth"), f"/smtps/{only_smtp(app).id}/oauth"
    )
    return address_of(page)


def sign_in_there(address: str, password: str = oauth_servers.USER_PASSWORD) -> str:
    """Sign in at the real server as its user; return where it sends the browser back to."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()), Stay)
    page = opener.open(address).read().decode()
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
    fields |= {"username": oauth_servers.USER, "password": password}
    try:
        reply = opener.open(address, urllib.parse.urlencode(fields).encode())
    except urllib.error.HTTPError as error:
        reply = error
    location = reply.headers["Location"] or ""
    reply.close()
    return location


def back(address: str) -> str:
    parts = urlsplit(address)
    assert parts.path == "/oauth/callback", address
    return f"{parts.path}?{parts.query}"


def test_code_flow_with_a_real_server_gives_tokens_that_are_renewed(
    app: Flask, browser: Browser, idapp: str, server: RealOauth
) -> None:
    page = saved(browser, idapp, interactive("authorization_code", server.url))
    assert "not signed in yet" in page.text
    address = started(browser, app)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    assert asked["redirect_uri"] == "http://localhost/oauth/callback"
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43
    assert asked["login_hint"] == oauth_servers.USER
    page = browser.get(back(sign_in_there(address)))
    assert "Signed in." in page.text and "signed in" in page.text
    first = obtain(app)
    with app.app_context():
        db.session.query(SmtpOauth).update({"accesstoken_until": now()})
        db.session.commit()
    assert obtain(app) not in ("", first)


def test_answer_counts_once(app: Flask, browser: Browser, idapp: str, server: RealOauth) -> None:
    saved(browser, idapp, interactive("authorization_code", server.url))
    address = back(sign_in_there(started(browser, app)))
    browser.get(address)
    assert "is over" in browser.get(address, status=409).heading


def test_answer_waits_for_a_renewal_that_runs(
    app: Flask, browser: Browser, idapp: str, server: RealOauth
) -> None:
    """It may bring a new refresh token, which would be lost."""
    saved(browser, idapp, interactive("authorization_code", server.url))
    address = back(sign_in_there(started(browser, app)))
    with app.app_context():
        db.session.execute(update(SmtpOauth).values(renewing_until=now() + timedelta(seconds=30)))
        db.session.commit()
    assert browser.client.get(address).status_code == 503
    with app.app_context():
        db.session.execute(update(SmtpOauth).values(renewing_until=None))
        db.session.commit()
    assert "Signed in" in browser.get(address).text


def test_answer_does_not_count_in_another_browser_session(
    app: Flask, alice: Person, browser: Browser, idapp: str, charlie: Person
) -> None:
    with fake_oauth() as fake:
        saved(browser, idapp, interactive("authorization_code", fake.url))
        state = parse_qs(urlsplit(started(browser, app)).query)["state"][0]
        answer = f"/oauth/callback?code=stolen&state={urllib.parse.quote(state)}"
        for other in (signed_in(app, alice), signed_in(app, charlie)):
            other.get(answer, status=409)
        assert fake.requests == []
        page = browser.get(answer)  # the session that started it is not disturbed
        assert "no refresh token" in page.text


@pytest.mark.parametrize("state", ["", "x", "0" * 24 + ".x", ".", "\u00e9" * 9, "a" * 5000])
def test_answer_with_an_unknown_state_is_refused(browser: Browser, state: str) -> None:
    browser.get(f"/oauth/callback?code=x&state={urllib.parse.quote(state)}", status=409)
    browser.get(f"/oauth/callback?error=x&state={urllib.parse.quote(state)}", status=409)


def test_answer_after_an_edit_is_refused(app: Flask, browser: Browser, idapp: str) -> None:
    with fake_oauth() as fake:
        saved(browser, idapp, interactive("authorization_code", fake.url))
        state = parse_qs(urlsplit(started(browser, app)).query)["state"][0]
        browser.submit(
            f"/smtps/{only_smtp(app).id}/edit", SAVE, host="smtp.other.example",
            oauthclientsecret="entered-again",
        )  # fmt: skip
        browser.get(f"/oauth/callback?code=x&state={urllib.parse.quote(state)}", status=409)
        assert fake.requests == []


def test_answer_that_comes_too_late_is_refused(
    app: Flask, browser: Browser, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_oauth() as fake:
        saved(browser, idapp, interactive("authorization_code", fake.url))
        state = parse_qs(urlsplit(started(browser, app)).query)["state"][0]
        later = now() + sign_in.LIFE
        monkeypatch.setattr(sign_in, "now", lambda: later)
        browser.get(f"/oauth/callback?code=x&state={urllib.parse.quote(state)}", status=409)
        assert fake.requests == []


def test_refusal_at_the_provider_is_explained(app: Flask, browser: Browser, idapp: str) -> None:
    with fake_oauth() as fake:
        saved(browser, idapp, interactive("authorization_code", fake.url))
        state = parse_qs(urlsplit(started(browser, app)).query)["state"][0]
        said = urllib.parse.quote("AADSTS65004: User declined to consent. <b>")
        page = browser.get(
            f"/oauth/callback?error=access_denied&error_description={said}"
            f"&state={urllib.parse.quote(state)}"
        )
        assert "declined" in page.text
        assert fake.requests == []


def test_code_that_the_provider_does_not_take_is_explained(
    app: Flask, browser: Browser, idapp: str
) -> None:
    with fake_oauth(refusal("invalid_grant", "code expired")) as fake:
        saved(browser, idapp, interactive("authorization_code", fake.url))
        state = parse_qs(urlsplit(started(browser, app)).query)["state"][0]
        page = browser.get(f"/oauth/callback?code=the-code&state={urllib.parse.quote(state)}")
        assert page.url.endswith("/oauth")
        assert "the-code" not in page.html
        assert fake.requests[0]["code_verifier"]


# --- device code ---------------------------------------------------------------------------


def polled(app: Flask, browser: Browser) -> Page:
    """Press the button as soon as the provider lets us ask."""
    smtp_id = only_smtp(app).id
    page = browser.get(f"/smtps/{smtp_id}/oauth")
    return browser.press(page, f"/smtps/{smtp_id}/oauth/continue")


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    real = client._device_code

    def at_once(content: Any) -> Any:
        found = real(content)
        return found and dataclasses.replace(found, interval=0)

    monkeypatch.setattr(client, "_device_code", at_once)


@pytest.mark.usefixtures("no_waiting")
def test_device_flow_with_a_real_server_gives_tokens(
    app: Flask, browser: Browser, idapp: str, server: RealOauth
) -> None:
    saved(browser, idapp, interactive("device_code", server.url))
    smtp_id = only_smtp(app).id
    page = browser.press(browser.get(f"/smtps/{smtp_id}/oauth"), f"/smtps/{smtp_id}/oauth")
    code = next(page.one("main").iter("code")).text
    assert code and f"{server.url}/device" in page.links()
    assert "not entered" in polled(app, browser).text
    enter_code(server, code)
    page = polled(app, browser)
    assert page.url == f"/smtps/{smtp_id}"
    assert "Signed in." in page.text
    assert obtain(app).count(".") == 2


def enter_code(server: RealOauth, code: str) -> None:
    """Enter the device code at the real server, as its user."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    fields = {
        "user_code": code,
        "username": oauth_servers.USER,
        "password": oauth_servers.USER_PASSWORD,
        "action": "authorize",
    }
    page = opener.open(f"{server.url}/device?user_code={code}").read().decode()
    fields |= dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
    opener.open(f"{server.url}/device", urllib.parse.urlencode(fields).encode()).close()


DEVICE = Answer(
    200,
    {
        "device_code": "the-device-code",
        "user_code": "AB-CD",
        "verification_uri": "https://login.example.com/device",
        "interval": 5,
        "expires_in": 900,
    },
)


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)", "data:text/html,x", "//login.example.com/device", "", 70070070, None,
        "https://login.example.com/\r\nX: y", "https://login.example.com/\u202egpj", "https://[x",
        f"https://login.example.com/{'x' * 9000}", ["https://login.example.com/"],
    ],
)  # fmt: skip
def test_hostile_address_for_the_code_is_not_shown(
    app: Flask, browser: Browser, idapp: str, uri: object
) -> None:
    assert isinstance(DEVICE.body, dict)
    hostile = dataclasses.replace(DEVICE, body=DEVICE.body | {"verification_uri": uri})
    with fake_oauth(hostile) as fake:
        page = device(app, browser, idapp, fake.url)
    assert "AB-CD" not in page.text
    assert not uri or str(uri) not in page.html
    assert not [link for link in page.links().values() if link.startswith(("javascript", "data"))]


def device(app: Flask, browser: Browser, idapp: str, url: str) -> Page:
    saved(browser, idapp, interactive("device_code", url))
    smtp_id = only_smtp(app).id
    return browser.press(browser.get(f"/smtps/{smtp_id}/oauth"), f"/smtps/{smtp_id}/oauth")


def test_provider_is_not_asked_before_its_interval(
    app: Flask, browser: Browser, idapp: str
) -> None:
    with fake_oauth(DEVICE, token("t", refresh_token="r")) as fake:
        page = device(app, browser, idapp, fake.url)
        assert "AB-CD" in page.text and "the-device-code" not in page.html
        polled(app, browser)
        assert len(fake.requests) == 1


@pytest.mark.usefixtures("no_waiting")
def test_pending_and_slow_down_are_waited_for_and_a_refusal_ends_it(
    app: Flask, browser: Browser, idapp: str
) -> None:
    answers = (DEVICE, refusal("authorization_pending"), refusal("access_denied"))
    with fake_oauth(*answers) as fake:
        device(app, browser, idapp, fake.url)
        assert "not entered" in polled(app, browser).text
        page = polled(app, browser)
        assert "AB-CD" not in page.text
        assert fake.requests[1]["device_code"] == "the-device-code"


@pytest.mark.usefixtures("no_waiting")
def test_slow_down_makes_the_interval_longer(app: Flask, browser: Browser, idapp: str) -> None:
    with fake_oauth(DEVICE, refusal("slow_down"), token("t", refresh_token="r")) as fake:
        device(app, browser, idapp, fake.url)
        for _ in range(3):
            assert "not entered" in polled(app, browser).text
        assert len(fake.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, {"device_code": "x"}),
        Answer(200, DEVICE.body | {"verification_uri": "javascript:alert(1)"}),
        Answer(
            200, DEVICE.body | {"verification_uri": "JavaScript://login.example.com/%0aalert(1)"}
        ),
        Answer(200, DEVICE.body | {"verification_uri": "data:text/html,x"}),
        Answer(200, DEVICE.body | {"verification_uri": "https://"}),
        Answer(200, DEVICE.body | {"verification_uri": "https://[::1"}),
        Answer(200, DEVICE.body | {"verification_uri": "https://login.example.com/\r\nX: y"}),
        Answer(200, DEVICE.body | {"verification_uri": "https://login.example.com/\u202e"}),
        Answer(200, DEVICE.body | {"verification_uri": f"https://a.example/{'x' * 8000}"}),
        Answer(200, DEVICE.body | {"user_code": "x" * 8000}),
        Answer(200, DEVICE.body | {"device_code": "x" * 9000}),
        Answer(200, DEVICE.body | {"user_code": "\x1b[31m"}),
        Answer(200, DEVICE.body | {"user_code": ["x"]}),
        Answer(200, "<html>"),
        Answer(302, "", {"Location": "http://10.0.0.1/"}),
        refusal("unauthorized_client", "AADSTS7000218: The request body must contain ..."),
    ],
)
def test_bad_device_answer_is_explained(
    app: Flask, browser: Browser, idapp: str, answer: Answer
) -> None:
    with fake_oauth(answer) as fake:
        page = device(app, browser, idapp, fake.url)
        assert page.url.endswith("/oauth")
        assert "javascript:" not in page.html
        assert page.root.find(".//*[@class='alert alert-danger']") is not None


def test_sign_in_of_another_user_cannot_be_started_or_seen(
    app: Flask, browser: Browser, idapp: str, charlie: Person
) -> None:
    with fake_oauth(DEVICE) as fake:
        device(app, browser, idapp, fake.url)
        other = signed_in(app, charlie)
        smtp_id = only_smtp(app).id
        other.get(f"/smtps/{smtp_id}/oauth", status=404)
        token_of_other = re.search('name="csrf_token" value="([^"]+)"', other.get("/account").html)
        assert token_of_other
        for action in ("", "/continue"):
            data = {"csrf_token": [token_of_other[1]]}
            assert other.post(f"/smtps/{smtp_id}/oauth{action}", data).status == 404
        assert len(fake.requests) == 1


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        (refusal("invalid_client", "AADSTS7000222: expired"), "oauthclientsecret"),
        (refusal("unauthorized_client", "AADSTS700016: unknown"), "oauthclientid"),
        (refusal("invalid_scope", "AADSTS70011: wrong"), "oauthscope"),
        (Answer(200, "<html>"), "oauthtokenurl"),
        (refusal("temporarily_unavailable"), "oauthgrant"),
    ],
)
def test_fix_of_a_failed_token_request_leads_to_its_field(
    app: Flask, browser: Browser, idapp: str, answer: Answer, field: str
) -> None:
    with fake_oauth(answer) as fake:
        saved(browser, idapp, filled_in(oauthtokenurl=fake.token_url))
        smtp = only_smtp(app)
        page = browser.get(f"/smtps/{smtp.id}")
        page = browser.result(browser.press(page, f"/smtps/{smtp.id}/check"))
    assert page.links()["Fix…"].endswith(f"field={field}")
    form = browser.get(page.links()["Fix…"])
    focused = [one for one in form.all("input") if "autofocus" in one.attrib]
    assert [one.get("name") for one in focused] == [field]
    assert "Last check" in form.text


def test_fix_of_a_missing_sign_in_leads_to_its_page(
    app: Flask, browser: Browser, idapp: str
) -> None:
    saved(browser, idapp, interactive("authorization_code", "http://127.0.0.1:9"))
    smtp = only_smtp(app)
    page = browser.get(f"/smtps/{smtp.id}")
    page = browser.result(browser.press(page, f"/smtps/{smtp.id}/check"))
    assert page.heading == "Nobody has signed in at the provider yet"
    assert page.links()["Fix…"] == f"/smtps/{smtp.id}/oauth"


def test_longest_device_answer_is_kept(app: Flask, browser: Browser, idapp: str) -> None:
    uri = f"https://a.example/{'x' * 1900}"
    longest = {"device_code": "d" * 8192, "user_code": "u" * 200, "verification_uri": uri}
    with fake_oauth(Answer(200, DEVICE.body | longest)) as fake:
        assert "u" * 200 in device(app, browser, idapp, fake.url).text


def test_private_host_of_a_device_answer_is_shown_and_not_visited(
    app: Flask, browser: Browser, idapp: str
) -> None:
    with fake_oauth(DEVICE) as fake:
        there = f"{fake.url}/device"
        fake.answers[:] = [Answer(200, DEVICE.body | {"verification_uri": there})]
        page = device(app, browser, idapp, fake.url)
        assert "127.0.0.1" in page.text
        assert len(fake.requests) == 1


# --- limits of the requests that signing in makes ------------------------------------------


def use_up(app: Flask, alice: Person) -> None:
    with app.app_context():
        use_share(alice, 120, kind=limits.TOKEN)


def test_device_codes_are_limited(app: Flask, browser: Browser, alice: Person, idapp: str) -> None:
    use_up(app, alice)
    with fake_oauth(DEVICE) as fake:
        page = device(app, browser, idapp, fake.url)
        assert page.status == 429
        assert int(page.headers["Retry-After"]) > 0
        assert fake.requests == []


@pytest.mark.usefixtures("no_waiting")
def test_questions_about_a_device_code_are_limited(
    app: Flask, browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_oauth(DEVICE, refusal("authorization_pending")) as fake:
        device(app, browser, idapp, fake.url)
        use_up(app, alice)
        assert polled(app, browser).status == 429
        assert len(fake.requests) == 1


def test_exchanges_of_codes_are_limited_and_the_sign_in_is_kept(
    app: Flask, browser: Browser, alice: Person, idapp: str
) -> None:
    with fake_oauth() as fake:
        saved(browser, idapp, interactive("authorization_code", fake.url))
        state = parse_qs(urlsplit(started(browser, app)).query)["state"][0]
        answer = f"/oauth/callback?code=x&state={urllib.parse.quote(state)}"
        use_up(app, alice)
        assert browser.get(answer, status=429).headers["Retry-After"]
        assert fake.requests == []
        with app.app_context():
            db.session.query(StartedWork).delete()
            db.session.commit()
        assert "Signed in" in browser.get(answer).text


def test_metadata_is_limited_on_the_form(
    app: Flask, browser: Browser, alice: Person, idapp: str
) -> None:
    use_up(app, alice)
    with fake_oauth() as fake:
        given = filled_in(oauthtokenurl="", oauthissuer=fake.url)
        page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
        assert (page.status, fake.requests) == (429, [])
        assert page.headers["Retry-After"]


def test_form_asks_for_the_secret_again_when_the_port_changes(
    app: Flask, browser: Browser, idapp: str
) -> None:
    saved(browser, idapp, filled_in())
    page = browser.submit(f"/smtps/{only_smtp(app).id}/edit", SAVE, port="2587")
    assert page.status == 422
    assert "For safety, enter it again" in page.text
    assert only_smtp(app).port != 2587


def test_connection_test_of_a_stranger_is_not_found(
    app: Flask, browser: Browser, charlie: Person, idapp: str
) -> None:
    saved(browser, idapp, filled_in())
    stranger = signed_in(app, charlie)
    token_of_form = stranger.get("/apps/new").form().value("csrf_token")
    page = stranger.post(f"/smtps/{only_smtp(app).id}/test", {"csrf_token": [token_of_form]})
    assert page.status == 404
    with app.app_context():
        assert db.session.query(Check).count() == 0
