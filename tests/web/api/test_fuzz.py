"""Requests that nobody would write by hand: none is our fault, and every refusal is a problem."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.support.counting import statements
from tests.support.people import Person, Visitor

POSTS = {
    "/auth/login": ("username", "password"),
    "/private/apps/save": (
        "idapp", "name", "testemail", "defaultfromemail", "defaultfromname", "strategy",
    ),
    "/private/apps/remove": ("idapp",),
    "/private/smtps/save": (
        "idsmtp", "idapp", "priority", "host", "port", "username", "password", "auth",
        "starttls", "startstls", "ssltls", "sslTls", "debug", "defaulfromemail",
        "defaultfromemail", "defaultfromname",
    ),
    "/private/smtps/remove": ("idsmtp", "idapp"),
    "/private/smtps/check": ("idsmtp", "idapp"),
    "/private/smtps/explain": ("text", "host", "provider"),
}  # fmt: skip
GETS = {
    "/private/apps/findAll": ("page", "size"),
    "/private/apps/findById": ("idapp",),
    "/private/smtps/findByApp": ("idapp",),
    "/private/smtps/findById": ("idsmtp",),
}
CALLS = POSTS | GETS

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
KINDS = (
    FORM, f"{FORM}; charset=ISO-8859-1", f"{FORM}; charset=windows-1252", f"{FORM}; charset=utf-16",
    f"{FORM}; charset=idna", f"{FORM}; charset=\xe9", JSON, f"{JSON}; charset=latin1",
    "multipart/form-data", "multipart/form-data; boundary=x", "multipart/form-data; boundary=",
    "multipart/mixed; boundary=x", "text/plain", "application/xml", "application/problem+json",
    "", ";", "a/b; c", "*/*",
)  # fmt: skip

# Stand for an id that exists; see Shelf.
APP, SMTP = "<app>", "<smtp>"
NASTY = (
    APP, SMTP, APP, SMTP, "", "0", "-1", "1", "25", "65535", "65536", "2147483647", "2147483648",
    str(2**63), "9" * 400, "1e9", "1.0", "+1", " 25", "25\n", "1_0", "٣", "１２", "0x19", "NaN",
    "true", "TRUE", "off", "null", "None", "[]", "{}", "\0", "a\0b", "\ud800", "\udfff\ud800",
    "\x1b[31m", "a\r\nBcc: b@c.example", "\u2028", "\u202e", "\x85", "=?utf-8?q?=0D=0AX=3A_1?=",
    "a" * 254, "é" * 1024, "a" * 1025, "😀", "%", "%zz", "%00", "&", "=", "'; DROP TABLE smtp; --",
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "::1", "[::1]", "fe80::1%eth0", "a..b", "-a.b",
    "a" * 64 + ".example", "xn--\x80", "xn--zzzzzzzz", "ﷺ.example", "ß.example", "smtp://h",
    "h:25", ".", "..", "a@b.example", "a@b", "@", "a@@b", '"a b"@c.example', "a@[127.0.0.1]",
    "a@b.example,c@d.example", "ä@ö.example", "a@xn--a", "RANDOM", "priority", "alice", "ALICE",
    "f" * 24, "F" * 24, "g" * 24, "f" * 23,
)  # fmt: skip
DEEP = 100_000

texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))
leaves = st.one_of(
    texts, st.none(), st.booleans(), st.floats(),
    st.integers(min_value=-(2**70), max_value=2**70),
)  # fmt: skip
shapes = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@dataclass(frozen=True)
class Asked:
    path: str
    pairs: list[tuple[str, Any]]
    query: list[tuple[str, Any]]
    written_as: str
    kind: str
    raw: bytes
    header: str | None


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    path = draw(st.sampled_from(tuple(CALLS)))
    names = st.sampled_from(CALLS[path])
    pairs = st.lists(st.tuples(st.one_of(names, names, names, texts), leaves), max_size=8)
    given = draw(pairs)
    if draw(st.booleans()):  # else hardly any request would come past the required parameters
        likely = {"host": "127.0.0.1", "port": 25, "idapp": APP, "name": "x", "page": 0, "size": 5}
        given = [(name, likely[name]) for name in CALLS[path] if name in likely] + given[:2]
    return Asked(
        path=draw(st.sampled_from(("", "/api"))) + path,
        pairs=given,
        query=draw(pairs) if draw(st.integers(0, 3)) == 0 else [],
        written_as=draw(st.sampled_from(("form", "form", "json", "json", "multipart", "raw"))),
        kind=draw(st.sampled_from(KINDS)),
        raw=draw(st.one_of(st.binary(max_size=60), shapes.map(json.dumps).map(str.encode))),
        header=draw(
            st.one_of(
                st.none(), st.none(), st.none(), st.none(), st.none(), st.none(),
                st.just("Bearer smw_unknown"),
                st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20),
            )
        ),
    )  # fmt: skip


class Shelf:
    """Things of alice's that a request may hit.

    What is checked is never edited, so that it stays on loopback; what is removed is not needed.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.app = person.make_app("kept", testemail="t@example.com")["_id"]
        # Nothing listens on port 1, and a check of it ends at once.
        closed = {"host": "127.0.0.1", "port": 1, "defaultfromemail": "f@example.com"}
        self.smtps = {
            ending: person.make_smtp(self.app, **closed)["_id"]
            for ending in ("check", "remove", "")
        }
        self.lost_app = person.make_app("lost")["_id"]

    def fill(self, path: str, value: Any) -> Any:
        if value == SMTP:
            return self.smtps.get(path.rpartition("/")[2], self.smtps[""])
        if value == APP and path.endswith("/smtps/check"):
            return self.smtps["check"]
        if value == APP:
            return self.lost_app if path.endswith("apps/remove") else self.app
        return value


