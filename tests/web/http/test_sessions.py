"""The session in the cookie of the pages."""

from __future__ import annotations

import re

import pytest
from werkzeug.test import TestResponse

from tests.support.browser import Browser, one_database
from tests.support.people import Person

NAMES = ["x", "W" * 100, "\u4e00\u9fa5\u6f22\u5b57" * 25, "\N{GRINNING FACE}" * 100]


def size_of_headers(reply: TestResponse) -> int:
    return sum(len(f"{name}: {value}\r\n".encode()) for name, value in reply.headers)


@one_database
@pytest.mark.parametrize("name", NAMES, ids=["short", "long", "escaped", "surrogates"])
def test_messages_that_no_page_shows_do_not_fill_the_cookie(
    browser: Browser, alice: Person, idapp: str, name: str
) -> None:
    html = browser.get("/apps/new").html
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    for number in range(30):
        smtp = alice.make_smtp(idapp, name=f"{number} {name}"[:100])
        reply = browser.client.post(
            f"/smtps/{smtp['_id']}/disable", data={"csrf_token": found[1]}
        )  # as a script or a second tab does: the page that shows the message is not loaded
        assert reply.status_code == 303
        assert size_of_headers(reply) < 4096
        assert all(len(cookie) < 4096 for cookie in reply.headers.getlist("Set-Cookie"))
    page = browser.get("/apps")
    assert "29 " in page.text  # the newest is there
    assert browser.get("/account").status == 200


def test_few_messages_are_all_shown(browser: Browser, alice: Person, idapp: str) -> None:
    html = browser.get("/apps/new").html
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found
    for name in ("one", "two", "three"):
        smtp = alice.make_smtp(idapp, name=name)
        browser.client.post(f"/smtps/{smtp['_id']}/disable", data={"csrf_token": found[1]})
    text = browser.get("/apps").text
    assert all(f"{name} is off" in text for name in ("one", "two", "three"))
