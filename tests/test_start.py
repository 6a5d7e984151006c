"""``make run`` and gunicorn, as a newcomer and an administrator meet them."""

from __future__ import annotations

import http.client
import json
import logging
import os
import re
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from smtpweb import config, logs
from smtpweb.__main__ import gunicorn
from smtpweb.config import ROOT
from smtpweb.database import secret_box
from smtpweb.database.session import db
from smtpweb.errors import ConfigError
from tests.support.serving import (
    Program,
    clean_environment,
    flask,
    free_port,
    fresh_clone,
    installation_settings,
    program,
    smtpweb_server,
)

PASSWORD = "correct horse battery staple"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    return fresh_clone(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Program]]:
    with smtpweb_server(tmp_path_factory.mktemp("served")) as found:
        yield found


@pytest.fixture
def served(server: tuple[str, Program]) -> str:
    return server[0]


@pytest.fixture
def log_of_served(server: tuple[str, Program]) -> Program:
    return server[1]


def _asks_for_code(starter: Program) -> bool:
    return "enter the code" in starter.output


def login(url: str) -> dict[str, str]:
    body = f"username=ana&password={PASSWORD.replace(' ', '+')}".encode()
    with urllib.request.urlopen(f"{url}/auth/login", body) as reply:
        answer: dict[str, str] = json.load(reply)
        return answer


def refusal(command: list[str], env: dict[str, str], cwd: Path = ROOT) -> str:
    """What a program that must refuse to start says; it may not be a traceback."""
    ended = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert ended.stdout == ""
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, ended.stderr
    return lines[0]