def ask(shelf: Shelf, asked: Asked) -> TestResponse:
    pairs = [(name, shelf.fill(asked.path, value)) for name, value in asked.pairs]
    query = encoded([(name, shelf.fill(asked.path, value)) for name, value in asked.query]).decode()
    headers = {} if asked.header is None else {"Authorization": asked.header}
    if asked.path.removeprefix("/api") in GETS:
        query = encoded(pairs).decode() + ("&" + query if query else "")
        return call(shelf.person, "GET", asked.path, query, headers=headers)
    body, kind = {
        "form": (encoded(pairs), asked.kind if asked.kind.startswith(FORM) else FORM),
        "json": (json_object(pairs), JSON),
        "multipart": (multipart(pairs), "multipart/form-data; boundary=x"),
        "raw": (asked.raw, asked.kind),
    }[asked.written_as]
    return call(
        shelf.person, "POST", asked.path, query, data=body, content_type=kind, headers=headers
    )


def call(visitor: Visitor, method: str, path: str, query: str = "", **options: Any) -> TestResponse:
    """One request; what it is refused for changed nothing."""
    with statements() as seen:
        # The client would mend a query string that is not well-formed.
        reply = visitor.request(method, path, environ_overrides={"QUERY_STRING": query}, **options)
    if reply.status_code >= 500:
        assert reply.status_code == 503
        assert int(reply.headers["Retry-After"]) >= 1
    if reply.status_code in (400, 413, 415):
        assert [
            one for one in seen if not one.startswith(("SELECT", "UPDATE api_token", "SET LOCAL"))
        ] == []
    assert b"Traceback" not in reply.data
    return reply


def encoded(pairs: list[tuple[str, Any]]) -> bytes:
    return urlencode(
        [(name, "" if value is None else str(value)) for name, value in pairs],
        errors="surrogatepass",
    ).encode()


def json_object(pairs: list[tuple[str, Any]]) -> bytes:
    """A JSON object that keeps names that occur twice."""
    members = ",".join(f"{json.dumps(name)}:{json.dumps(value)}" for name, value in pairs)
    return f"{{{members}}}".encode()


def multipart(pairs: list[tuple[str, Any]]) -> bytes:
    parts = (
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in pairs
    )
    return ("".join(parts) + "--x--\r\n").encode(errors="surrogatepass")


