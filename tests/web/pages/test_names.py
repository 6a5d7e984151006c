"""Names, notes and tags of SMTP servers: on the pages, in the API, in messages and exports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smtpweb.registry import export_import
from tests.support.browser import Browser, one_database
from tests.support.factories import SAVE, typed
from tests.support.lists import rows
from tests.support.people import Person

GIVEN = {"name": "Main relay", "note": "Paid by Ana.\nAsk her.", "tags": "production, EU"}


def test_name_leads_and_the_host_is_second(browser: Browser, alice: Person, idapp: str) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(**GIVEN))
    assert page.heading == "Main relay"
    assert "mail.example.net:587" in page.text
    assert "Paid by Ana." in page.text
    (smtp,) = alice.smtps(idapp)
    assert {name: smtp[name] for name in GIVEN} == GIVEN
    page = browser.get(f"/apps/{idapp}")
    (row,) = rows(page)
    assert row.index("Main relay") < row.index("production EU") < row.index("mail.example.net:587")
    path = f"/smtps/{smtp['_id']}"
    page = browser.get(f"{path}/edit")
    assert page.heading == "Edit Main relay"
    assert {name: page.form().value(name) for name in GIVEN} == GIVEN
    page = browser.get(f"{path}/remove")
    assert page.heading == "Delete Main relay?"
    assert "mail.example.net:587" in page.text
    assert "Main relay was deleted." in browser.press(page, f"{path}/remove").text


def test_name_is_cleared_by_its_form_and_kept_by_the_api(
    browser: Browser, alice: Person, idapp: str
) -> None:
    smtp = alice.make_smtp(idapp, **GIVEN)
    smtp = alice.make_smtp(idapp, idsmtp=smtp["_id"], priority=3)
    assert {name: smtp[name] for name in GIVEN} == GIVEN
    browser.submit(f"/smtps/{smtp['_id']}/edit", SAVE, auth=False, name="", note=" ", tags="")
    smtp = alice.smtp(smtp["_id"])
    assert not GIVEN.keys() & smtp.keys()


@pytest.mark.parametrize(
    ("host", "given", "shown"),
    [
        ("smtp.sendgrid.net", {"auth": "true", "username": "apikey"}, "SendGrid · apikey"),
        ("smtp.sendgrid.net", {}, "SendGrid"),
        # Its user name is its password
        ("smtp.postmarkapp.com", {"auth": "true", "username": "s3cret"}, "Postmark"),
        ("mail.example.net", {"auth": "true", "username": "shop"}, "mail.example.net:587"),
    ],
)
def test_name_is_the_provider_and_the_user_name_by_default(
    browser: Browser, alice: Person, idapp: str, host: str, given: dict[str, str], shown: str
) -> None:
    if given:
        given = given | {"password": "s3cret"}
    smtp = alice.make_smtp(idapp, host=host, port=587, starttls="true", **given)
    assert "name" not in smtp
    page = browser.get(f"/smtps/{smtp['_id']}")
    assert page.heading == shown
    assert "s3cret" not in page.html
    assert "in use" in page.text
    assert f"in use: {shown}" in browser.get("/apps").text


def test_list_finds_and_sorts_by_name_note_and_tag(
    browser: Browser, alice: Person, idapp: str
) -> None:
    alice.make_smtp(idapp, host="a.example.net", name="Zulu", tags="EU")
    alice.make_smtp(idapp, host="b.example.net", name="alpha", note="for invoices", port=26)
    alice.make_smtp(idapp, host="c.example.net", port=27)
    for text, many in (("zulu", 1), ("INVOICES", 1), ("eu", 1), ("example", 3), ("_", 0)):
        assert len(rows(browser.get(f"/apps/{idapp}?q={text}"))) == many, text
    shown = rows(browser.get(f"/apps/{idapp}?sort=name"))
    order = [next(one for one in ("alpha", "Zulu", "c.ex") if one in row) for row in shown]
    assert order == ["alpha", "c.ex", "Zulu"]
    page = browser.get(f"/apps/{idapp}")
    assert rows(browser.get(page.links()["EU"]))[0].count("Zulu") == 1


def test_messages_call_a_server_by_its_name(browser: Browser, alice: Person, idapp: str) -> None:
    alice.make_smtp(idapp, host="a.example.net", name="First")
    alice.make_smtp(idapp, host="b.example.net")
    page = browser.get(f"/apps/{idapp}/order")
    places = [one.get("value") or "" for one in page.all("input") if one.get("name") == "place"]
    first = places[0].partition(":")[0]
    sent = page.form("").values | {"place": places, "down": [first]}
    page = browser.post(f"/apps/{idapp}/order", sent)
    assert "First is now number 2 of 2." in page.text


@one_database
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "x" * 101), ("name", "=?utf-8?q?x?="), ("name", "a\x00b"), ("name", "a\r\nb"),
        ("note", "x" * 1001), ("note", "a\x00b"), ("note", "a\u202eb"),
        ("tags", "x" * 31), ("tags", ",".join("abcdefghijk")), ("tags", ", ,"), ("tags", "a\nb"),
    ],
)  # fmt: skip
def test_name_note_and_tags_are_refused_by_form_and_api(
    browser: Browser, alice: Person, idapp: str, name: str, value: str
) -> None:
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed(**{name: value}))
    assert page.status == 422
    assert list(page.errors()) == [name]
    given = {"idapp": idapp, "host": "mail.example.net", "port": 25, name: value}
    reply = alice.request("POST", "/private/smtps/save", json=given)
    assert reply.status_code == 400
    assert [fault["parameter"] for fault in reply.json["errors"]] == [name]
    assert alice.smtps(idapp) == []


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"tags": " EU ,prod,,eu,  two   words "}, "EU, prod, two words"),
        ({"note": "a\r\nb\rc\n"}, "a\nb\nc"),
        ({"name": "  Relé 🦄 "}, "Relé 🦄"),
    ],
)
def test_name_note_and_tags_are_stored_in_one_form(
    alice: Person, idapp: str, sent: dict[str, Any], stored: str
) -> None:
    smtp = alice.make_smtp(idapp, **sent)
    (name,) = sent
    assert smtp[name] == stored
    again = alice.make_smtp(idapp, idsmtp=smtp["_id"], **{name: smtp[name]})
    assert again[name] == stored


def test_names_are_exported_and_imported(alice: Person, idapp: str) -> None:
    alice.make_smtp(idapp, **GIVEN)
    with alice.app.app_context():
        document = json.loads(export_import.dump())
        (app,) = document["accounts"][0]["apps"]
        assert {name: app["smtps"][0][name] for name in GIVEN} == GIVEN
        app["name"] = "copy"
        export_import.load(json.dumps(document))
    apps = alice.get("/private/apps/findAll", page=0, size=9).json["content"]
    copy = next(one for one in apps if one["name"] == "copy")
    (smtp,) = alice.smtps(copy["_id"])
    assert {name: smtp[name] for name in GIVEN} == GIVEN


def test_duplicates_of_the_same_owner_are_pointed_out(
    browser: Browser, alice: Person, charlie: Person, idapp: str
) -> None:
    login = {"auth": "true", "username": "shop", "password": "s3cret"}
    other_app = alice.make_app("blog")["_id"]
    first = alice.make_smtp(idapp, **login)
    second = alice.make_smtp(other_app, **login, name="The other")
    alice.make_smtp(idapp, port=26, **login)
    alice.make_smtp(idapp, **login | {"username": "blog"})
    alice.make_smtp(idapp, host="b.example.net")
    charlie.make_smtp(charlie.make_app()["_id"], **login, name="Of Charlie")
    page = browser.get(f"/apps/{idapp}")
    assert [("duplicate" in row) for row in rows(page)] == [True, False, False, False]
    page = browser.get(f"/smtps/{first['_id']}")
    assert "These have the same host, port and user name: The other in blog" in page.text
    assert "Of Charlie" not in page.text
    assert page.links()["The other"] == f"/smtps/{second['_id']}"
    without = [alice.make_smtp(idapp, host="c.example.net")["_id"] for _ in range(2)]
    assert "Duplicate" in browser.get(f"/smtps/{without[1]}").text