def test_make_run_serves_and_a_second_one_loses_nothing(clone: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = clean_environment(tmp_path)
    make_run = ["make", "run", f"PORT={port}"]
    with program(make_run, env=env, cwd=clone, log=tmp_path / "first") as first:
        first.wait_for(lambda: "enter the code" in first.output)
        assert f"smtpweb is ready at {url}\n" in first.output
        assert re.search(rf"open {url}/setup and enter the code [A-Z2-7-]{{14}}\n", first.output)
        instance = clone / "instance"
        assert stat.S_IMODE(instance.stat().st_mode) == 0o700
        assert stat.S_IMODE((instance / "encryption_keys").stat().st_mode) == 0o600
        assert stat.S_IMODE((instance / "secret_key").stat().st_mode) == 0o600
        assert stat.S_IMODE((instance / "smtpweb.db").stat().st_mode) == 0o600
        flask(
            env, "users", "create", "ana", "--email", "ana@example.com", "--password-stdin",
            given=PASSWORD, cwd=clone,
        )  # fmt: skip
        token = login(url)["token"]
        first.interrupt()
        assert "Traceback" not in first.output
    with program(make_run, env=env, cwd=clone, log=tmp_path / "second") as second:
        second.wait_for(lambda: "smtpweb is ready" in second.output)
        assert "code" not in second.output
        request = urllib.request.Request(f"{url}/private/apps/findAll?page=0&size=10")
        request.add_header("Authorization", f"Bearer {token}")
        with urllib.request.urlopen(request) as reply:
            assert reply.status == 200
        assert login(url)["username"] == "ana"


def test_starters_on_an_empty_folder_agree_on_keys_and_schema(clone: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        starters = [
            stack.enter_context(
                program(
                    [sys.executable, "-m", "smtpweb"],
                    env=clean_environment(tmp_path, PORT=str(free_port())),
                    cwd=clone,
                    log=tmp_path / f"starter{number}",
                )
            )
            for number in range(3)
        ]
        for starter in starters:
            starter.wait_for(partial(_asks_for_code, starter))
        codes = {re.findall("enter the code (.*)", starter.output)[0] for starter in starters}
        assert len(codes) == 1  # made from the secret key, which is one for all


def test_port_in_use_is_named_in_one_sentence(clone: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refusal(["make", "run", f"PORT={port}"], clean_environment(tmp_path), clone)
    assert f"Cannot listen on 127.0.0.1:{port} (Address already in use)" in said
    assert "such as PORT=8001" in said
    assert not (clone / "instance").exists()


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1", "80 80", "٣"])
def test_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(ConfigError, match="PORT must be a whole number from 1 to 65535"):
        config.web_port({"PORT": port})


def test_machine_without_a_suitable_python_gets_instructions(clone: Path, tmp_path: Path) -> None:
    (clone / ".venv").rename(clone / "set aside")
    said = refusal(["make", "run", "PYTHON=/bin/false"], clean_environment(tmp_path), clone)
    assert "Python 3.11 or newer" in said
    assert "apt install python3-venv" in said
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTPWEB_ENCRYPTION_KEYS", "not a key"),
        ("SMTPWEB_EGRESS_ALLOW", "10.0.0.0/99"),
    ],
)
def test_wrong_setting_stops_the_start_with_one_sentence_naming_it(
    tmp_path: Path, name: str, value: str
) -> None:
    settings = installation_settings(tmp_path) | {name: value}
    said = refusal(gunicorn(), clean_environment(tmp_path, PORT=str(free_port()), **settings))
    assert said.startswith("smtpweb: ")
    assert name in said


def test_production_start_without_a_secret_key_is_refused(tmp_path: Path) -> None:
    settings = installation_settings(tmp_path) | {"SMTPWEB_ENV": "production"}
    del settings["SMTPWEB_SECRET_KEY"]
    said = refusal(gunicorn(), clean_environment(tmp_path, **settings))
    assert "SMTPWEB_SECRET_KEY is required" in said


def test_database_without_the_newest_schema_stops_the_start(tmp_path: Path) -> None:
    env = clean_environment(tmp_path, **installation_settings(tmp_path))
    assert "flask --app wsgi db upgrade" in refusal(gunicorn(), env)


def test_database_that_is_away_stops_the_start_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://smtpweb:hunter22@127.0.0.1:{free_port()}/smtpweb"
    settings = installation_settings(tmp_path) | {"SMTPWEB_DATABASE_URL": url}
    for command in (gunicorn(), [sys.executable, "-m", "smtpweb"]):
        port = str(free_port())
        said = refusal(command, clean_environment(tmp_path, PORT=port, **settings))
        assert "refused" in said
        assert "hunter22" not in said


def test_keys_that_do_not_open_the_database_stop_the_start(tmp_path: Path) -> None:
    settings = installation_settings(tmp_path)
    with smtpweb_server(tmp_path, **settings):
        pass
    settings["SMTPWEB_ENCRYPTION_KEYS"] = secret_box.new_key()
    said = refusal(gunicorn(), clean_environment(tmp_path, PORT=str(free_port()), **settings))
    assert "SMTPWEB_ENCRYPTION_KEYS has no key that opens this database" in said


# --- gunicorn, served once for all of these --------------------------------------------------


def exchange(url: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these very bytes on a connection, read one reply."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(request)
        reply = http.client.HTTPResponse(connection)
        reply.begin()
        return reply.status, dict(reply.getheaders()), reply.read()


def test_connection_can_be_used_again_after_a_pause(served: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(served).netloc)
    connection.request("GET", "/private/apps/findAll")
    connection.getresponse().read()
    first = connection.sock
    time.sleep(1.5)
    connection.request("GET", "/private/apps/findAll")
    assert connection.getresponse().status == 401
    assert connection.sock is first
    connection.close()


@pytest.mark.parametrize(
    ("path", "expected"), [("//private/apps/findAll", 401), ("/api//private/apps/findAll", 404)]
)
def test_address_with_too_many_slashes_is_not_redirected(
    served: str, path: str, expected: int
) -> None:
    status, headers, _ = exchange(
        served, f"GET {path}?page=0&size=1 HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode()
    )
    assert (status, headers["Content-Type"]) == (expected, "application/problem+json")


LOGIN = (
    b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nusername=a\r\n0\r\n\r\n",
        b"5\r\nuser!name\r\n0\r\n\r\n",
        b"-5\r\nusername=a\r\n0\r\n\r\n",
        b"5;\x01\r\nuser=\r\n0\r\n\r\n",
    ],
)
def test_badly_chunked_body_is_a_bad_request(served: str, body: bytes) -> None:
    status, headers, _ = exchange(served, LOGIN + b"Transfer-Encoding: chunked\r\n\r\n" + body)
    assert status == 400
    assert headers["Content-Type"] == "application/problem+json"


def test_body_over_the_limit_is_refused_with_and_without_a_length(served: str) -> None:
    size = 2 * 1024 * 1024
    body = b"username=" + b"a" * (size - 9)
    status, headers, reply = exchange(served, LOGIN + b"Content-Length: %d\r\n\r\n" % size + body)
    assert (status, headers["Content-Type"]) == (413, "application/problem+json")
    assert json.loads(reply)["status"] == 413
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body)
    assert exchange(served, LOGIN + chunked)[0] == 413


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: \x1b[2J\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ],
)
def test_headers_out_of_bounds_are_refused(served: str, request_head: bytes, status: int) -> None:
    assert exchange(served, request_head)[0] == status