def test_no_request_is_our_fault(alice: Person) -> None:
    shelf = Shelf(alice)
    outcomes: set[int] = set()

    @settings(
        max_examples=300, derandomize=True, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(requests())
    # What is drawn changes with the constants in our code: this one is always among it.
    @example(Asked("/private/apps/save", [], [], "raw", "text/plain", b"x", None))
    def bombard(asked: Asked) -> None:
        outcomes.add(ask(shelf, asked).status_code)

    bombard()
    # It came past every test in the house, or it would prove little.
    assert outcomes >= {200, 400, 401, 403, 406, 415}


BODIES = {
    "nested arrays": (JSON, b'{"host":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "nested arrays that never end": (JSON, b"[" * DEEP),
    "nested objects": (JSON, b'{"host":' * DEEP + b"1" + b"}" * DEEP),
    "an array": (JSON, b'["host"]'),
    "a string": (JSON, b'"host"'),
    "a number that is too long to read": (JSON, b'{"port":' + b"9" * 5000 + b"}"),
    "no number": (JSON, b'{"port":NaN}'),
    "a number beyond any": (JSON, b'{"port":Infinity}'),
    "half an object": (JSON, b'{"host":"h"'),
    "two objects": (JSON, b'{"host":"h"}{}'),
    "one name twice": (JSON, b'{"host":"h","host":"i"}'),
    "an object in an object": (JSON, b'{"host":{"host":"h"}}'),
    "invalid UTF-8 in JSON": (JSON, b'{"host":"\xff"}'),
    "UTF-16 in JSON": (JSON, '{"host":"h"}'.encode("utf-16")),
    "invalid UTF-8 in a form": (FORM, b"host=\xff"),
    "invalid escaped UTF-8 in a form": (FORM, b"host=%ff%fe"),
    "too many parameters": (FORM, b"&".join(b"p%d=1" % number for number in range(1000))),
    "an unknown charset": (f"{FORM}; charset=none", b"host=h"),
    "multipart without boundary": ("multipart/form-data", b"--x\r\n"),
    "multipart cut short": (
        "multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="host"',
    ),
    "multipart without a name": (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Disposition: form-data\r\n\r\nh\r\n--x--\r\n",
    ),
    "multipart with many parts": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 2000 + b"--x--\r\n",
    ),
    "a file for a parameter": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="host"; filename="h"\r\n\r\nh\r\n--x--\r\n',
    ),
    "invalid UTF-8 in multipart": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="host"\r\n\r\n\xff\r\n--x--\r\n',
    ),
    "too large a form": (FORM, b"host=" + b"h" * (10 * 1024 * 1024)),
    "too large a JSON object": (JSON, b'{"host":"' + b"h" * (10 * 1024 * 1024) + b'"}'),
    "another media type": ("text/xml", b"<host/>"),
    "none": ("", b"host=h"),
}  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
def test_bodies_that_cannot_be_read_are_refused_everywhere(alice: Person, path: str) -> None:
    expected = {
        "too large a form": 413,
        "too large a JSON object": 413,
        "multipart with many parts": 413,
        "an unknown charset": 415,
        "another media type": 415,
        "none": 415,
    }
    for name, (kind, body) in BODIES.items():
        reply = call(alice, "POST", path, data=body, content_type=kind)
        assert reply.status_code == expected.get(name, 400), f"{name}: {reply.text}"


@pytest.mark.parametrize("path", CALLS)
def test_queries_that_cannot_be_read_are_refused_everywhere(alice: Person, path: str) -> None:
    name = CALLS[path][0]
    many = "&".join(f"p{number}=1" for number in range(1000))
    method = "GET" if path in GETS else "POST"
    for query in (
        "a=%ff",
        "a=\xff",
        many,
        f"{name}=1&{name}=2",
        f"{name}=%00",
        f"{name}=%ED%A0%80",
    ):
        assert call(alice, method, path, query).status_code == 400, query


HEADERS = (
    "", "Bearer", "Bearer ", "Bearer a b", "Basic YWxpY2U6eA==", "Bearer \xff", "bearer smw_",
    "Bearer smw_%00", "Token a", "Bearer \t", "Bearer a,Bearer b", "Bearer " + "a" * 9000,
)  # fmt: skip


@pytest.mark.parametrize("path", [path for path in CALLS if path != "/auth/login"])
def test_odd_authorization_is_401_or_403(alice: Person, path: str) -> None:
    method = "GET" if path in GETS else "POST"
    for header in HEADERS:
        reply = call(alice, method, path, headers={"Authorization": header})
        assert reply.status_code in (401, 403), header


@pytest.mark.parametrize("path", CALLS)
def test_other_methods_are_405_and_name_the_right_one(visitor: Visitor, path: str) -> None:
    right = "GET" if path in GETS else "POST"
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - {right}:
        reply = call(visitor, method, path)
        assert reply.status_code == 405
        assert right in reply.headers["Allow"]
