"""/private/apps and /auth/login."""

from __future__ import annotations

import logging
import re
import urllib.parse
from datetime import timedelta

import pytest

from smtpweb.accounts import sessions, tokens, users
from smtpweb.database.models import ApiToken, User
from smtpweb.database.session import db, now
from tests.support.counting import statements
from tests.support.people import PASSWORD, Person, Reply, Visitor


def login(visitor: Visitor, name: str, password: str, address: str = "192.0.2.1") -> Reply:
    return visitor.request(
        "POST",
        "/auth/login",
        data={"username": name, "password": password},
        environ_base={"REMOTE_ADDR": address},
    )


def test_login_answers_with_what_the_java_client_reads(alice: Person, visitor: Visitor) -> None:
    reply = login(visitor, "alice", alice.password)
    assert reply.status_code == 200
    assert list(reply.json) == ["token", "role", "userId", "username", "clientId"]
    assert reply.json | {"role": "ADMIN", "username": "alice", "userId": alice.user_id} == (
        reply.json
    )
    assert Visitor(alice.app, reply.json["token"]).make_app()["name"] == "shop"


def test_user_who_is_no_administrator_has_the_role_user(charlie: Person, visitor: Visitor) -> None:
    assert login(visitor, "CHARLIE", charlie.password).json["role"] == "USER"


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong"), ("nobody", "wrong"), ("alice\0", "x"), ("x" * 5000, "y")],
)
def test_wrong_login_is_a_403_whoever_it_is(
    alice: Person, visitor: Visitor, name: str, password: str
) -> None:
    reply = login(visitor, name, password)
    assert (reply.status_code, reply.json["title"]) == (403, "Credentials not valid")
    assert reply.json["detail"] == "The user name or the password is wrong."


@pytest.mark.parametrize("given", [{}, {"username": "alice"}, {"password": "x"}])
def test_login_without_name_or_password_is_a_400(visitor: Visitor, given: dict[str, str]) -> None:
    reply = visitor.post("/auth/login", **given)
    assert reply.status_code == 400
    assert {error["parameter"] for error in reply.json["errors"]} == {
        "username", "password",
    } - set(given)  # fmt: skip


def test_password_guessing_is_refused_for_the_account_and_network_only(
    alice: Person, charlie: Person, visitor: Visitor
) -> None:
    for _ in range(users.FAILURES_PER_ACCOUNT):
        assert login(visitor, "alice", "wrong").status_code == 403
    reply = login(visitor, "alice", alice.password)
    assert reply.status_code == 429
    assert int(reply.headers["Retry-After"]) > 0
    assert login(visitor, "Alice ", alice.password).status_code == 429
    assert login(visitor, "charlie", charlie.password).status_code == 200
    assert login(visitor, "alice", alice.password, "198.51.100.1").status_code == 200
    assert alice.get("/private/apps/findAll", page=0, size=1).status_code == 200