def test_headers_that_only_a_proxy_may_set_count_for_nothing_without_one(served: str) -> None:
    status, headers, _ = exchange(
        served,
        b"GET /private/apps/findAll HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n"
        b"X-Forwarded-Ssl: on\r\nScript-Name: /evil\r\nPath-Info: /evil\r\n\r\n",
    )
    assert status == 401
    assert "Strict-Transport-Security" not in headers  # sent over https only


def test_log_of_a_production_server_is_json_without_controls(tmp_path: Path) -> None:
    with smtpweb_server(
        tmp_path, SMTPWEB_ENV="production", SMTPWEB_BASE_URL="https://smtps.example.com"
    ) as (url, served):
        exchange(url, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: \x1b[2J\x9b\r\n\r\n")
        served.wait_for(lambda: "Invalid request" in served.output)
        assert "ready at https://smtps.example.com\n" in served.output
        lines = [line for line in served.output.splitlines() if line.startswith("{")]
        assert any("Invalid request" in json.loads(line)["message"] for line in lines)
        assert re.fullmatch(r"[\x20-\x7e\n]*", served.output)


@pytest.mark.parametrize(
    "request_head",
    [
        b"POST /private/smtps/save?host=h&password=hunter 22 HTTP/1.1\r\nHost: x",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer hunter",
        b"username=ana&password=hunter",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: hunter",
    ],
)
def test_log_does_not_repeat_a_request_that_cannot_be_read(
    log_of_served: Program, served: str, request_head: bytes
) -> None:
    before = log_of_served.output.count("Invalid request")
    assert exchange(served, request_head + b"\r\n\r\n")[0] >= 400
    log_of_served.wait_for(lambda: log_of_served.output.count("Invalid request") > before)
    assert "hunter" not in log_of_served.output
    assert "22 HTTP" not in log_of_served.output


def test_log_does_not_repeat_the_query_of_a_request_that_fails() -> None:
    record = logging.LogRecord(
        "gunicorn.error",
        logging.ERROR,
        "",
        0,
        "Error handling request %s",
        ("/a?b=hunter22",),
        None,
    )
    assert logs.WithoutRequests().filter(record)
    assert record.getMessage() == "Error handling request /a"


def test_record_cannot_forge_another_one_or_command_a_terminal() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "a\n2026 ERROR b\r\x1b[2J\x85", (), None)
    text = logs.Text().format(record)
    assert text.endswith(r"a" + "\n    " + r"2026 ERROR b\x0d\x1b[2J\x85")
    assert json.loads(logs.Json().format(record))["message"] == record.getMessage()
    assert "\n" not in logs.Json().format(record)


# --- lock files ------------------------------------------------------------------------------


def pins(name: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    assert "index-url" not in text
    assert "://" not in text
    entries = re.findall(r"^(\S+)==(\S+)((?:[^\n]*\\\n)*[^\n]*)", text, re.MULTILINE)
    assert all("--hash=sha256:" in rest for _, _, rest in entries)
    return {package: version for package, version, _ in entries}


def test_lock_files_agree_and_each_holds_the_smaller_one() -> None:
    run, demo, dev = pins("run"), pins("demo"), pins("dev")
    assert run
    assert run.items() < demo.items() < dev.items()


def test_make_help_lists_every_public_target() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^make (\w+)\t", said.stdout, re.MULTILINE))
    assert {"run", "demo", "test", "check", "lock", "help"} <= listed
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_error_of_the_database_does_not_show_what_was_to_be_stored(inside: None) -> None:
    with pytest.raises(DBAPIError) as caught:
        db.session.execute(text("SELECT :secret FROM nowhere"), {"secret": "hunter22"})
    assert "hunter22" not in str(caught.value)
    db.session.rollback()
