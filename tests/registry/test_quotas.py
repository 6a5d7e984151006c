"""As many apps and SMTP servers as the settings allow, by every way in, also all at once."""

from __future__ import annotations

import dataclasses
import json
import threading
from typing import Any

import pytest
from flask import Flask

from smtpweb.database.models import App, Smtp, User
from smtpweb.database.session import db
from smtpweb.extensions import services
from smtpweb.registry import export_import
from smtpweb.registry.export_import import BadDocument
from tests.support.browser import signed_in
from tests.support.factories import SAVE, count, typed
from tests.support.people import Person


def allow(app: Flask, **most: Any) -> None:
    settings = services(app).settings
    services(app).settings = dataclasses.replace(settings, **most)


def refused(reply: object) -> None:
    assert reply.status_code == 406  # type: ignore[attr-defined]
    assert reply.json["code"] == "QUOTA_REACHED"  # type: ignore[attr-defined]
    assert "at most 2" in reply.json["detail"]  # type: ignore[attr-defined]


def test_account_has_at_most_so_many_apps(app: Flask, alice: Person, charlie: Person) -> None:
    allow(app, max_apps=2)
    one = alice.make_app("one")
    alice.make_app("two")
    refused(alice.post("/private/apps/save", name="three"))
    assert charlie.make_app("one")
    edited = alice.post("/private/apps/save", idapp=one["_id"], name="uno")
    assert edited.status_code == 200
    alice.post("/private/apps/remove", idapp=one["_id"])
    assert alice.make_app("three")


def test_app_has_at_most_so_many_servers(app: Flask, alice: Person) -> None:
    allow(app, max_smtps=2)
    shop, other = alice.make_app("shop")["_id"], alice.make_app("other")["_id"]
    first = alice.make_smtp(shop)
    alice.make_smtp(shop)
    refused(alice.post("/private/smtps/save", idapp=shop, host="c.example.com", port=25))
    assert alice.make_smtp(other)
    edited = alice.post(
        "/private/smtps/save", idapp=shop, idsmtp=first["_id"], host="d.example.com", port=25
    )
    assert edited.status_code == 200
    assert count(app, Smtp) == 3


def test_page_says_that_there_are_as_many_as_are_allowed(app: Flask, alice: Person) -> None:
    allow(app, max_apps=1, max_smtps=1)
    browser, idapp = signed_in(app, alice), alice.make_app("shop")["_id"]
    page = browser.submit("/apps/new", name="another")
    assert page.status == 409
    assert "at most 1 apps" in page.text
    alice.make_smtp(idapp)
    page = browser.submit(f"/apps/{idapp}/smtps/new", SAVE, **typed())
    assert page.status == 409
    assert "at most 1 SMTP servers" in page.text
    assert (count(app, App), count(app, Smtp)) == (1, 1)


@pytest.mark.parametrize(
    ("most", "place"),
    [({"max_apps": 1}, "accounts[0].apps[1]"), ({"max_smtps": 2}, "accounts[0].apps[1].smtps[2]")],
)
def test_import_beyond_a_quota_is_refused_as_a_whole(
    app: Flask, alice: Person, inside: None, most: dict[str, int], place: str
) -> None:
    allow(app, **most)
    servers = [{"host": "a.example.com", "port": 25}] * 3
    apps = [{"name": "one", "smtps": []}, {"name": "two", "smtps": servers}]
    document = {
        "format": "smtpweb", "version": 1, "accounts": [{"name": "alice", "apps": apps}]
    }  # fmt: skip
    with pytest.raises(BadDocument, match="at most") as raised:
        export_import.load(json.dumps(document))
    assert raised.value.detail.startswith(f"{place}: ")
    assert db.session.query(App).count() == 0


def test_quota_holds_for_requests_at_the_same_time(app: Flask, alice: Person) -> None:
    allow(app, max_apps=3, max_smtps=3)
    shop = alice.make_app("shop")["_id"]
    barrier = threading.Barrier(6)
    statuses: list[int] = []

    def save(number: int) -> None:
        barrier.wait(10)
        for _ in range(2):
            reply = alice.post("/private/smtps/save", idapp=shop, host="a.example.com", port=25)
            statuses.append(reply.status_code)
            alice.post("/private/apps/save", name=f"app {number}")

    threads = [threading.Thread(target=save, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(statuses) == [200] * 3 + [406] * 9
    assert (count(app, App), count(app, Smtp)) == (3, 3)
    assert count(app, User) == 1