def test_failures_that_are_old_no_longer_count(
    alice: Person, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(users.FAILURES_PER_ACCOUNT):
        login(visitor, "alice", "wrong")
    monkeypatch.setattr(users, "now", lambda: now() + users.THROTTLE_WINDOW)
    assert login(visitor, "alice", alice.password).status_code == 200


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token x", "Bearer a b", "bearer=x", "Bearer é"],
)
def test_missing_or_malformed_header_is_a_401(visitor: Visitor, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    reply = visitor.request("GET", "/private/apps/findAll", headers=headers)
    assert (reply.status_code, reply.json["title"]) == (401, "User not authorized")
    assert reply.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/private/apps/findAll", "/private/smtps/findByApp"])
def test_unknown_token_is_a_403(visitor: Visitor, path: str) -> None:
    reply = Visitor(visitor.app, "smw_unknown").get(path)
    assert (reply.status_code, reply.json["title"]) == (403, "Credentials not valid")


@pytest.mark.parametrize("path", ["/private/apps/findAll", "/private/smtps/findByApp"])
def test_expired_token_is_a_403(alice: Person, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alice.get(path).status_code == 400
    monkeypatch.setattr(
        tokens, "now", lambda: now() + tokens.LOGIN_TOKEN_LIFE + timedelta(seconds=1)
    )
    assert alice.get(path).status_code == 403


def test_revoked_token_is_a_403(alice: Person) -> None:
    plain = alice.with_scopes("read")
    assert plain.get("/private/apps/findAll", page=0, size=1).status_code == 200
    with alice.app.app_context():
        user = users.find_user("alice")
        tokens.revoke_token(user, tokens.personal_tokens(user)[0].id)
    assert plain.get("/private/apps/findAll", page=0, size=1).status_code == 403


def test_scheme_may_be_written_in_any_case(alice: Person) -> None:
    reply = alice.request(
        "GET",
        "/private/apps/findAll?page=0&size=1",
        headers={"Authorization": f"BEARER {alice.token}"},
    )
    assert reply.status_code == 200


def test_tokens_are_stored_as_digests(alice: Person) -> None:
    with alice.app.app_context():
        token = db.session.scalars(db.select(ApiToken)).one()
        assert alice.token
        assert alice.token not in str(vars(token))
        assert re.fullmatch("[0-9a-f]{64}", token.digest)


def test_last_use_of_a_token_is_noted_now_and_then(alice: Person) -> None:
    with statements() as first:
        alice.get("/private/apps/findAll", page=0, size=1)
    with statements() as second:
        alice.get("/private/apps/findAll", page=0, size=1)
    assert sum(statement.startswith("UPDATE") for statement in first) == 1
    assert sum(statement.startswith("UPDATE") for statement in second) == 0


def test_cookie_opens_no_api_call(alice: Person) -> None:
    client = alice.app.test_client()
    with alice.app.test_request_context():
        user = sessions.open_session(users.find_user("alice"))
    with client.session_transaction() as session:
        session["_user_id"] = user.session_key
        session["_fresh"] = True
    assert client.get("/private/apps/findAll?page=0&size=1").status_code == 401


def test_new_app_has_the_defaults_of_its_account(alice: Person) -> None:
    app = alice.make_app("shop")
    assert app["testemail"] == "alice@example.com"
    assert app["strategy"] == "RANDOM"
    assert app["defaultfromemail"] == "alice@example.com"
    assert app["defaultfromname"] == "alice"
    assert app["timebetweenemails"] == 60
    for name in ("retaindata", "useblacklist", "useautoblacklist"):
        assert app[name] is False


def test_name_that_no_header_takes_is_no_default_from_name(alice: Person) -> None:
    with alice.app.app_context():
        db.session.get_one(User, alice.user_id).name = "=?alice"
        db.session.commit()
    assert alice.make_app("shop")["defaultfromname"] is None


@pytest.mark.parametrize(
    ("name", "sent", "kept"),
    [("timebetweenemails", 0, 0), ("timebetweenemails", 2**31 - 1, 2**31 - 1),
     ("retaindata", "on", True), ("useblacklist", "1", True), ("useautoblacklist", "TRUE", True)],
)  # fmt: skip
def test_field_for_other_clients_is_kept_and_returned(
    alice: Person, name: str, sent: object, kept: object
) -> None:
    app = alice.make_app("shop", **{name: sent})
    assert app[name] == kept and type(app[name]) is type(kept)
    edited = alice.post("/private/apps/save", idapp=app["_id"], defaultfromname="Shop").json
    assert edited[name] == kept
    assert alice.get("/private/apps/findById", idapp=app["_id"]).json == edited
    assert alice.get("/private/apps/findAll", page=0, size=9).json["content"] == [edited]


def test_app_is_created_found_edited_and_removed(alice: Person) -> None:
    app = alice.make_app(
        "shop", testemail="t@e.example", defaultfromemail="f@e.example",
        defaultfromname="Shop", strategy="random",
    )  # fmt: skip
    assert alice.get("/private/apps/findById", idapp=app["_id"]).json == app
    assert app["strategy"] == "RANDOM"
    edited = alice.post("/private/apps/save", idapp=app["_id"], defaultfromname="Store").json
    assert {name for name in app if app[name] != edited[name]} - {"modified"} == {"defaultfromname"}
    smtp = alice.make_smtp(app["_id"])
    reply = alice.post("/private/apps/remove", idapp=app["_id"])
    assert (reply.status_code, reply.data) == (200, b"")
    assert alice.get("/private/apps/findById", idapp=app["_id"]).status_code == 406
    assert alice.get("/private/smtps/findById", idsmtp=smtp["_id"]).status_code == 406


@pytest.mark.parametrize(
    ("name", "value"),
    [("name", "x" * 101), ("name", " "), ("name", "a\r\nb"), ("name", "=?utf-8?q?x?="),
     ("testemail", "nobody"), ("testemail", "a@b.c,d@e.f"), ("defaultfromemail", "x"),
     ("defaultfromname", "a\nb"), ("strategy", "BEST"), ("idapp", "1"),
     ("timebetweenemails", "-1"), ("timebetweenemails", 2**31), ("timebetweenemails", "60s"),
     ("retaindata", "2"), ("useblacklist", "x"), ("useautoblacklist", "null")],
)  # fmt: skip
def test_bad_value_of_an_app_is_refused_by_name(alice: Person, name: str, value: str) -> None:
    reply = alice.post("/private/apps/save", **({"name": "shop"} | {name: value}))
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, name)
    assert alice.get("/private/apps/findAll", page=0, size=9).json["totalElements"] == 0


def test_new_app_needs_a_name(alice: Person) -> None:
    reply = alice.post("/private/apps/save")
    assert (reply.status_code, reply.json["errors"][0]["parameter"]) == (400, "name")


def test_app_names_of_one_user_are_unique(alice: Person, charlie: Person) -> None:
    alice.make_app("shop")
    reply = alice.post("/private/apps/save", name="shop")
    assert (reply.status_code, reply.json["title"]) == (406, "App name already in use")
    other = alice.make_app("other")
    reply = alice.post("/private/apps/save", idapp=other["_id"], name="shop")
    assert reply.status_code == 406
    assert charlie.make_app("shop")["name"] == "shop"


def test_find_all_is_a_page_as_the_java_client_reads_it(alice: Person, charlie: Person) -> None:
    for name in ("c", "a", "B"):
        alice.make_app(name)
    charlie.make_app("hidden")
    page = alice.get("/private/apps/findAll", page=0, size=2).json
    assert [app["name"] for app in page["content"]] == ["a", "B"]
    assert set(page) == {
        "content", "number", "size", "totalElements", "totalPages", "numberOfElements", "first",
        "last", "empty", "pageable", "sort",
    }  # fmt: skip
    assert page | {
        "number": 0, "size": 2, "totalElements": 3, "totalPages": 2, "numberOfElements": 2,
        "first": True, "last": False, "empty": False,
    } == page  # fmt: skip
    page = alice.get("/private/apps/findAll", page=1, size=2).json
    assert [app["name"] for app in page["content"]] == ["c"]
    assert (page["first"], page["last"]) == (False, True)
    page = alice.get("/private/apps/findAll", page=9, size=2).json
    assert (page["content"], page["empty"], page["totalElements"]) == ([], True, 3)


@pytest.mark.parametrize(
    "given",
    [{}, {"page": 0}, {"size": 10}, {"page": -1, "size": 10}, {"page": 0, "size": 0},
     {"page": 0, "size": 1001}, {"page": "x", "size": 1}],
)  # fmt: skip
def test_find_all_needs_a_page_and_a_size(alice: Person, given: dict[str, object]) -> None:
    assert alice.get("/private/apps/findAll", **given).status_code == 400


@pytest.mark.parametrize("prefix", ["", "/api"])
@pytest.mark.parametrize(
    "spelling",
    ["username", "password", "Password", "PASSWORD", "passWord", "%20password", "UserName"],
)
def test_credentials_in_the_query_string_are_refused_and_not_logged(
    alice: Person, caplog: pytest.LogCaptureFixture, prefix: str, spelling: str
) -> None:
    """Even where the body has both: the URL was logged on its way whatever we read of it."""
    caplog.set_level(logging.DEBUG)
    name = spelling.removeprefix("%20").lower()
    given = {"username": alice.name, "password": PASSWORD}
    query = f"{spelling}={urllib.parse.quote(given[name])}"
    reply = Visitor(alice.app).request(
        "POST", f"{prefix}/auth/login", query_string=query, data=given
    )
    assert reply.status_code == 400
    assert [fault["parameter"] for fault in reply.json["errors"]] == [name]
    assert "query string" in reply.json["errors"][0]["message"]
    assert PASSWORD not in reply.text + caplog.text


def test_query_string_without_credentials_is_fine_at_login(alice: Person) -> None:
    given = {"username": alice.name, "password": PASSWORD}
    path = "/auth/login?page=1&password="
    reply = Visitor(alice.app).request("POST", path, data=given)
    assert reply.status_code == 200


def test_apps_are_sorted_without_case_also_after_a_new_name(alice: Person) -> None:
    first = alice.make_app("Ärger")
    for name in ("zoo", "ÖL", "Bank", "ärmel", "apfel"):
        alice.make_app(name)

    def names() -> list[str]:
        reply = alice.get("/private/apps/findAll", page=0, size=10)
        return [app["name"] for app in reply.json["content"]]

    assert names().index("apfel") < names().index("Bank") < names().index("zoo")
    assert names().index("Ärger") < names().index("ärmel")
    alice.post("/private/apps/save", idapp=first["_id"], name="aaa")
    assert names()[0] == "aaa"


def test_page_beyond_the_last_app_is_empty_and_knows_the_total(alice: Person, idapp: str) -> None:
    page = alice.get("/private/apps/findAll", page=7, size=10).json
    assert (page["content"], page["totalElements"], page["empty"]) == ([], 1, True)
