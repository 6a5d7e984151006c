"""The shipped nginx.conf, in front of smtpweb as deployed: on a socket, behind TLS."""

from __future__ import annotations

import gzip
import http.client
import json
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from pathlib import Path

import pytest
import trustme
from sqlalchemy import create_engine, select

from smtpweb.__main__ import gunicorn
from smtpweb.config import ROOT
from smtpweb.database.models import FailedLogin
from tests.conftest import cannot_run
from tests.support.fake_smtp import Slowly, fake_smtp
from tests.support.guest import Guest
from tests.support.people import PASSWORD
from tests.support.serving import (
    clean_environment,
    database_of,
    flask,
    free_port,
    installation_settings,
    program,
)

NAME = "smtps.example.com"


@dataclass(frozen=True)
class Front:
    """nginx, as a client reaches it."""

    https: int
    http: int
    trust: ssl.SSLContext
    database: str  # its URL

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        source: str = "127.0.0.1",
        **headers: str,
    ) -> tuple[int, HTTPMessage, bytes]:
        with socket.create_connection(
            ("127.0.0.1", self.https), timeout=30, source_address=(source, 0)
        ) as raw:
            connection = http.client.HTTPSConnection(NAME)
            connection.sock = self.trust.wrap_socket(raw, server_hostname=NAME)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            reply = connection.getresponse()
            content = reply.read()
            connection.close()
            return reply.status, reply.headers, content


def shipped(folder: Path, https: int, http: int) -> str:
    """The shipped file with this test's ports and files; each of its own was there once."""
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for theirs, ours in {
        "unix:/run/smtpweb/http.sock": f"unix:{folder}/http.sock",
        "listen 80 default_server;": f"listen 127.0.0.1:{http} default_server;",
        "listen 443 ssl default_server;": f"listen 127.0.0.1:{https} ssl default_server;",
        "listen 80;": f"listen 127.0.0.1:{http};",
        "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
        "/etc/ssl/certs/smtps.example.com.pem": f"{folder}/server.pem",
        "/etc/ssl/private/smtps.example.com.key": f"{folder}/server.pem",
    }.items():
        assert text.count(theirs) == 1, theirs
        text = text.replace(theirs, ours)
    return text


