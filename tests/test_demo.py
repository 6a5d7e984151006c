"""``make demo``, really started: each sandbox server shows what it is there for."""

from __future__ import annotations

import email
import email.policy
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from smtpweb.config import ROOT
from smtpweb.database import secret_box
from tests.support.serving import Program, clean_environment, free_port, fresh_clone, program

OUTCOMES = {
    "Delivers": (200, "", ""),
    "Wrong password": (406, "auth", "SMTP_AUTH_WRONG_CREDENTIALS"),
    "Wrong port": (
        406,
        "connect",
        "SMTP_CONNECT_REFUSED",
    ),
    "Wrong encryption": (406, "tls", "SMTP_TLS_NOT_SPOKEN"),
    "Certificate expired": (406, "starttls", "SMTP_TLS_CERTIFICATE_EXPIRED"),
    "No STARTTLS": (406, "starttls", "SMTP_STARTTLS_NOT_OFFERED"),
    "Refuses to relay": (406, "rcpt", "SMTP_RCPT_RELAY_DENIED"),
    "Never answers": (406, "greeting", "SMTP_GREETING_SILENT"),
}


class Client:
    """The demo's API, signed in with what the console says."""

    def __init__(self, demo: Program) -> None:
        found = re.search(r"at (http://\S+) as (\S+) with the password (\S+)", demo.output)
        assert found
        self.url, name, self.password = found.groups()
        self.token = ""
        self.token = self.call("/auth/login", username=name, password=self.password)[1]["token"]

    def call(self, path: str, *, get: bool = False, **parameters: object) -> tuple[int, Any]:
        sent = urllib.parse.urlencode(parameters)
        request = urllib.request.Request(
            self.url + path + ("?" + sent if get else ""), None if get else sent.encode()
        )
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                return reply.status, json.loads(reply.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fresh_clone(tmp_path_factory.mktemp("demo"))


@contextmanager
def running_demo(clone: Path, folder: Path) -> Iterator[Program]:
    # A setting of the installation beside it: the demo must not touch what it names.
    env = clean_environment(
        folder,
        SMTPWEB_DATABASE_URL=f"sqlite:///{folder / 'precious.db'}",
        SMTPWEB_ENCRYPTION_KEYS=secret_box.new_key(),
    )
    command = ["make", "demo", f"PORT={free_port()}"]
    with program(command, env=env, cwd=clone, log=folder / "log") as running:
        running.wait_for(lambda: "smtpweb is ready" in running.output)
        yield running
    assert not (folder / "precious.db").exists()


@pytest.fixture(scope="module")
def demo(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running_demo(clone, tmp_path_factory.mktemp("running")) as running:
        yield running


def test_sandbox_server_shows_its_failure(demo: Program, clone: Path) -> None:
    client = Client(demo)
    _, shop = client.call("/private/apps/findAll", get=True, page=0, size=10)[1]["content"]
    assert shop["name"] == "Demo shop"
    _, smtps = client.call("/private/smtps/findByApp", get=True, idapp=shop["_id"])
    seen, proposed = {}, {}
    for smtp in smtps:
        shows = smtp["name"]
        assert f"127.0.0.1:{smtp['port']}" in demo.output
        status, problem = client.call("/private/smtps/check", idsmtp=smtp["_id"])
        proposed[shows] = (smtp["port"], (problem or {}).get("alternatives", []))
        seen[shows] = (status, (problem or {}).get("stage", ""), (problem or {}).get("code", ""))
    expected = dict(OUTCOMES)
    if proposed["Delivers"][0] == 2525:  # a usual port: the check of the same host finds it
        for shows in ("Wrong port", "Never answers"):
            expected[shows] = (*OUTCOMES[shows][:2], "SMTP_CONNECT_OTHER_MODE_WORKS")
    elif "SMTP_CONNECT_LOCALHOST_IN_CONTAINER" in seen["Wrong port"]:
        expected["Wrong port"] = (406, "connect", "SMTP_CONNECT_LOCALHOST_IN_CONTAINER")
    assert seen == expected
    received = "Email for test@example.com from shop@example.com: [smtpweb] Demo shop"
    assert demo.output.count(received) == 1

    # The console stands for the mailbox.
    (link,) = re.findall(r"Confirm delivery at (http://\S+/received/\S+)", demo.output)
    with urllib.request.urlopen(link, timeout=30) as reply:
        assert "I received this email" in reply.read().decode()

    # The way from red to green is in what the check says.
    own, modes = proposed["Wrong encryption"]
    assert {"port": own, "encryption": "starttls"} in modes
    usual, _ = proposed["Delivers"]
    if usual == 2525:  # else another program has it
        for shows in ("Wrong port", "Certificate expired", "Never answers"):
            assert proposed[shows][1] == [{"port": 2525, "encryption": "starttls"}]

    # No other port of this machine may be reached.
    smtp = client.call(
        "/private/smtps/save", idapp=shop["_id"], host="127.0.0.1", port=2587
    )[1]  # fmt: skip
    status, problem = client.call("/private/smtps/check", idsmtp=smtp["_id"])
    assert (status, problem["stage"]) == (406, "policy")

    assert [entry.name for entry in (clone / "instance").iterdir()] == ["demo"]


def test_demo_ends_by_ctrl_c_and_the_next_one_keeps_other_apps(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clone = fresh_clone(tmp_path_factory.mktemp("twice"))
    with running_demo(clone, tmp_path_factory.mktemp("first")) as first:
        client = Client(first)
        client.call("/private/apps/save", name="my own")
        ports = [int(port) for port in re.findall(r"127\.0\.0\.1:(\d+) ", first.output)]
        first.interrupt()
        assert "Traceback" not in first.output
        assert "The demo has stopped." in first.output
        for port in [*ports, int(client.url.rsplit(":", 1)[1])]:
            with pytest.raises(OSError, match="refused"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}")
    with running_demo(clone, tmp_path_factory.mktemp("again")) as again:
        found = Client(again).call("/private/apps/findAll", get=True, page=0, size=10)[1]
        assert [app["name"] for app in found["content"]] == [
            "Demo newsletter",
            "Demo shop",
            "my own",
        ]


def commands_of_readme() -> list[str]:
    """The commands of the session by curl, in the order in which a newcomer types them."""
    text = (ROOT / "README.md").read_text()
    block = text.split("### With curl", 1)[1].split("```console\n", 1)[1].split("```", 1)[0]
    return [line[2:] for line in block.splitlines() if line.startswith("$ ")]


def test_session_of_the_readme_works_as_it_stands_there(demo: Program, tmp_path: Path) -> None:
    client = Client(demo)
    known = {
        "URL": client.url,
        "PASSWORD": client.password,
        "PORT": re.findall(r"127\.0\.0\.1:(\d+) +Delivers", demo.output)[0],
    }
    said: list[str] = []
    for command in commands_of_readme():
        name, is_assignment, _ = command.partition("=")
        if is_assignment and name.isupper():
            if name not in known:  # the reader copies it from the answer above
                answer = json.loads(said[-1])
                known[name] = answer["token" if name == "TOKEN" else "_id"]
            continue
        ended = subprocess.run(
            ["bash", "-c", command],
            env=clean_environment(tmp_path) | known,
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(ended.stdout)
    answers: list[Any] = [text if text == "200\n" else json.loads(text) for text in said]
    _, app, smtp, failed, mended, accepted, listed = answers
    assert app["name"] == "newsletter"
    assert smtp["status"] == "A"
    assert failed["title"] == "Wrong user name or password"
    assert (mended["status"], mended["numerrors"]) == ("D", 1)
    assert accepted == "200\n"
    assert [(one["status"], one["numerrors"]) for one in listed] == [("A", 0)]


def test_server_breaks_its_alarm_arrives_and_it_recovers(demo: Program, clone: Path) -> None:
    """Nothing is configured: the alarm goes to the account, through the server that still works."""
    for said in ("stopped working (Demo newsletter)", "works again (Demo newsletter)"):
        until = time.monotonic() + 300
        while said not in demo.output:
            assert time.monotonic() < until, demo.output
            time.sleep(1)
        (line,) = [line for line in demo.output.splitlines() if said in line]
        assert line.startswith("Email for demo@example.com from newsletter@example.com: ")
    mails = sorted((clone / "instance/demo/mailbox").glob("*.eml"))
    parsed = [email.message_from_bytes(m.read_bytes(), policy=email.policy.default) for m in mails]
    texts = [mail.get_content() for mail in parsed]
    lost, recovered = [text for text in texts if "of the app Demo newsletter" in text]
    assert "Wrong user name or password" in lost and "In use: Delivers" in lost
    assert "is active again" in recovered
