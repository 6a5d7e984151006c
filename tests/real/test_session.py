"""From login to removal by curl, against gunicorn as deployed and a real Postfix."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import cannot_run
from tests.real.postfix import LOGIN, MAILBOX, PASSWORD, Postfix, postfix
from tests.support.serving import (
    Program,
    clean_environment,
    flask,
    installation_settings,
    smtpweb_server,
)

ACCOUNT_PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def server() -> Iterator[Postfix]:
    with postfix() as running:
        yield running


@pytest.fixture(scope="module")
def served(
    server: Postfix, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Program]]:
    folder = tmp_path_factory.mktemp("session")
    settings = installation_settings(folder) | {
        "SMTPWEB_CA_FILE": str(server.ca_file),
        "SMTPWEB_EGRESS_ALLOW": f"127.0.0.1/32:{server.port}",
    }
    with smtpweb_server(folder, **settings) as running:
        flask(
            clean_environment(folder, **settings),
            "users", "create", "ana", "--email", MAILBOX, "--password-stdin",
            given=ACCOUNT_PASSWORD,
        )  # fmt: skip
        yield running


@dataclass
class Curl:
    """The real curl, as in the README."""

    url: str
    folder: Path
    token: str = ""

    def __call__(self, path: str, *, get: bool = False, **parameters: object) -> tuple[int, Any]:
        answer = self.folder / "answer"
        command = ["curl", "--silent", "--show-error", "--output", str(answer)]
        command += ["--write-out", "%{http_code}", *(["--get"] if get else [])]
        if self.token:
            command += ["--header", f"Authorization: Bearer {self.token}"]
        for name, value in parameters.items():
            command += ["--data-urlencode", f"{name}={value}"]
        ended = subprocess.run(
            [*command, self.url + path], capture_output=True, text=True, check=True
        )
        body = answer.read_text()
        return int(ended.stdout), json.loads(body) if body else None


@pytest.fixture
def curl(served: tuple[str, Program], tmp_path: Path) -> Curl:
    if not shutil.which("curl"):
        cannot_run("the program curl is not installed")
    client = Curl(served[0], tmp_path)
    status, session = client("/auth/login", username="ana", password=ACCOUNT_PASSWORD)
    assert (status, session["username"]) == (200, "ana")
    client.token = session["token"]
    return client


def smtp_of(server: Postfix, **changes: Any) -> dict[str, Any]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "auth": True,
        "starttls": True,
        "username": LOGIN,
        "password": PASSWORD,
        "defaultfromemail": "shop@example.com",
        "defaultfromname": "La Tienda ñ",
    } | changes


@pytest.mark.parametrize("base", ["", "/api"])
def test_whole_session_ends_with_a_mail_in_the_mailbox(
    curl: Curl, server: Postfix, base: str
) -> None:
    curl.url += base
    status, app = curl("/private/apps/save", name=f"shop{base}", testemail=MAILBOX)
    assert status == 200
    status, smtp = curl("/private/smtps/save", idapp=app["_id"], **smtp_of(server))
    assert (status, smtp["status"], smtp["numerrors"]) == (200, "A", 0)

    assert curl("/private/smtps/findByApp", get=True, idapp=app["_id"]) == (200, [smtp])
    assert curl("/private/smtps/findById", get=True, idsmtp=smtp["_id"]) == (200, smtp)
    assert smtp["password"] == PASSWORD

    before = server.mails()
    assert curl("/private/smtps/check", idsmtp=smtp["_id"]) == (200, None)
    mail = server.next_mail(before)
    assert mail["From"].addresses[0].addr_spec == "shop@example.com"
    assert mail["From"].addresses[0].display_name == "La Tienda ñ"
    assert mail["To"].addresses[0].addr_spec == MAILBOX
    assert mail["Auto-Submitted"] == "auto-generated"
    # Postfix's own account of how the mail came.
    assert "ESMTPSA" in mail["Received"]

    assert curl("/private/smtps/remove", idsmtp=smtp["_id"]) == (200, None)
    assert curl("/private/smtps/findByApp", get=True, idapp=app["_id"]) == (200, [])
    status, problem = curl("/private/smtps/findById", get=True, idsmtp=smtp["_id"])
    assert (status, problem["title"]) == (406, "SMTP not found")


@pytest.mark.parametrize(
    ("smtp_changes", "testemail", "stage", "code", "reply"),
    [
        ({"password": "open barley"}, MAILBOX, "auth", "SMTP_AUTH_WRONG_CREDENTIALS", "535 5.7.8"),
        ({}, "nobody@example.com", "rcpt", "SMTP_RCPT_UNKNOWN", "550 5.1.1"),
        ({"auth": False}, "someone@example.org", "rcpt", "SMTP_RCPT_RELAY_DENIED", "554 5.7.1"),
        ({"starttls": False, "ssltls": True}, MAILBOX, "tls", "SMTP_TLS_NOT_SPOKEN", None),
    ],
)
def test_refusal_by_postfix_is_named_with_its_own_words(
    curl: Curl,
    served: tuple[str, Program],
    server: Postfix,
    smtp_changes: dict[str, object],
    testemail: str,
    stage: str,
    code: str,
    reply: str | None,
) -> None:
    _, app = curl("/private/apps/save", name=f"refused: {code}", testemail=testemail)
    _, smtp = curl("/private/smtps/save", idapp=app["_id"], **smtp_of(server, **smtp_changes))
    before = server.mails().keys()
    status, problem = curl("/private/smtps/check", idsmtp=smtp["_id"])
    assert (status, problem["stage"], problem["code"]) == (406, stage, code)
    if reply:
        said = problem["reply"]
        assert f"{said['code']} {said['enhanced']}" == reply
    assert problem["advice"]
    assert server.mails().keys() == before
    _, smtp = curl("/private/smtps/findById", get=True, idsmtp=smtp["_id"])
    assert (smtp["status"], smtp["numerrors"]) == ("D", 1)
    assert smtp["password"] not in served[1].output
