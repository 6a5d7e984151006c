"""Requests that are wrong below the level of HTML and JSON, on the real server and its log."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from smtpweb.app import create_app
from smtpweb.database.session import db
from smtpweb.web.http.host_header import host_of
from tests.conftest import settings_for
from tests.support.serving import Program, smtpweb_server

PAGES, API = ("/login", "/nothing"), ("/private/apps/findAll", "/api/auth/login", "/auth/login")


@pytest.fixture(scope="module")
def served_with_log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Program]]:
    with smtpweb_server(tmp_path_factory.mktemp("served")) as server:
        yield server


def exchange(url: str, request: bytes) -> tuple[int, str, str]:
    """Send these very bytes, read one reply: status, content type, body."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(request)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return reply.status, reply.headers["Content-Type"], reply.read().decode()


def is_ours(path: str, reply: tuple[int, str, str]) -> None:
    status, kind, body = reply
    assert status == 400
    if path in API:
        assert kind == "application/problem+json"
        assert '"status":400' in body.replace(" ", "")
    else:
        assert kind.startswith("text/html")
        assert "The request could not be understood" in body
        assert "<nav" in body or "<header" in body  # our layout, not the server's


@pytest.mark.parametrize("path", PAGES + API)
@pytest.mark.parametrize(
    "host",
    [
        b"a..b", b".", b"..", b".a", b"a b", b"a/b", b"a@b", b"a\\b", b"a%2eb", b"a:b", b"a:99999",
        b"a:80:80", b"[::1", b"::1", b"[zz]", b"[::1]x", b"[1.2.3.4]", b"a,b", b"a?b", b"a#b",
        b"<a>", b"\xe9", b"\xc3\xa9.example", b"a" * 64, b"a." * 130, b"", b"user:pw@x",
        b"xn--\xff",
    ],
)  # fmt: skip
def test_malformed_host_is_refused_in_our_own_form(
    served_with_log: tuple[str, Program], path: str, host: bytes
) -> None:
    url, _ = served_with_log
    head = b"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % (path.encode(), host)
    is_ours(path, exchange(url, head))


BAD_CHUNKS = {
    "no number": b"zz\r\nname=a\r\n0\r\n\r\n",
    "no line end": b"5\r\nname=a!\r\n0\r\n\r\n",
    "negative": b"-5\r\nname=a\r\n0\r\n\r\n",
    "extension": b"6;\x01\r\nname=a\r\n0\r\n\r\n",
    "empty size": b"\r\nname=a\r\n0\r\n\r\n",
    "hexadecimal prefix": b"0x6\r\nname=a\r\n0\r\n\r\n",
    "underscore": b"1_0\r\nname=aaaaaaaaaaa\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("path", ["/login", "/setup", "/nothing", "/auth/login", "/api/auth/login"])
@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
@pytest.mark.parametrize("kind", [b"application/x-www-form-urlencoded", b"multipart/form-data"])
def test_bad_chunk_is_refused_in_our_own_form(
    served_with_log: tuple[str, Program], path: str, body: bytes, kind: bytes
) -> None:
    url, _ = served_with_log
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    is_ours(path, exchange(url, head % (path.encode(), kind) + body))


def test_malformed_requests_leave_no_traceback_in_the_log(
    served_with_log: tuple[str, Program],
) -> None:
    url, program = served_with_log
    for path in ("/login", "/auth/login"):
        is_ours(path, exchange(url, b"GET %s HTTP/1.1\r\nHost: a..b\r\n\r\n" % path.encode()))
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
        is_ours(path, exchange(url, head + b"zz\r\n"))
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(head + b"5\r\nab")  # and goes away
    assert exchange(url, b"GET /healthz HTTP/1.0\r\n\r\n")[0] == 200
    assert "Traceback" not in program.output
    assert "Error" not in program.output


def test_request_of_the_oldest_kind_needs_no_host(served_with_log: tuple[str, Program]) -> None:
    url, _ = served_with_log
    assert exchange(url, b"GET /login HTTP/1.0\r\n\r\n")[0] in (200, 302, 303)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("example.com", "example.com"), ("Example.COM:8000", "example.com"),
        ("example.com.", "example.com"), ("example.com:", "example.com"), ("my_app", "my_app"),
        ("127.0.0.1:8000", "127.0.0.1"), ("[::1]:80", "::1"), ("[2001:DB8:0::1]", "2001:db8::1"),
        ("localhost", "localhost"), ("xn--bcher-kva.example", "xn--bcher-kva.example"),
    ],
)  # fmt: skip
def test_good_host_is_known_by_its_name(header: str, host: str) -> None:
    assert host_of(header) == host


# --- with a base URL -----------------------------------------------------------------------


@pytest.fixture
def named(database_url: str) -> Iterator[Flask]:
    app = create_app(settings_for(database_url, base_url="https://smtps.example.com"))
    yield app
    with app.app_context():
        db.engine.dispose()


def ask(app: Flask, path: str, host: str) -> TestResponse:
    return app.test_client().get(path, headers={"Host": host})


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:8000", "smtps.example.com.evil.org"])
def test_base_url_makes_other_hosts_refused(named: Flask, host: str) -> None:
    for path in ("/login", "/private/apps/findAll", "/static/icon.svg", "/healthz/", "/docs"):
        reply = ask(named, path, host)
        assert reply.status_code == 400, path
        assert "This host name is not served here." in reply.text
        assert host not in reply.text


@pytest.mark.parametrize("host", ["smtps.example.com", "SMTPS.example.com:8443"])
def test_base_url_lets_its_own_host_be_served_on_any_port(named: Flask, host: str) -> None:
    assert ask(named, "/private/apps/findAll", host).status_code == 401
    assert ask(named, "/docs", host).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probes_are_answered_under_the_address_of_the_machine(named: Flask, path: str) -> None:
    assert ask(named, path, "10.0.0.7:8000").status_code == 200


def test_host_that_a_trusted_proxy_passes_on_is_the_one_that_counts(
    database_url: str,
) -> None:
    app = create_app(
        settings_for(database_url, base_url="https://smtps.example.com", trusted_proxies=1)
    )
    for forwarded, status in (("smtps.example.com", 401), ("evil.example", 400), ("a..b", 400)):
        reply = app.test_client().get(
            "/private/apps/findAll",
            headers={"Host": "10.0.0.7", "X-Forwarded-Host": forwarded},
        )
        assert reply.status_code == status, forwarded
    with app.app_context():
        db.engine.dispose()
