"""Signing in at a provider, in a real browser: from the form to a check that succeeds."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.support import oauth_servers
from tests.support.chromium import Watched
from tests.support.fake_smtp import fake_smtp
from tests.support.oauth_servers import RealOauth, real_oauth
from tests.support.people import PASSWORD
from tests.support.serving import Program, smtpweb_server


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[RealOauth]:
    with real_oauth(tmp_path) as running:
        yield running


@pytest.fixture
def tab(chromium: Chromium, tmp_path: Path) -> Iterator[Watched]:
    folder = tmp_path / "smtpweb"
    folder.mkdir()
    settings = {
        "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
        "SMTPWEB_EGRESS_PORTS": "*",
        "SMTPWEB_WEBHOOK_PORTS": "*",
    }
    with smtpweb_server(folder, **settings) as (url, program), chromium.new_context() as context:
        tab = Watched(context)
        set_up(tab, url, program)
        yield tab
        # The pages of the other server load their style sheets from elsewhere, and have no icon
        theirs = ("jsdelivr", "net::", "404 (NOT FOUND)")
        ours = [one for one in tab.complaints if not any(word in one for word in theirs)]
        assert ours == []


def set_up(tab: Watched, url: str, program: Program) -> None:
    tab.set_up(url, program)
    tab.make_app()
    tab.page.get_by_role("link", name="Add your first SMTP server").click()
    tab.heading("New SMTP server")


def access_token(address: str) -> str:
    """Ask the API for the token of the SMTP server on this page, as the app's mailer does."""
    base, _, smtp_id = address.partition("/smtps/")

    def ask(path: str, body: bytes | None = None, token: str = "") -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"{base}{path}", body, headers)
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read())

    login = urllib.parse.urlencode({"username": "ana", "password": PASSWORD}).encode()
    signed_in = ask("/auth/login", login)["token"]
    found: str = ask(f"/private/smtps/token?idsmtp={smtp_id[:24]}", token=signed_in)["accesstoken"]
    return found


def test_person_signs_in_at_the_provider_and_the_check_succeeds(
    tab: Watched, provider: RealOauth
) -> None:
    page = tab.page
    with fake_smtp(token=(oauth_servers.USER, "not known yet")) as server:
        page.get_by_label("Host").fill(server.host)
        page.get_by_label("None", exact=True).check()
        page.get_by_role("textbox", name="Port").fill(str(server.port))
        page.get_by_label("User name", exact=True).fill(oauth_servers.USER)
        expect(page.get_by_label("Client ID")).to_be_hidden()
        page.get_by_label("OAuth 2.0 (access tokens)").check()
        expect(page.get_by_label("Password", exact=True)).to_be_hidden()
        expect(page.get_by_label("Service account key")).to_be_hidden()
        page.get_by_label("Sign-in service").select_option("other")
        expect(page.get_by_label("Organization (tenant)")).to_be_hidden()
        page.get_by_label("A person signs in, in this browser").check()
        page.get_by_label("Client ID").fill(oauth_servers.CLIENT_ID)
        page.get_by_label("Client secret", exact=True).fill(oauth_servers.CLIENT_SECRET)
        page.get_by_label("Scope").fill("openid offline_access")
        page.get_by_label("Issuer URL").fill(provider.url)
        page.get_by_label("Send the client secret").select_option("basic")
        page.get_by_role("button", name="Save without checking").click()
        page.get_by_role("link", name="Sign in at the provider…").click()
        page.get_by_role("button", name="Start").click()
        page.get_by_role("link", name="Continue to 127.0.0.1").click()
        page.get_by_label("Username").fill(oauth_servers.USER)
        page.locator("input[name=password]").fill(oauth_servers.USER_PASSWORD)
        page.get_by_role("button", name=re.compile("Sign in|Authorize|Login", re.I)).click()
        expect(page.get_by_text("Signed in. Send a test email")).to_be_visible()
        server.knobs["token"] = (oauth_servers.USER, access_token(page.url))
        page.get_by_role("button", name="Send a test email to ana@example.com").click()
        page.wait_for_url("**/checks/*")
        expect(page.locator("h1")).not_to_have_text("Check in progress", timeout=15000)
        assert len(server.mails) == 1
