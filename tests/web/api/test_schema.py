"""How clients write their requests, and what the public Java client trips over."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.support.people import Person, Reply

LATIN = "application/x-www-form-urlencoded; charset=ISO-8859-1"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def idapp(alice: Person) -> str:
    made: str = alice.make_app()["_id"]
    return made


def save(alice: Person, body: bytes | str, content_type: str, query: str = "") -> Reply:
    return alice.request(
        "POST", f"/private/smtps/save{query}", data=body, content_type=content_type
    )


def test_form_of_the_java_client_is_understood(alice: Person, idapp: str) -> None:
    body = (
        f"idapp={idapp}&priority&host=h.example&port=587&username=a%F1a&password=p%E9&auth=true"
        "&starttls=true&sslTls=false&debug=false&defaultfromemail=a%40b.example"
        "&defaultfromname=Jos%E9&unknown=%F1"
    )
    reply = save(alice, body, LATIN)
    assert reply.status_code == 200
    smtp = reply.json
    assert (smtp["username"], smtp["password"], smtp["defaultfromname"]) == ("aña", "pé", "José")
    assert (smtp["priority"], smtp["sslTls"], smtp["debug"]) == (10, False, False)


def test_parameters_with_a_bare_name_or_an_empty_value_are_absent(
    alice: Person, idapp: str
) -> None:
    reply = save(alice, f"idapp={idapp}&priority&host=h&port=25&username=&auth", FORM)
    assert reply.status_code == 200
    assert (reply.json["priority"], reply.json["username"]) == (10, None)
    assert reply.json["auth"] is False
    reply = save(alice, f"idapp={idapp}&host&port=", FORM)
    assert {error["parameter"] for error in reply.json["errors"]} == {"host", "port"}


@pytest.mark.parametrize("name", ["ssltls", "sslTls"])
def test_ssltls_has_two_spellings(alice: Person, idapp: str, name: str) -> None:
    smtp = alice.make_smtp(idapp, **{name: "true"})
    assert smtp["sslTls"] is True
    assert "ssltls" not in smtp


@pytest.mark.parametrize("name", ["defaulfromemail", "defaultfromemail"])
def test_default_from_has_two_spellings(alice: Person, idapp: str, name: str) -> None:
    smtp = alice.make_smtp(idapp, **{name: "a@b.example"})
    assert smtp["defaultfromemail"] == "a@b.example"


@pytest.mark.parametrize("name", ["starttls", "startstls"])
def test_starttls_has_two_spellings(alice: Person, idapp: str, name: str) -> None:
    assert alice.make_smtp(idapp, **{name: "true"})["starttls"] is True


@pytest.mark.parametrize(
    ("word", "meaning"),
    [("true", True), ("TRUE", True), ("on", True), ("Yes", True), ("1", True),
     ("false", False), ("False", False), ("off", False), ("NO", False), ("0", False)],
)  # fmt: skip
def test_flags_have_many_spellings(alice: Person, idapp: str, word: str, meaning: bool) -> None:
    assert alice.make_smtp(idapp, starttls=word)["starttls"] is meaning


def ways(alice: Person, given: dict[str, str]) -> dict[str, Reply]:
    path = "/private/smtps/save"
    return {
        "query": alice.request("POST", path, query_string=given),
        "form": alice.request("POST", path, data=given),
        "multipart": alice.request("POST", path, data=given, content_type="multipart/form-data"),
        "json": alice.request("POST", path, json=given),
        "mixed": alice.request(
            "POST",
            path,
            query_string={"idapp": given["idapp"]},
            data={name: value for name, value in given.items() if name != "idapp"},
        ),
    }


def test_query_form_multipart_and_json_are_equal(alice: Person, idapp: str) -> None:
    given = {"idapp": idapp, "host": "münchen.example", "port": "25", "auth": "false"}
    replies = ways(alice, given)
    assert {way: reply.status_code for way, reply in replies.items()} == dict.fromkeys(replies, 200)
    assert {reply.json["host"] for reply in replies.values()} == {"xn--mnchen-3ya.example"}


def test_json_may_use_its_own_types(alice: Person, idapp: str) -> None:
    body = {"idapp": idapp, "host": "h", "port": 25, "priority": 0, "auth": False,
            "starttls": True, "username": None, "password": ""}  # fmt: skip
    reply = alice.request("POST", "/private/smtps/save", json=body)
    assert reply.status_code == 200
    assert (reply.json["port"], reply.json["starttls"]) == (25, True)
    assert reply.json["username"] is None


@pytest.mark.parametrize(
    "value", [True, 25.5, 1e300, "25.0", "25 ", [25], {"a": 25}, -1, 0, 65536, 2**63, "٣"], ids=repr
)
def test_json_of_the_wrong_type_is_refused(alice: Person, idapp: str, value: Any) -> None:
    reply = alice.request(
        "POST", "/private/smtps/save", json={"idapp": idapp, "host": "h", "port": value}
    )
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, "port")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"[1]", b'"x"', b"null", b"\xff\xfe", b'{"a":1}x', b"NaN", b'{"port":NaN}',
     b"[" * 100_000, b'{"a":' * 100_000, b'{"port":' + b"9" * 5000 + b"}"],
    ids=lambda body: body[:12].decode("latin-1"),
)  # fmt: skip
def test_json_that_is_broken_is_a_400(alice: Person, body: bytes) -> None:
    assert save(alice, body, "application/json").status_code == 400


def test_json_with_a_lone_surrogate_is_a_400(alice: Person, idapp: str) -> None:
    body = json.dumps({"idapp": idapp, "host": "h", "port": 25, "username": "\ud800"})
    assert save(alice, body, "application/json").status_code == 400
    assert alice.smtps(idapp) == []


@pytest.mark.parametrize(
    ("body", "content_type", "query"),
    [
        ("host=h&host=h&port=25", FORM, ""),
        ("host=h&port=25", FORM, "?port=25"),
        ('{"host":"h","host":"g","port":25}', "application/json", ""),
        ("host=h&port=25&ssltls=true&sslTls=false", FORM, ""),
    ],
)
def test_parameter_sent_twice_is_refused(
    alice: Person, idapp: str, body: str, content_type: str, query: str
) -> None:
    if content_type == FORM:
        body += f"&idapp={idapp}"
    else:
        body = body[:-1] + f',"idapp":"{idapp}"}}'
    reply = save(alice, body, content_type, query)
    assert reply.status_code == 400
    assert reply.json["errors"][0]["message"] == "Was sent more than once."
    assert alice.smtps(idapp) == []


def test_flag_in_two_spellings_may_say_the_same_twice(alice: Person, idapp: str) -> None:
    assert alice.make_smtp(idapp, ssltls="true", sslTls="true")["sslTls"] is True


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"host=%FF", FORM),
        (b"host=\xff", FORM),
        (b"host=%E9", FORM + "; charset=utf-8"),
        (b"host=%E9", FORM + "; charset=us-ascii"),
    ],
)
def test_form_that_is_not_valid_in_its_charset_is_a_400(
    alice: Person, body: bytes, content_type: str
) -> None:
    assert save(alice, body, content_type).status_code == 400


def test_invalid_query_string_is_a_400(alice: Person) -> None:
    assert alice.request("GET", "/private/smtps/findByApp?idapp=%FF").status_code == 400


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", FORM + "; charset=utf-16", "nonsense"]
)
def test_unknown_content_type_is_a_415(alice: Person, content_type: str) -> None:
    assert save(alice, "host=h", content_type).status_code == 415


def test_parameters_beyond_the_limit_are_a_400(alice: Person) -> None:
    assert save(alice, "&".join(f"a{n}=1" for n in range(200)), FORM).status_code == 400


@pytest.mark.parametrize("content_type", [FORM, "application/json", "multipart/form-data"])
def test_body_that_is_huge_is_a_413(alice: Person, content_type: str) -> None:
    reply = save(alice, b"a=" + b"x" * 10_000_000, content_type)
    assert reply.status_code == 413


def test_huge_field_of_a_multipart_form_is_a_413(alice: Person) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="host"\r\n\r\n' + b"x" * 2_000_000
    reply = save(alice, part + b"\r\n--b--\r\n", "multipart/form-data; boundary=b")
    assert reply.status_code == 413


def test_multipart_form_that_is_not_utf_8_is_a_400(alice: Person) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="host"\r\n\r\n\xe9\r\n--b--\r\n'
    assert save(alice, part, "multipart/form-data; boundary=b").status_code == 400


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_calls_stand_under_both_base_paths(alice: Person, prefix: str) -> None:
    login = alice.request(
        "POST",
        f"{prefix}/auth/login",
        data={"username": alice.name, "password": alice.password},
    )
    assert login.status_code == 200
    app = alice.post(f"{prefix}/private/apps/save", name="one").json
    smtp = alice.post(f"{prefix}/private/smtps/save", idapp=app["_id"], host="h", port=1).json
    assert alice.get(f"{prefix}/private/smtps/findByApp", idapp=app["_id"]).json == [smtp]
    assert alice.get(f"{prefix}/private/smtps/findById", idsmtp=smtp["_id"]).json == smtp
    assert alice.post(f"{prefix}/private/smtps/remove", idapp=smtp["_id"]).status_code == 200
    assert alice.get(f"{prefix}/private/apps/findById", idapp=app["_id"]).json == app
    assert alice.get(f"{prefix}/private/apps/findAll", page=0, size=5).json["totalElements"] == 1
    assert alice.post(f"{prefix}/private/apps/remove", idapp=app["_id"]).status_code == 200


def test_path_with_a_slash_too_many_is_no_redirect(alice: Person, idapp: str) -> None:
    reply = alice.post("/private/smtps/save/", idapp=idapp, host="h", port=25)
    assert reply.status_code == 200


def test_integers_and_flags_of_the_reply_have_json_types(alice: Person, idapp: str) -> None:
    smtp = alice.make_smtp(idapp, priority=2**31 - 1)
    assert {type(smtp[name]) for name in ("priority", "port", "numerrors")} == {int}
    assert {type(smtp[name]) for name in ("auth", "starttls", "sslTls", "debug")} == {bool}


def test_replies_are_one_ascii_line(alice: Person, idapp: str) -> None:
    alice.make_smtp(idapp, defaultfromname="José ✓")
    reply = alice.get("/private/smtps/findByApp", idapp=idapp)
    assert reply.data.isascii()
    assert b"\n" not in reply.data
    assert reply.json[0]["defaultfromname"] == "José ✓"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/private/smtps/save", 405),
        ("POST", "/private/smtps/findById", 405),
        ("DELETE", "/private/apps/remove", 405),
        ("GET", "/auth/login", 405),
        ("GET", "/api/auth/login", 405),
        ("GET", "/private/nothing", 404),
        ("GET", "/auth/nothing", 404),
        ("GET", "/api/nothing", 404),
        ("GET", "/api", 404),
        ("GET", "/private/", 404),
        ("GET", "/private", 404),
    ],
)
def test_unknown_paths_and_methods_are_problems(
    alice: Person, method: str, path: str, status: int
) -> None:
    reply = alice.request(method, path)
    assert reply.status_code == status
    assert reply.json["type"] == "about:blank"
    if status == 405:
        assert reply.headers["Allow"]


def test_unreadable_password_does_not_hide_the_other_smtps(alice: Person, idapp: str) -> None:
    from smtpweb.database.models import Smtp
    from smtpweb.database.session import db

    good = alice.make_smtp(idapp, password="good")
    bad = alice.make_smtp(idapp, password="bad", defaultfromemail="a@b.example")
    with alice.app.app_context():
        row = db.session.get_one(Smtp, bad["_id"])
        row.password_sealed = db.session.get_one(Smtp, good["_id"]).password_sealed
        db.session.commit()
    shown = alice.smtps(idapp)
    assert [smtp["password"] for smtp in shown] == ["good", None]
    (warning,) = shown[1]["warnings"]
    assert (warning["parameter"], warning["code"]) == ("password", "PASSWORD_UNREADABLE")
    assert "enter it again" in warning["message"]
    reply = alice.post("/private/smtps/check", idsmtp=bad["_id"])
    assert (reply.status_code, reply.json["code"]) == (406, "SMTP_PASSWORD_UNREADABLE")


@pytest.mark.parametrize(
    "body",
    [
        "defaulfromemail=a%40b.example&defaultfromemail=a%40b.example",
        "defaultfromemail=a%40b.example&defaulfromemail=a%40b.example",
        "defaultfromemail=a%40B.example&defaulfromemail=a%40b.example",
        "starttls=true&startstls=true",
        "startstls=1&starttls=TRUE",
        "ssltls=off&sslTls=false",
        "sslTls=false&ssltls=off",
    ],
)
def test_value_in_two_spellings_is_one_value_in_any_order(
    alice: Person, idapp: str, body: str
) -> None:
    assert save(alice, f"idapp={idapp}&host=h&port=25&{body}", FORM).status_code == 200
    twice = [pair.split("=") for pair in body.split("&")]
    given = {"idapp": idapp, "host": "h", "port": 25} | {
        name: value.replace("%40", "@") for name, value in twice
    }
    assert save(alice, json.dumps(given), "application/json").status_code == 200


@pytest.mark.parametrize(
    "body",
    ["defaulfromemail=a%40b.example&defaultfromemail=c%40b.example",
     "defaultfromemail=a%40b.example&defaulfromemail=c%40b.example",
     "startstls=1&starttls=0", "starttls=true&startstls=true&starttls=true"],
)  # fmt: skip
def test_values_that_differ_in_two_spellings_are_refused_in_any_order(
    alice: Person, idapp: str, body: str
) -> None:
    reply = save(alice, f"idapp={idapp}&host=h&port=25&{body}", FORM)
    assert (reply.status_code, len(reply.json["errors"])) == (400, 1)
    assert reply.json["errors"][0]["message"] == "Was sent more than once."


@pytest.mark.parametrize(
    ("written", "port"),
    [("587.0", 587), ("587.000", 587), ("5.87e2", 587), ("58700E-2", 587), ("1", 1)],
)
def test_json_number_that_is_whole_is_an_integer(
    alice: Person, idapp: str, written: str, port: int
) -> None:
    body = f'{{"idapp":"{idapp}","host":"h","port":{written}}}'
    reply = save(alice, body, "application/json")
    assert (reply.status_code, reply.json["port"]) == (200, port)


@pytest.mark.parametrize("written", ["587.5", "1e999999999", "1e-999999999", "0.0", "-587.0"])
def test_json_number_that_is_no_port_is_refused(alice: Person, idapp: str, written: str) -> None:
    body = f'{{"idapp":"{idapp}","host":"h","port":{written}}}'
    reply = save(alice, body, "application/json")
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, "port")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"host":"h","host":"h","port":25}', "host"),
        ('{"host":"h","port":25,"note":1,"note":2}', "note"),
        ('{"host":"","host":"h","port":25}', "host"),
        ('{"host":"h","port":25,"sslTls":true,"sslTls":true}', "ssltls"),
        ('{"host":"h","port":25,"more":{"x":1,"x":2}}', "x"),
    ],
)
def test_json_member_that_stands_twice_is_named(
    alice: Person, idapp: str, body: str, name: str
) -> None:
    reply = save(alice, body[:-1] + f',"idapp":"{idapp}"}}', "application/json")
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, name)
    assert alice.smtps(idapp) == []


@pytest.mark.parametrize("content_type", [FORM, "application/json", "multipart/form-data"])
@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", ""])
def test_compressed_body_is_a_415_that_says_so(
    alice: Person, content_type: str, coding: str
) -> None:
    headers = {"Content-Encoding": coding} if coding else {}
    reply = alice.request(
        "POST", "/private/smtps/save", data=gzip.compress(b"{}"), content_type=content_type,
        headers=headers,
    )  # fmt: skip
    assert reply.status_code == 415
    assert "compressed" in reply.json["detail"]


def test_identity_coding_is_none(alice: Person, idapp: str) -> None:
    given = {"idapp": idapp, "host": "h", "port": "25"}
    reply = alice.request(
        "POST", "/private/smtps/save", data=given, headers={"Content-Encoding": "identity"}
    )
    assert reply.status_code == 200
