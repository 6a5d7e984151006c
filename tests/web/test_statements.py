"""How many statements each call of the API and each page takes: a number, not a function of rows.

A new statement belongs into this table only if it cannot be part of one that is there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert

from smtpweb.database.models import App, Smtp, new_id
from smtpweb.database.session import db
from tests.support.browser import Browser
from tests.support.counting import statements
from tests.support.lists import add_check
from tests.support.people import Person

FULL: dict[str, Any] = {
    "host": "mail.example.net", "port": 587, "auth": "true", "starttls": "true",
    "username": "ana", "password": "correct horse", "defaultfromemail": "shop@example.com",
}  # fmt: skip
FEW, MANY = 1, 20

GET, POST = "GET", "POST"
# (method, path, parameters, statements); APP, SMTP and CHECK stand for ids
CALLS: list[tuple[str, str, dict[str, Any], int]] = [
    (GET, "/private/smtps/findByApp", {"idapp": "APP"}, 1),
    (GET, "/private/smtps/findById", {"idsmtp": "SMTP"}, 1),
    (GET, "/private/apps/findAll", {"page": 0, "size": 50}, 1),
    (GET, "/private/apps/findById", {"idapp": "APP"}, 1),
]
PAGES: list[tuple[str, int]] = [
    ("/apps", 6),
    ("/apps/APP", 13),
    ("/apps/APP/edit", 4),
    ("/apps/APP/smtps/new", 4),
    ("/smtps/SMTP", 16),
    ("/smtps/SMTP/edit", 7),
    ("/checks/CHECK", 3),
    ("/account", 6),
]


@dataclass
class Ids:
    app: str
    smtp: str
    check: str

    def put_into(self, text: Any) -> Any:
        if not isinstance(text, str):
            return text
        given = {"APP": self.app, "SMTP": self.smtp, "CHECK": self.check}
        return re.sub("APP|SMTP|CHECK", lambda found: given[found[0]], text)


@pytest.fixture
def ids(alice: Person, idapp: str, app: Flask) -> Ids:
    smtp = alice.make_smtp(idapp, **FULL)["_id"]
    with app.app_context():
        check = new_id()
        add_check(smtp, 1, True, id=check)
    return Ids(idapp, smtp, check)


@pytest.fixture
def grow(alice: Person, ids: Ids, app: Flask) -> Callable[[int], None]:
    """Add apps to alice, SMTP servers with passwords to her app, and checks to its server."""

    def grow(many: int) -> None:
        for _ in range(many):
            alice.make_smtp(ids.app, **FULL)
        with app.app_context():
            names = [new_id() for _ in range(many)]
            row = {"user_id": alice.user_id, "testemail": "a@b.example"}
            db.session.execute(insert(App), [row | {"id": one, "name": one} for one in names])
            server = {"host": "h", "port": 25, "enabled": False}
            db.session.execute(
                insert(Smtp), [server | {"id": new_id(), "app_id": one} for one in names]
            )
            db.session.commit()
            for number in range(many):
                add_check(ids.smtp, 2 + number, number % 2 == 0)

    return grow


def count(act: Callable[[], object]) -> list[str]:
    with statements() as seen:
        act()
    return seen


@pytest.mark.parametrize(("method", "path", "parameters", "number"), CALLS)
def test_call_takes_its_number_of_statements(
    alice: Person, ids: Ids, grow: Callable[[int], None], method: str, path: str,
    parameters: dict[str, Any], number: int,
) -> None:  # fmt: skip
    given = {name: ids.put_into(value) for name, value in parameters.items()}

    def ask() -> None:
        assert alice.request(method, path, query_string=given).status_code == 200

    ask()  # the first use of a token is noted
    few = count(ask)
    grow(MANY)
    many = count(ask)
    assert (len(few), len(many)) == (number, number), many


@pytest.mark.parametrize(("path", "number"), PAGES)
def test_page_takes_its_number_of_statements(
    browser: Browser, ids: Ids, grow: Callable[[int], None], path: str, number: int
) -> None:
    def ask() -> None:
        browser.get(ids.put_into(path))

    ask()
    few = count(ask)
    grow(MANY)
    many = count(ask)
    assert (len(few), len(many)) == (number, number), many


def test_refused_call_takes_no_more_than_the_token(alice: Person, idapp: str) -> None:
    alice.smtps(idapp)
    alice.token += "x"
    for path in ("smtps/findByApp", "smtps/findById", "apps/findAll", "apps/findById"):
        given = {"idapp": idapp, "idsmtp": idapp, "page": 0, "size": 1}
        seen = count(lambda path=path, given=given: alice.get(f"/private/{path}", **given))  # type: ignore[misc]
        assert len(seen) == 1


@pytest.mark.parametrize(("edit", "number"), [(False, 4), (True, 6)])
def test_save_takes_its_number_of_statements(
    alice: Person, ids: Ids, grow: Callable[[int], None], edit: bool, number: int
) -> None:
    def save() -> None:
        alice.make_smtp(ids.app, **FULL, **({"idsmtp": ids.smtp} if edit else {}))

    save()
    few = count(save)
    grow(MANY)
    many = count(save)
    assert (len(few), len(many)) == (number, number), many
