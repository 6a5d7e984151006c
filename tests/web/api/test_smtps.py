"""/private/smtps: save, findByApp, findById, remove. (check has a file of its own.)"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Response

from smtpweb.database.models import App, Smtp
from smtpweb.database.session import db, writing
from smtpweb.extensions import services
from smtpweb.web.http import auth
from tests.support.browser import one_database
from tests.support.counting import statements
from tests.support.people import Person, Visitor

MEMBERS = [
    "_id", "idapp", "priority", "host", "port", "username", "password", "auth", "starttls",
    "sslTls", "debug", "defaultfromemail", "defaultfromname", "numerrors", "created", "modified",
    "status",
]  # fmt: skip
FULL: dict[str, Any] = {
    "priority": 50,
    "host": "smtp.yourserver.net",
    "port": 587,
    "username": "user@yourserver.net",
    "password": "smtppassword1234",
    "auth": "true",
    "starttls": "true",
    "ssltls": "false",
    "debug": "true",
    "defaultfromemail": "info@yourserver.xyz",
    "defaultfromname": "Jonh Smith",
}
UNKNOWN = "f" * 24


@pytest.fixture
def idapp(alice: Person) -> str:
    made: str = alice.make_app()["_id"]
    return made


def test_created_smtp_is_exactly_the_object_of_the_documents(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    assert list(smtp) == MEMBERS
    assert re.fullmatch("[0-9a-f]{24}", smtp["_id"])
    assert smtp["idapp"] == idapp
    assert (
        smtp
        | {
            "priority": 50,
            "host": "smtp.yourserver.net",
            "port": 587,
            "username": "user@yourserver.net",
            "password": "smtppassword1234",
            "auth": True,
            "starttls": True,
            "sslTls": False,
            "debug": True,
            "defaultfromemail": "info@yourserver.xyz",
            "defaultfromname": "Jonh Smith",
            "numerrors": 0,
            "status": "A",
        }
        == smtp
    )


def test_times_are_zoneless_utc_in_milliseconds(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp)
    for name in ("created", "modified"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", smtp[name])
    assert smtp["created"] == smtp["modified"]


def test_parameters_not_sent_have_the_documented_default(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp)
    assert smtp["priority"] == 10
    assert [smtp[flag] for flag in ("auth", "starttls", "sslTls", "debug")] == [False] * 4
    for name in ("username", "password", "defaultfromemail", "defaultfromname"):
        assert smtp[name] is None


@pytest.mark.parametrize("missing", ["idapp", "host", "port"])
def test_missing_required_parameter_is_named(alice: Person, idapp: str, missing: str) -> None:
    given = {"idapp": idapp, "host": "h", "port": "25"}
    del given[missing]
    reply = alice.post("/private/smtps/save", **given)
    assert reply.status_code == 400
    assert reply.json["title"] == "Missing required parameter or wrong parameter type"
    assert [error["parameter"] for error in reply.json["errors"]] == [missing]


def test_parameters_at_fault_are_listed_at_once(alice: Person, idapp: str) -> None:
    reply = alice.post("/private/smtps/save", idapp="x", port="many", auth="maybe")
    assert {error["parameter"] for error in reply.json["errors"]} == {
        "idapp", "host", "port", "auth",
    }  # fmt: skip


BAD_VALUES = [
    ("port", "0"), ("port", "-1"), ("port", "65536"), ("port", "1e9"), ("port", "٣"),
    ("port", "１２"), ("port", "1_0"), ("port", " 25"), ("port", "25\n"), ("port", "25.0"),
    ("port", "9" * 5000), ("priority", str(2**63)), ("priority", str(2**31)), ("priority", "-1"),
    ("auth", "2"), ("starttls", "vrai"), ("ssltls", "null"), ("debug", "t"),
    ("host", "smtp://h"), ("host", "h:25"), ("host", "a b"), ("host", "a\r\nb"), ("host", "a\0b"),
    ("host", "a..b"), ("host", "a" * 64), ("host", "x" * 254), ("host", "127.1"),
    ("host", "0x7f.1"), ("host", "2130706433"), ("host", "0177.0.0.1"), ("host", "1.2.3.4:25"),
    ("host", "u@h"), ("host", "-a.example"), ("host", "fe80::1%eth0"), ("host", "%31"),
    ("username", "a\r\nb"), ("username", "x" * 1025), ("username", "é" * 600),
    ("password", "a\nb"), ("password", "a\0b"), ("password", "x" * 1025),
    ("defaultfromemail", "nobody"), ("defaultfromemail", "a@b.c, d@e.f"),
    ("defaultfromemail", "a@b.c\r\nBcc: d@e.f"), ("defaultfromemail", "Ann <a@b.c>"),
    ("defaultfromname", "a\r\nBcc: d@e.f"), ("defaultfromname", "=?utf-8?q?=0D=0AX=3A_1?="),
    ("defaultfromname", "a\u2028b"), ("defaultfromname", "a\x85b"), ("defaultfromname", "n" * 201),
    ("defaultfromname", "a\u202eb"), ("idapp", "x"), ("idapp", "g" * 24), ("idsmtp", "1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD_VALUES)
def test_bad_value_is_refused_by_name_and_nothing_is_stored(
    alice: Person, idapp: str, name: str, value: str
) -> None:
    reply = alice.post(
        "/private/smtps/save", **({"idapp": idapp, "host": "h", "port": "25"} | {name: value})
    )
    assert reply.status_code == 400
    assert [error["parameter"] for error in reply.json["errors"]] == [name]
    assert alice.smtps(idapp) == []


@pytest.mark.parametrize(
    "host",
    ["localhost", "mail.example.net", "my_relay", "xn--mnchen-3ya.example", "192.0.2.1",
      "2001:db8::1", "a.b-c.example"],
)  # fmt: skip
def test_names_and_addresses_are_kept_as_they_were_sent(
    alice: Person, idapp: str, host: str
) -> None:
    assert alice.make_smtp(idapp, host=host)["host"] == host


@pytest.mark.parametrize(
    ("host", "kept"),
    [("MAIL.example.net.", "mail.example.net"), ("münchen.example", "xn--mnchen-3ya.example"),
     ("ｍａｉｌ。example.net", "mail.example.net")],
)  # fmt: skip
def test_host_is_kept_as_it_is_looked_up(alice: Person, idapp: str, host: str, kept: str) -> None:
    assert alice.make_smtp(idapp, host=host)["host"] == kept


def test_host_with_a_hidden_character_is_refused_by_its_name(alice: Person, idapp: str) -> None:
    reply = alice.post("/private/smtps/save", idapp=idapp, host="ma\u200bil.example", port=25)
    assert reply.status_code == 400
    assert "ZERO WIDTH SPACE (U+200B at position 3)" in reply.json["errors"][0]["message"]


def test_host_in_another_spelling_is_the_same_destination(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    with alice.app.app_context():  # as it was stored before hosts were kept in one form
        db.session.get_one(Smtp, smtp["_id"]).host = "SMTP.yourserver.net."
        db.session.commit()
    edited = alice.make_smtp(idapp, idsmtp=smtp["_id"], host=FULL["host"], port=FULL["port"])
    assert (edited["host"], edited["password"]) == (FULL["host"], FULL["password"])


@pytest.mark.parametrize(
    ("pasted", "parts"),
    [
        ("smtp://me@example.com:p@Qx7/w:rd@mx.example.com:587",
         ["mx.example.com", "port=587", "starttls=true", "auth=true"]),
        ("smtps://me:p%40Qx7w:rd@mx.example.com", ["mx.example.com", "port=465", "ssltls=true"]),
        ("me:p@Qx7/w:rd@mx.example.com:2525", ["mx.example.com", "port=2525"]),
        ("smtp://mx.example.com/?password=p@Qx7", []),
        ("smtp://me:p@Qx7", []),
    ],
)  # fmt: skip
def test_pasted_url_is_taken_apart_without_its_password(
    alice: Person, idapp: str, pasted: str, parts: list[str]
) -> None:
    reply = alice.post("/private/smtps/save", idapp=idapp, host=pasted, port=25)
    assert reply.status_code == 400
    (error,) = reply.json["errors"]
    assert error["parameter"] == "host"
    for part in parts:
        assert part in error["message"]
    assert "Qx7" not in reply.text and "rd" not in error["message"].replace("password", "")
    assert alice.smtps(idapp) == []


@pytest.mark.parametrize(
    "move", [{}, {"host": "relay.example"}, {"port": 25}, {"starttls": "false"}, {"username": "x"}]
)
def test_authentication_is_turned_off_without_the_password_which_is_forgotten(
    alice: Person, idapp: str, move: dict[str, object]
) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    edit = {"idsmtp": smtp["_id"], "host": FULL["host"], "port": FULL["port"]} | move
    relay = alice.make_smtp(idapp, **edit, auth="false")
    assert (relay["auth"], relay["password"]) == (False, None)
    with alice.app.app_context():
        assert db.session.get_one(Smtp, smtp["_id"]).password_sealed is None
    back = alice.post("/private/smtps/save", idapp=idapp, **edit, auth="true")
    assert back.status_code == 400
    assert [error["parameter"] for error in back.json["errors"]] == ["password"]


def test_move_without_authentication_needs_no_password(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **(FULL | {"auth": "false"}))
    same = {"idsmtp": smtp["_id"], "host": FULL["host"], "port": FULL["port"]}
    assert alice.make_smtp(idapp, **same)["password"] == FULL["password"]
    assert alice.make_smtp(idapp, **same | {"host": "relay.example"})["password"] is None


def test_bracketed_ipv6_address_loses_its_brackets(alice: Person, idapp: str) -> None:
    assert alice.make_smtp(idapp, host="[2001:DB8::1]")["host"] == "2001:db8::1"


@pytest.mark.parametrize("port", [1, 65535])
@pytest.mark.parametrize("priority", [0, 2**31 - 1])
def test_limits_themselves_are_accepted(
    alice: Person, idapp: str, port: int, priority: int
) -> None:
    smtp = alice.make_smtp(idapp, port=port, priority=priority)
    assert (smtp["port"], smtp["priority"]) == (port, priority)


def test_login_needs_a_user_name_and_a_password(alice: Person, idapp: str) -> None:
    reply = alice.post("/private/smtps/save", idapp=idapp, host="h", port=25, auth="true")
    assert reply.status_code == 400
    assert {error["parameter"] for error in reply.json["errors"]} == {"username", "password"}


def test_starttls_and_ssltls_together_are_kept_with_a_warning(alice: Person, idapp: str) -> None:
    given = {"port": 465, "starttls": "true", "ssltls": "true"}
    smtp = alice.make_smtp(idapp, defaultfromemail="a@example.com", **given)
    assert smtp["starttls"] is True
    assert smtp["sslTls"] is True
    assert smtp["warnings"] == [
        {
            "parameter": "starttls",
            "code": "BOTH_FLAGS",
            "message": "starttls and sslTls are both true, so implicit TLS is used.",
        }
    ]


def test_edit_keeps_what_is_not_sent(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    edited = alice.make_smtp(
        idapp, idsmtp=smtp["_id"], host=FULL["host"], port=FULL["port"], priority=3
    )
    changed = {name for name in smtp if smtp[name] != edited[name]}
    assert changed - {"modified"} == {"priority"}
    assert edited["priority"] == 3
    assert len(alice.smtps(idapp)) == 1


@pytest.mark.parametrize("missing", ["idapp", "host", "port"])
def test_edit_repeats_the_required_parameters(alice: Person, idapp: str, missing: str) -> None:
    smtp = alice.make_smtp(idapp)
    given = {"idapp": idapp, "host": smtp["host"], "port": "25", "idsmtp": smtp["_id"]}
    del given[missing]
    assert alice.post("/private/smtps/save", **given).status_code == 400


@pytest.mark.parametrize(
    "move",
    [
        {"host": "evil.example"},
        {"port": 2525},
        {"username": "other"},
        {"starttls": "false"},
        {"ssltls": "true"},
    ],
    ids=lambda move: next(iter(move)),
)
def test_stored_password_does_not_move_to_another_destination(
    alice: Person, idapp: str, move: dict[str, object]
) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    edit = {"idapp": idapp, "idsmtp": smtp["_id"], "host": FULL["host"], "port": FULL["port"]}
    reply = alice.post("/private/smtps/save", **(edit | move))
    assert reply.status_code == 400
    assert reply.json["errors"][0]["parameter"] == "password"
    assert alice.smtp(smtp["_id"]) == smtp

    moved = alice.make_smtp(**(edit | move | {"password": "typed again"}))
    assert moved["password"] == "typed again"


def test_smtp_cannot_be_moved_to_another_app(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp)
    other = alice.make_app("other")["_id"]
    reply = alice.post("/private/smtps/save", idapp=other, idsmtp=smtp["_id"], host="h", port=25)
    assert (reply.status_code, reply.json["title"]) == (406, "SMTP not found")
    assert alice.smtps(other) == []


def test_list_is_ordered_by_priority_then_age(alice: Person, idapp: str) -> None:
    for host, priority in (("c", 20), ("a", 10), ("d", 20), ("b", 10)):
        alice.make_smtp(idapp, host=host, priority=priority)
    assert [smtp["host"] for smtp in alice.smtps(idapp)] == ["a", "b", "c", "d"]


def test_list_of_an_app_without_smtps_is_an_empty_array(alice: Person, idapp: str) -> None:
    reply = alice.get("/private/smtps/findByApp", idapp=idapp)
    assert reply.status_code == 200
    assert reply.data == b"[]"


def test_list_holds_only_the_smtps_of_its_app(alice: Person, idapp: str) -> None:
    alice.make_smtp(alice.make_app("other")["_id"], host="other")
    mine = alice.make_smtp(idapp)
    assert alice.smtps(idapp) == [mine]
    assert alice.smtp(mine["_id"]) == mine


@pytest.mark.parametrize("name", ["idsmtp", "idapp"])
def test_remove_takes_the_id_under_either_name(alice: Person, idapp: str, name: str) -> None:
    smtp = alice.make_smtp(idapp)
    reply = alice.post("/private/smtps/remove", **{name: smtp["_id"]})
    assert (reply.status_code, reply.data) == (200, b"")
    assert alice.smtps(idapp) == []


def test_remove_prefers_idsmtp(alice: Person, idapp: str) -> None:
    first, second = alice.make_smtp(idapp), alice.make_smtp(idapp)
    reply = alice.post("/private/smtps/remove", idsmtp=first["_id"], idapp=second["_id"])
    assert reply.status_code == 200
    assert alice.smtps(idapp) == [second]


@pytest.mark.parametrize("call", ["remove", "check"])
def test_id_of_an_app_is_no_smtp(alice: Person, idapp: str, call: str) -> None:
    smtp = alice.make_smtp(idapp)
    reply = alice.post(f"/private/smtps/{call}", idapp=idapp)
    assert (reply.status_code, reply.json["title"]) == (406, "SMTP not found")
    assert alice.smtps(idapp) == [smtp]
    assert alice.get("/private/apps/findById", idapp=idapp).status_code == 200


@pytest.mark.parametrize("call", ["remove", "check"])
def test_remove_and_check_need_an_id(alice: Person, call: str) -> None:
    reply = alice.post(f"/private/smtps/{call}")
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, "idapp")


CALLS = [
    ("GET", "/private/smtps/findByApp", {"idapp": "APP"}, "App not found"),
    ("GET", "/private/smtps/findById", {"idsmtp": "SMTP"}, "SMTP not found"),
    ("POST", "/private/smtps/remove", {"idsmtp": "SMTP"}, "SMTP not found"),
    ("POST", "/private/smtps/check", {"idapp": "SMTP"}, "SMTP not found"),
    ("POST", "/private/smtps/save", {"idapp": "APP", "host": "h", "port": "25"}, "App not found"),
    (
        "POST",
        "/private/smtps/save",
        {"idapp": "OWN", "idsmtp": "SMTP", "host": "h", "port": "25"},
        "SMTP not found",
    ),
    ("GET", "/private/apps/findById", {"idapp": "APP"}, "App not found"),
    ("POST", "/private/apps/remove", {"idapp": "APP"}, "App not found"),
    ("POST", "/private/apps/save", {"idapp": "APP", "name": "mine"}, "App not found"),
]


@pytest.mark.parametrize(("method", "path", "parameters", "title"), CALLS)
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_smtp_of_another_user_answers_as_an_unknown_one(
    alice: Person,
    charlie: Person,
    idapp: str,
    method: str,
    path: str,
    parameters: dict[str, str],
    title: str,
    prefix: str,
) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    own = charlie.make_app("own")["_id"]

    def ask(app_id: str, smtp_id: str) -> tuple[int, bytes, list[str]]:
        given = {
            name: {"APP": app_id, "SMTP": smtp_id, "OWN": own}.get(value, value)
            for name, value in parameters.items()
        }
        with statements() as seen:
            reply = charlie.request(
                method, prefix + path, **{"query_string" if method == "GET" else "data": given}
            )
        return reply.status_code, reply.data, seen

    ask(UNKNOWN, UNKNOWN)  # the first use of a token notes the use
    foreign, unknown = ask(idapp, smtp["_id"]), ask(UNKNOWN, UNKNOWN)
    assert foreign == unknown  # the same work too, so the same time
    assert foreign[0] == 406
    assert title.encode() in foreign[1]
    assert alice.smtp(smtp["_id"]) == smtp


@pytest.mark.parametrize("call", ["findByApp", "findById"])
def test_read_takes_one_statement_however_many_rows(alice: Person, idapp: str, call: str) -> None:
    smtp, *_ = [alice.make_smtp(idapp, **FULL) for _ in range(5)]
    given = {"findByApp": {"idapp": idapp}, "findById": {"idsmtp": smtp["_id"]}}[call]
    with statements() as seen:
        assert alice.get(f"/private/smtps/{call}", **given).status_code == 200
    assert len(seen) == 1


def test_personal_token_sees_no_password_without_the_scope(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    plain, trusted = alice.with_scopes("read", "write"), alice.with_scopes("read", "secrets")
    assert plain.smtp(smtp["_id"]) == smtp | {"password": None}
    assert plain.smtps(idapp) == [smtp | {"password": None}]
    assert trusted.smtp(smtp["_id"]) == smtp
    saved = plain.make_smtp(
        idapp, idsmtp=smtp["_id"], **(FULL | {"password": "changed by a plain token"})
    )
    assert saved["password"] is None
    assert alice.smtp(smtp["_id"])["password"] == "changed by a plain token"


@pytest.mark.parametrize(
    ("scopes", "method", "path"),
    [
        (("write", "check", "secrets"), "GET", "/private/smtps/findByApp"),
        (("write", "check", "secrets"), "GET", "/private/smtps/findById"),
        (("read", "check", "secrets"), "POST", "/private/smtps/save"),
        (("read", "check", "secrets"), "POST", "/private/smtps/remove"),
        (("read", "write", "secrets"), "POST", "/private/smtps/check"),
        (("write", "check", "secrets"), "GET", "/private/apps/findAll"),
        (("write", "check", "secrets"), "GET", "/private/apps/findById"),
        (("read", "check", "secrets"), "POST", "/private/apps/save"),
        (("read", "check", "secrets"), "POST", "/private/apps/remove"),
    ],
)
def test_token_without_the_scope_is_not_authorized(
    alice: Person, scopes: tuple[str, ...], method: str, path: str
) -> None:
    reply = alice.with_scopes(*scopes).request(method, path)
    assert (reply.status_code, reply.json["title"]) == (401, "User not authorized")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_smtp_for_an_app_that_is_just_being_removed_is_not_saved(alice: Person, idapp: str) -> None:
    def save() -> int:
        given = {"idapp": idapp, "host": "mail.example.net", "port": 25}
        return alice.post("/private/smtps/save", **given).status_code

    with ThreadPoolExecutor(1) as pool:
        with alice.app.app_context(), writing() as session:
            session.delete(session.get_one(App, idapp))
            session.flush()
            status = pool.submit(save)
            time.sleep(0.3)  # so that it waits for us
            assert not status.done()
        assert status.result() == 406


def test_credentials_keep_their_blanks_and_letters(alice: Person, idapp: str) -> None:
    given = FULL | {"username": " ana ñ ", "password": " pässwörd ✓ "}
    smtp = alice.make_smtp(idapp, **given)
    assert (smtp["username"], smtp["password"]) == (" ana ñ ", " pässwörd ✓ ")


def test_repr_holds_no_password(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, **FULL)
    with alice.app.app_context():
        row = db.session.get_one(Smtp, smtp["_id"])
        assert FULL["password"] not in repr(row) + str(vars(row))
        assert FULL["password"] not in repr(services(alice.app).settings)


def test_visitor_is_refused_before_anything_is_read(visitor: Visitor) -> None:
    with statements() as seen:
        reply = visitor.get("/private/smtps/findByApp")
    assert reply.status_code == 401
    assert seen == []


@one_database
@pytest.mark.parametrize("joined", [False, True])
def test_api_view_that_forgets_its_caller_answers_401(alice: Person, joined: bool) -> None:
    def careless() -> Response:
        return Response("everything", 200)

    view = auth.needs("read", joined=True)(careless) if joined else careless
    alice.app.view_functions["api.find_apps"] = view
    reply = alice.get("/private/apps/findAll", page=0, size=1)
    assert reply.status_code == 401
    assert "everything" not in reply.text
