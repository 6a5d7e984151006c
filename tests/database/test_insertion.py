"""An entity inserted by one statement is one of the session, like any that was flushed."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import inspect, select

from smtpweb.database.insertion import insert_now, refer
from smtpweb.database.models import App, Smtp, new_id
from smtpweb.database.session import db, writing
from tests.support.counting import statements
from tests.support.people import Person


def columns_of(entity: Any) -> dict[str, Any]:
    return {one.key: getattr(entity, one.key) for one in inspect(entity).mapper.column_attrs}


@pytest.fixture
def shop(alice: Person, inside: None) -> App:
    return db.session.get_one(App, alice.make_app()["_id"])


def new_smtp(shop: App) -> Smtp:
    smtp = Smtp(id=new_id(), app_id=shop.id, host="mail.example.net", port=587)
    refer(smtp, "app", shop)
    return smtp


def test_inserted_entity_has_the_values_that_are_stored(shop: App) -> None:
    smtp = new_smtp(shop)
    with writing():
        insert_now(smtp)
        with statements() as sent:
            had, its_app = columns_of(smtp), smtp.app
    assert sent == [] and its_app is shop
    assert (had["priority"], had["enabled"], had["version"], had["note"]) == (10, True, 1, None)
    assert had["created"] is not None
    db.session.expire_all()
    assert columns_of(smtp) == had


def test_inserted_entity_is_inserted_once(shop: App) -> None:
    assert shop.smtps == []  # loaded: the session would insert what is added to it
    smtp = new_smtp(shop)
    with writing() as session:
        insert_now(smtp)
        session.flush()
    db.session.expire_all()
    assert shop.smtps == [smtp]


def test_changes_of_an_inserted_entity_are_stored(shop: App) -> None:
    smtp = new_smtp(shop)
    with writing():
        insert_now(smtp)
        smtp.note = "changed"
    assert db.session.scalar(select(Smtp.note).where(Smtp.id == smtp.id)) == "changed"


def test_insert_is_undone_with_its_transaction(shop: App) -> None:
    smtp = new_smtp(shop)
    smtp_id = smtp.id

    def fail() -> None:
        with writing():
            insert_now(smtp)
            assert db.session.get(Smtp, smtp_id) is smtp
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert smtp not in db.session
    assert db.session.get(Smtp, smtp_id) is None
