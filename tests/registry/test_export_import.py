"""Carrying apps and SMTPs to another installation, as JSON."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from smtpweb.accounts import users
from smtpweb.database.models import App, Smtp
from smtpweb.database.session import db
from smtpweb.registry import apps, export_import, smtps
from smtpweb.registry.export_import import BadDocument
from tests.support.people import PASSWORD

SMTP = {
    "priority": 3, "host": "mail.example.net", "port": 587, "username": "ñandú", "auth": True,
    "starttls": True, "ssltls": False, "debug": True, "defaultfromemail": "from@example.com",
    "defaultfromname": "Tienda ñ", "name": "Relé", "note": "one\ntwo", "tags": "EU, prod",
}  # fmt: skip
DOCUMENT = {
    "format": "smtpweb",
    "version": 1,
    "accounts": [
        {
            "name": "ana",
            "apps": [
                {
                    "name": "shop",
                    "testemail": "test@example.com",
                    "defaultfromemail": None,
                    "defaultfromname": None,
                    "strategy": "RANDOM",
                    "smtps": [
                        SMTP | {"password": '  p"w '},
                        {"host": "10.0.0.1", "port": 25},
                    ],
                }
            ],
        }
    ],
}


@pytest.fixture
def ana(inside: None) -> str:
    return users.create_user("Ana", "ana@example.com", PASSWORD).id


def counted() -> tuple[int, int]:
    return tuple(  # type: ignore[return-value]
        db.session.scalar(select(func.count()).select_from(table)) for table in (App, Smtp)
    )


def rename(document: Any, name: str) -> Any:
    document = copy.deepcopy(document)
    document["accounts"][0]["apps"][0]["name"] = name
    return document


def test_export_with_passwords_comes_in_again_as_it_was(ana: str) -> None:
    assert export_import.load(json.dumps(DOCUMENT)) == export_import.Added(apps=1, smtps=2)
    first = json.loads(export_import.dump(with_passwords=True))
    assert first["accounts"][0]["apps"][0]["smtps"][0] == SMTP | {"password": '  p"w '}
    export_import.load(json.dumps(rename(first, "shop 2")))
    (of_first, of_second) = json.loads(export_import.dump(with_passwords=True))["accounts"][0][
        "apps"
    ]
    assert of_second == of_first | {"name": "shop 2"}


def test_import_gives_what_is_absent_its_default(ana: str) -> None:
    export_import.load(json.dumps(DOCUMENT))
    plain = db.session.scalars(select(Smtp).where(Smtp.host == "10.0.0.1")).one()
    assert (plain.priority, plain.auth, plain.enabled, plain.numerrors) == (10, False, True, 0)
    assert plain.password_sealed is None


def test_export_holds_no_password_unless_asked(ana: str) -> None:
    export_import.load(json.dumps(DOCUMENT))
    document = export_import.dump()
    assert "password" not in document
    assert "v1." not in document


def test_export_with_secrets_carries_oauth_settings(ana: str) -> None:
    oauth = {
        "oauthgrant": "refresh_token",
        "oauthprovider": "other",
        "oauthtokenurl": "https://login.example.com/token",
        "oauthclientid": "an-app",
        "oauthclientauth": "post",
    }
    document = copy.deepcopy(DOCUMENT)
    server = document["accounts"][0]["apps"][0]["smtps"][0]  # type: ignore[index]
    del server["password"]
    server |= oauth | {"oauthclientsecret": "a-secret", "oauthrefreshtoken": "refresh-1"}
    export_import.load(json.dumps(document))
    plain = json.loads(export_import.dump())["accounts"][0]["apps"][0]["smtps"][0]
    assert {name: value for name, value in plain.items() if name.startswith("oauth")} == oauth
    whole = json.loads(export_import.dump(with_passwords=True))
    exported = whole["accounts"][0]["apps"][0]["smtps"][0]
    assert (exported["oauthclientsecret"], exported["oauthrefreshtoken"]) == (
        "a-secret",
        "refresh-1",
    )
    export_import.load(json.dumps(rename(whole, "copy")))
    with pytest.raises(BadDocument, match=r"oauthrefreshtoken: Is required"):
        export_import.load(json.dumps(rename(json.loads(export_import.dump()), "other")))


def test_export_of_one_account_holds_nothing_of_others(ana: str) -> None:
    export_import.load(json.dumps(DOCUMENT))
    other = users.create_user("bob", "bob@example.com", PASSWORD).id
    apps.save(other, {"name": "bobs"})
    assert [account["name"] for account in json.loads(export_import.dump())["accounts"]] == [
        "Ana", "bob",
    ]  # fmt: skip
    assert "shop" not in export_import.dump(user_id=other)


def test_import_can_go_to_another_account(ana: str) -> None:
    other = users.create_user("bob", "bob@example.com", PASSWORD).id
    export_import.load(json.dumps(DOCUMENT), user_id=other)
    assert db.session.scalars(select(App.user_id)).all() == [other]


def test_export_without_passwords_says_where_one_is_missing(ana: str) -> None:
    export_import.load(json.dumps(DOCUMENT))
    document = rename(json.loads(export_import.dump()), "shop 2")
    with pytest.raises(
        BadDocument, match=r"accounts\[0\]\.apps\[0\]\.smtps\[0\]\.password: Enter the password"
    ):
        export_import.load(json.dumps(document))
    assert counted() == (1, 2)


def test_password_that_no_key_opens_stops_an_export_that_asks_for_it(ana: str) -> None:
    export_import.load(json.dumps(DOCUMENT))
    db.session.execute(update(Smtp).where(Smtp.auth).values(password_sealed="v1.0.lost"))
    db.session.commit()
    export_import.dump()
    with pytest.raises(BadDocument, match=r"SMTP [0-9a-f]{24} \(mail\.example\.net\)"):
        export_import.dump(with_passwords=True)


def broken(path: str, value: Any) -> dict[str, Any]:
    """The document with something else at this place."""
    document: Any = copy.deepcopy(DOCUMENT)
    place = document
    *way, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    for step in way:
        place = place[step]
    place[last] = value
    return document  # type: ignore[no-any-return]


APP = "accounts.0.apps.0"


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (broken(f"{APP}.smtps.1.port", 0), "smtps[1].port: Must be a whole number"),
        (broken(f"{APP}.smtps.1.port", 2**40), "smtps[1].port"),
        (broken(f"{APP}.smtps.1.port", 25.5), "smtps[1].port: Must be a single value"),
        (broken(f"{APP}.smtps.1.port", None), "smtps[1].port: Is required"),
        (broken(f"{APP}.smtps.1.host", "smtp://a"), "smtps[1].host"),
        (broken(f"{APP}.smtps.1.host", "a\r\nb"), "smtps[1].host: Must not contain control"),
        (broken(f"{APP}.smtps.0.password", None), "smtps[0].password: Enter the password"),
        (broken(f"{APP}.smtps.0.password", "a\x00"), "smtps[0].password"),
        (broken(f"{APP}.smtps.0.auth", "maybe"), "smtps[0].auth: Must be true or false"),
        (broken(f"{APP}.smtps.0.defaultfromname", "=?utf-8?q?=0D=0A?="), "defaultfromname"),
        (broken(f"{APP}.smtps.0.username", ["a"]), "smtps[0].username"),
        (broken(f"{APP}.smtps.0.usrname", "a"), "There is no member 'usrname'"),
        (broken(f"{APP}.smtps.1", "x"), "smtps[1]: Must be an object"),
        (broken(f"{APP}.smtps", {}), "smtps: Must be a list"),
        (broken(f"{APP}.name", None), "accounts[0].apps[0].name: Is required"),
        (broken(f"{APP}.name", " "), "accounts[0].apps[0].name"),
        (broken(f"{APP}.testemail", "x"), "accounts[0].apps[0].testemail"),
        (broken(f"{APP}.strategy", "BEST"), "accounts[0].apps[0].strategy"),
        (broken("accounts.0.name", "bob"), "accounts[0].name: There is no account 'bob'"),
        (broken("accounts.0.name", 7), "accounts[0].name"),
        (broken("accounts", None), "accounts: Must be a list"),
        (broken("version", 2), "not an export of smtpweb in version 1"),
        (broken("format", "csv"), "not an export"),
        ([], "the file: Must be an object"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_naming_the_place_and_nothing_is_kept(
    ana: str, document: Any, said: str
) -> None:
    with pytest.raises(BadDocument) as caught:
        export_import.load(json.dumps(document))
    assert said in str(caught.value)
    assert counted() == (0, 0)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", '{"format": NaN'])
def test_import_of_no_json_says_so(inside: None, text: str) -> None:
    with pytest.raises(BadDocument, match="not valid JSON"):
        export_import.load(text)


def test_app_that_is_there_already_is_left_alone_and_the_rest_not_added(ana: str) -> None:
    export_import.load(json.dumps(DOCUMENT))
    document = rename(DOCUMENT, "another")
    document["accounts"][0]["apps"] += DOCUMENT["accounts"][0]["apps"]  # type: ignore[index]
    with pytest.raises(BadDocument, match=r"accounts\[0\]\.apps\[1\]\.name: You have another app"):
        export_import.load(json.dumps(document))
    assert counted() == (1, 2)


def test_refused_import_lets_other_writes_work(app: Flask, ana: str) -> None:
    with pytest.raises(BadDocument):
        export_import.load(json.dumps(broken(f"{APP}.smtps.1.port", 0)))
    smtp = smtps.save(ana, apps.save(ana, {"name": "shop"}).id, {"host": "h", "port": 25})
    assert smtps.find(ana, smtp.id).host == "h"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_file_is_read_whatever_editor_saved_it(ana: str, encoding: str, line_end: str) -> None:
    text = json.dumps(DOCUMENT, indent=2).replace("\n", line_end)
    assert export_import.load(text.encode(encoding)).apps == 1
    assert counted() == (1, 2)


def test_byte_order_mark_in_text_is_passed_over(ana: str) -> None:
    assert export_import.load("\ufeff" + json.dumps(DOCUMENT)).apps == 1


@pytest.mark.parametrize(
    ("member", "place"),
    [('"port": ', "accounts[0].apps[0].smtps[0]"), ('"strategy": ', "accounts[0].apps[0]"),
     ('"apps": ', "accounts[0]"), ('"version": ', "the file")],
)  # fmt: skip
def test_member_that_stands_twice_is_named_with_its_place(
    ana: str, member: str, place: str
) -> None:
    text = json.dumps(DOCUMENT).replace(member, f"{member}null, {member}", 1)
    with pytest.raises(BadDocument) as caught:
        export_import.load(text)
    name = member.strip('": ')
    assert str(caught.value) == f"{place}: The member {name!r} appears more than once."
    assert counted() == (0, 0)


def test_import_fills_in_no_sender(ana: str) -> None:
    document = broken(f"{APP}.defaultfromemail", None)
    export_import.load(json.dumps(document))
    (exported,) = json.loads(export_import.dump())["accounts"][0]["apps"]
    assert exported["defaultfromemail"] is None
