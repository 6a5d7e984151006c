"""A URL pasted as the host: the form offers its parts, and never shows its password."""

from __future__ import annotations

from typing import Any

import pytest

from smtpweb.database.models import Smtp
from tests.support.browser import Browser, one_database
from tests.support.factories import SAVE, count, typed
from tests.support.people import Person

pytestmark = one_database

FILL_IN = "Use these values"
PASTED = "smtp://me@example.com:p@Qx7/w:rd@mx.example.com:2525"


def test_pasted_url_is_filled_in_by_one_button(browser: Browser, alice: Person, idapp: str) -> None:
    given = typed(host=PASTED, smtp_login="", smtp_secret="", priority="7")
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **given)
    assert page.status == 422
    assert page.errors()["host"].endswith("the host name, mx.example.com, and 2525 as the port.")
    assert "Host mx.example.com" in page.text and "User name me@example.com" in page.text
    assert page.form().value("host") == ""
    filled = browser.send(page, page.form(), FILL_IN)
    assert filled.status == 200 and "Not saved yet" in filled.text
    form = filled.form()
    values = {name: form.value(name) for name in ("host", "port", "encryption", "smtp_login")}
    assert values == {
        "host": "mx.example.com", "port": "2525", "encryption": "starttls",
        "smtp_login": "me@example.com",
    }  # fmt: skip
    assert (form.value("priority"), form.value("smtp_secret")) == ("7", "")
    assert count(alice.app, Smtp) == 0
    saved = browser.send(filled, form.fill(smtp_secret="typed anew"), SAVE)
    assert saved.heading == "mx.example.com:2525"
    (smtp,) = alice.smtps(idapp)
    assert (smtp["username"], smtp["password"]) == ("me@example.com", "typed anew")


@pytest.mark.parametrize(
    "pasted",
    [PASTED, "smtp://me:p@Qx7/w:rd", "me:Qx7", "smtp://mx.example.com/?password=p@Qx7",
     "smtps://me:p%40Qx7@mx.example.com"],
)  # fmt: skip
@pytest.mark.parametrize("button", [SAVE, "Fill in"])
def test_pasted_password_is_on_no_page(
    browser: Browser, idapp: str, pasted: str, button: str
) -> None:
    page = browser.get(f"/apps/{idapp}/smtps/new")
    given = typed(host=pasted, smtp_secret="", provider="gmail" if button == "Fill in" else "x")
    page = browser.send(page, page.form().fill(**given), button)
    assert "Qx7" not in page.html
    assert page.form().value("smtp_secret") == ""


def test_plain_host_and_port_stay_as_they_were_typed(browser: Browser, idapp: str) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(host="mx.example.com:2525"))
    assert page.form().value("host") == "mx.example.com:2525"
    assert FILL_IN in page.form().buttons


def test_pasted_url_moves_a_stored_server_but_not_its_password(
    browser: Browser, alice: Person, idapp: str
) -> None:
    made = alice.make_smtp(
        idapp, host="old.example", port=587, auth="true", username="u", password="s3cret",
        starttls="true",
    )  # fmt: skip
    path = f"/smtps/{made['_id']}/edit"
    page = browser.submit(path, SAVE, host=PASTED)
    filled = browser.send(page, page.form(), FILL_IN)
    refused = browser.send(filled, filled.form(), SAVE)
    assert refused.status == 422
    assert "smtp_secret" in refused.errors()
    assert alice.smtp(made["_id"])["host"] == "old.example"


@pytest.mark.parametrize(
    "sent", [{"pasted_host": "a b", "pasted_port": "0"}, {"pasted_encryption": "rot13"}, {}]
)
def test_parts_that_nobody_pasted_are_left_out(
    browser: Browser, idapp: str, sent: dict[str, Any]
) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(host=PASTED))
    form = page.form()
    for name in ("pasted_host", "pasted_port", "pasted_encryption", "pasted_username"):
        form.values[name] = [sent.get(name, "")]
    page = browser.send(page, form, FILL_IN)
    assert page.status == 200
    assert page.form().value("host") == ""