def prepared(folder: Path) -> tuple[list[str], Front]:
    """The command that starts nginx with the shipped file, and how it will be reached."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if nginx is None:
        cannot_run("the program nginx is not installed")
    authority = trustme.CA()
    certificate = authority.issue_cert(NAME)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    https, plain = free_port(), free_port()
    (folder / "smtpweb.conf").write_text(shipped(folder, https, plain))
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;" if sys.platform == "linux" and Path(folder).owner() == "root" else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} pid {folder}/pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 100; }}\n"
        f"http {{ access_log off; {temporary} include {folder}/smtpweb.conf; }}\n"
    )
    command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return command, Front(https, plain, trust, database_of(folder))


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("nginx")
    command, reached = prepared(folder)
    settings = installation_settings(folder) | {
        "SMTPWEB_ENV": "production",
        "SMTPWEB_TRUSTED_PROXIES": "1",
        "SMTPWEB_BASE_URL": f"https://{NAME}",
        "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8",
        "SMTPWEB_EGRESS_PORTS": "*",
    }
    env = clean_environment(folder, **settings)
    flask(env, "db", "upgrade")
    account = ("ana", "--email", "ana@example.com", "--password-stdin")
    flask(env, "users", "create", *account, given=PASSWORD)
    serve = [*gunicorn(), "--bind", f"unix:{folder}/http.sock"]
    with (
        program(serve, env=env, log=folder / "smtpweb.log") as smtpweb,
        program(command, env=env, log=folder / "nginx.log") as running,
    ):
        smtpweb.wait_for(lambda: "smtpweb is ready" in smtpweb.output)
        running.wait_for(lambda: (folder / "pid").exists())
        yield reached


def test_page_comes_back_by_itself_while_smtpweb_is_away(tmp_path: Path) -> None:
    """Without scripts a page that refreshes itself must not end at an error."""
    command, front = prepared(tmp_path)
    with program(command, env=clean_environment(tmp_path), log=tmp_path / "nginx.log") as running:
        running.wait_for(lambda: (tmp_path / "pid").exists())
        status, headers, body = front.request("GET", "/checks/0123456789abcdef01234567")
        assert (status, headers["Refresh"]) == (503, "5")
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert b"reloads by itself" in body
        status, headers, _ = front.request("POST", "/apps/new", b"name=shop")
        assert (status, headers["Refresh"]) == (503, None)  # what was sent is not sent again
        status, headers, _ = front.request("GET", "/private/apps/findAll")
        assert (status, headers["Content-Type"]) == (503, "application/problem+json")


def test_compression_is_for_what_holds_no_secret(front: Front) -> None:
    for path in ("/bootstrap/static/css/bootstrap.min.css", "/static/smtpweb.css", "/openapi.json"):
        _, plain, whole = front.request("GET", path)
        status, headers, body = front.request("GET", path, accept_encoding="gzip")
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert gzip.decompress(body) == whole
        assert len(body) < len(whole) / 3
        assert "Accept-Encoding" in headers["Vary"] and "Accept-Encoding" in plain["Vary"]
        assert "Content-Encoding" not in plain
    _, headers, _ = front.request("GET", "/login", accept_encoding="gzip")
    assert "Content-Encoding" not in headers


@pytest.mark.parametrize(
    "path", ["/metrics", "/metrics/", "/metrics?x=1", "//metrics", "/%6detrics"]
)
def test_figures_are_for_this_machine_alone(front: Front, path: str) -> None:
    status, _, body = front.request("GET", path, source="127.0.0.9")  # not one of those allowed
    assert status == 403
    assert b"smtpweb_" not in body


def test_figures_are_readable_from_this_machine(front: Front) -> None:
    status, _, body = front.request("GET", "/metrics")
    assert status == 200
    assert b"smtpweb_storage_reachable 1" in body


def test_service_writes_no_core_dumps_and_lets_nobody_else_read_its_files() -> None:
    unit = (ROOT / "deploy" / "smtpweb.service").read_text().splitlines()
    assert {"LimitCORE=0", "UMask=0077"} <= set(unit)


def test_errors_of_the_api_pass_as_json(front: Front) -> None:
    status, headers, body = front.request("GET", "/private/apps/findAll?page=0&size=1")
    assert (status, headers["Content-Type"]) == (401, "application/problem+json")
    assert headers["WWW-Authenticate"] == "Bearer"
    assert json.loads(body)["title"] == "User not authorized"
    assert headers["Strict-Transport-Security"]  # the app knows that it is behind https
    assert headers["Server"] == "nginx"


@pytest.mark.parametrize("path", ["/private/smtps/save", "/auth/login", "/api/auth/login"])
@pytest.mark.parametrize("size", [1024 * 1024 + 1, 3 * 1024 * 1024])
def test_body_over_the_limit_is_refused_in_json(front: Front, path: str, size: int) -> None:
    status, headers, body = front.request("POST", path, b"a" * size)
    assert (status, headers["Content-Type"]) == (413, "application/problem+json")
    assert json.loads(body)["status"] == 413


def test_stages_of_a_check_pass_as_they_happen(front: Front) -> None:
    replies = {"EHLO": Slowly(2.0, "250 fake.example.com")}
    with fake_smtp(replies=replies) as smtp:
        guest = Guest(f"https://{NAME}", front.https, front.trust)
        guest.send("/login", name="ana", password=PASSWORD)
        page = guest.check(guest.register(smtp))
        with guest.open("GET", f"{page}/progress") as reply:
            assert reply.headers["Content-Type"].startswith("text/event-stream")
            lines = iter(reply)
            assert next(lines) == b"event: stages\n"
            assert smtp.mails == []  # told while the server was still thinking
            assert b"event: end\n" in lines
        assert len(smtp.mails) == 1
    assert f"https://{NAME}/received/".encode() in smtp.mails[0][2]


def test_body_over_the_limit_on_a_page_is_refused(front: Front) -> None:
    assert front.request("POST", "/login", b"a" * 2_000_000)[0] == 413


def networks_of_failed_logins(front: Front) -> set[str]:
    engine = create_engine(front.database)
    with engine.connect() as connection:
        found = set(connection.execute(select(FailedLogin.network)).scalars())
    engine.dispose()
    return found


def test_forwarded_headers_of_a_client_are_replaced(front: Front) -> None:
    """Else each guess of a password would come from another network."""
    for address in ("203.0.113.7", "198.51.100.8, 203.0.113.9"):
        status, _, _ = front.request(
            "POST",
            "/auth/login",
            b"username=ana&password=guess",
            X_Forwarded_For=address,
            X_Forwarded_Proto="http",
            X_Forwarded_Host="evil.example",
            Forwarded=f"for={address}",
            Content_Type="application/x-www-form-urlencoded",
        )
        assert status == 403
    assert networks_of_failed_logins(front) == {"127.0.0.0/24"}


def test_links_and_cookies_are_those_of_the_public_name(front: Front) -> None:
    status, headers, _ = front.request("GET", "/login", X_Forwarded_Host="evil.example")
    assert status in (200, 302, 303)
    assert "evil.example" not in str(headers)
    for cookie in headers.get_all("Set-Cookie", []):
        assert cookie.startswith("__Host-smtpweb=")
        assert "Secure" in cookie
        assert "HttpOnly" in cookie


def held_back(front: Front, path: str) -> tuple[int, HTTPMessage, bytes] | None:
    """The reply of the limit to one of many logins in a row; None if none was held back."""
    for _ in range(60):
        reply = front.request("POST", path, b"")
        if reply[0] == 429:
            return reply
    return None


# No fixed order is needed: once the limit is reached, it stays so for longer than these take
LOGINS = [
    "/auth/login", "/auth/login/", "/auth/login?a=b", "/auth/login/?a=b", "/auth/login//",
    "/api/auth/login", "/api/auth/login/", "/api/auth/login//", "//auth/login",
    "//api//auth//login/",
    "/%61uth/login", "/auth%2flogin", "/auth/login%2F", "/auth/./login", "/x/../auth/login/",
    "/api/%2e/auth/login", "/api/x/%2e%2e/auth/login/", "/auth/%6Cogin/#x",
]  # fmt: skip
PAGES = [
    "/login", "/login/", "/login?next=/apps", "/login//", "//login", "/%6cogin", "/login%2f",
    "/./login/", "/x/../login", "/setup", "/setup/", "//setup", "/%73etup%2F",
]  # fmt: skip


@pytest.mark.parametrize("path", LOGINS)
def test_logins_in_a_row_are_held_back_in_json(front: Front, path: str) -> None:
    reply = held_back(front, path)
    assert reply is not None
    status, headers, body = reply
    assert (status, headers["Content-Type"]) == (429, "application/problem+json")
    assert int(headers["Retry-After"]) > 0
    assert json.loads(body)["code"] == "TOO_MANY_REQUESTS"


@pytest.mark.parametrize("path", PAGES)
def test_logins_on_a_page_are_held_back(front: Front, path: str) -> None:
    assert held_back(front, path) is not None


@pytest.mark.parametrize("path", ["/private/apps/findAll", "/apps", "/loginx", "/auth/loginx"])
def test_requests_other_than_logins_do_not_count_as_logins(front: Front, path: str) -> None:
    assert held_back(front, path) is None


def test_plain_http_redirects_pages_and_not_the_api(front: Front) -> None:
    def get(path: str, host: str = NAME) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", front.http)
        connection.request("GET", path, headers={"Host": host})
        reply = connection.getresponse()
        reply.read()
        connection.close()
        return reply

    reply = get("/apps?page=2")
    assert (reply.status, reply.headers["Location"]) == (301, f"https://{NAME}/apps?page=2")
    assert get("/private/apps/findAll").status == 403
    assert get("/api/auth/login").status == 403
    with pytest.raises(http.client.RemoteDisconnected):
        get("/apps", host="evil.example")
