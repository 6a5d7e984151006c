"""The administrator's commands, by their exit status and by what they print."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select, update

from smtpweb.app import create_app
from smtpweb.config import ROOT, Settings
from smtpweb.database.models import ApiToken, Smtp, User
from smtpweb.database.secret_box import new_key
from smtpweb.database.session import db
from smtpweb.extensions import services
from tests.conftest import KEY, settings_for
from tests.support.fake_smtp import fake_smtp
from tests.support.people import PASSWORD, Person, Visitor
from tests.support.serving import clean_environment, installation_settings

NEW_PASSWORD = "seven purple elephants dancing"


def flask(app: Flask, *words: str, given: str = "") -> Result:
    result = app.test_cli_runner().invoke(args=words, input=given)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def mistake(app: Flask, *words: str, given: str = "") -> str:
    """The one sentence that a mistake is answered with."""
    result = flask(app, *words, given=given)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    assert len([line for line in lines if not re.match("Usage:|Try |$", line)]) == 1, lines
    return lines[-1]


def sign_in(app: Flask, name: str, password: str) -> int:
    return Visitor(app).post("/auth/login", username=name, password=password).status_code


# --- users and tokens ----------------------------------------------------------------------


def test_user_that_was_made_can_sign_in(app: Flask) -> None:
    made = flask(
        app, "users", "create", "Ana", "--email", "ana@example.com", "--password-stdin",
        given=PASSWORD + "\n",
    )  # fmt: skip
    assert (made.exit_code, made.stdout) == (0, "User Ana created.\n")
    assert sign_in(app, "ana", PASSWORD) == 200
    reply = Visitor(app).post("/auth/login", username="ana", password=PASSWORD)
    assert reply.json["role"] == "USER"


def test_administrator_can_be_made(app: Flask) -> None:
    flask(
        app, "users", "create", "root", "--email", "a@example.com", "--admin", "--password-stdin",
        given=PASSWORD,
    )  # fmt: skip
    reply = Visitor(app).post("/auth/login", username="root", password=PASSWORD)
    assert reply.json["role"] == "ADMIN"


@pytest.mark.parametrize(
    ("words", "given", "said"),
    [
        (["bob", "--email", "nowhere", "--password-stdin"], PASSWORD, "email"),
        (["bob", "--email", "b@example.com", "--password-stdin"], "short", "10 characters"),
        (["bob", "--email", "b@example.com", "--password-stdin"], "", "10 characters"),
        (["bob", "--email", "b@example.com", "--password-stdin"], "1234567890", "easy to guess"),
        (["bo\nb", "--email", "b@example.com", "--password-stdin"], PASSWORD, "control"),
        (["ALICE", "--email", "b@example.com", "--password-stdin"], PASSWORD, "taken"),
        (["bob", "--email", "b@example.com"], PASSWORD, "--password-stdin"),
        (["bob", "--password-stdin"], PASSWORD, "--email"),
    ],
)
def test_user_that_cannot_be_created_is_refused_with_the_reason(
    app: Flask, alice: Person, words: list[str], given: str, said: str
) -> None:
    assert said in mistake(app, "users", "create", *words, given=given)
    with app.app_context():
        assert db.session.scalars(select(User.name)).all() == ["alice"]


def test_new_password_ends_sessions_and_tokens(app: Flask, alice: Person) -> None:
    done = flask(app, "users", "password", "Alice", "--password-stdin", given=NEW_PASSWORD)
    assert done.exit_code == 0
    assert sign_in(app, "alice", PASSWORD) == 403
    assert sign_in(app, "alice", NEW_PASSWORD) == 200
    assert alice.get("/private/apps/findAll", page=0, size=1).status_code == 403


def test_password_of_an_unknown_user_is_a_usage_error(app: Flask) -> None:
    said = mistake(app, "users", "password", "zoe", "--password-stdin", given=NEW_PASSWORD)
    assert "There is no account named 'zoe'" in said


def test_token_is_printed_alone_and_works(app: Flask, alice: Person) -> None:
    made = flask(app, "tokens", "create", "alice", "--label", "deploy")
    assert made.exit_code == 0
    assert re.fullmatch(r"smw_[\w-]{43}\n", made.stdout)
    client = Visitor(app, made.stdout.strip())
    assert client.make_app()["name"] == "shop"
    with app.app_context():
        (kept,) = db.session.scalars(select(ApiToken).where(ApiToken.personal))
        assert (kept.label, kept.scopes) == ("deploy", "read write check")


def test_token_reaches_as_far_as_its_scopes(app: Flask, alice: Person) -> None:
    made = flask(app, "tokens", "create", "alice", "--label", "x", "--scope", "read")
    client = Visitor(app, made.stdout.strip())
    assert client.get("/private/apps/findAll", page=0, size=1).status_code == 200
    assert client.post("/private/apps/save", name="shop").status_code == 401


@pytest.mark.parametrize(
    "words", [["zoe", "--label", "x"], ["alice"], ["alice", "--label", "x", "--scope", "root"],
              ["alice", "--label", " "], ["alice", "--label", "a\x1bb"]],
)  # fmt: skip
def test_token_that_cannot_be_made_is_a_usage_error(
    app: Flask, alice: Person, words: list[str]
) -> None:
    mistake(app, "tokens", "create", *words)


# --- checks --------------------------------------------------------------------------------


def at(server: Any, **parameters: Any) -> dict[str, Any]:
    """Parameters of an SMTP that is this fake server."""
    return {"host": server.host, "port": server.port, "defaultfromemail": "app@example.com"} | (
        parameters
    )


def test_check_of_a_good_smtp_ends_with_0(app: Flask, alice: Person) -> None:
    with fake_smtp() as server:
        smtp = alice.make_smtp(alice.make_app()["_id"], **at(server))
        done = flask(app, "smtps", "check", smtp["_id"])
    assert done.exit_code == 0, done.output
    assert f"{smtp['_id']} 127.0.0.1:{server.port}: OK." in done.stdout
    assert done.stdout.endswith("1 checked, 0 failed.\n")
    assert len(server.mails) == 1
    assert b"/received/" not in server.mails[0][2]  # nobody has said where we are reached


def test_failed_check_ends_with_1_and_names_cause_reply_and_next_step(
    app: Flask, alice: Person
) -> None:
    with fake_smtp(login=("app", "right")) as server:
        smtp = alice.make_smtp(
            alice.make_app()["_id"], **at(server, auth=True, username="app", password="hunter22")
        )
        done = flask(app, "smtps", "check", smtp["_id"])
    assert done.exit_code == 1
    assert "FAILED at auth." in done.stdout
    assert "The server said: 535" in done.stdout
    assert "Next: " in done.stdout
    assert done.stdout.endswith("1 checked, 1 failed.\n")
    assert "hunter22" not in done.output
    assert alice.smtp(smtp["_id"])["status"] == "D"


def test_checks_go_on_after_one_that_failed_or_could_not_be_done(
    app: Flask, alice: Person, charlie: Person
) -> None:
    mine = alice.make_app()["_id"]
    with fake_smtp() as good, fake_smtp("hangs up without a greeting") as bad:
        refused = alice.make_smtp(mine, **at(good, host="10.1.2.3", priority=1))
        unreadable = alice.make_smtp(
            mine, **at(good, priority=2, auth=True, username="a", password="b")
        )
        with app.app_context():
            db.session.execute(
                update(Smtp).where(Smtp.id == unreadable["_id"]).values(password_sealed="v1.x.y")
            )
            db.session.commit()
        alice.make_smtp(mine, **at(bad, priority=3))
        alice.make_smtp(mine, **at(good, priority=4))
        charlie.make_smtp(charlie.make_app()["_id"], **at(good))
        of_app = flask(app, "smtps", "check", "--app", mine)
        of_all = flask(app, "smtps", "check", "--all")
    assert of_app.exit_code == of_all.exit_code == 1
    assert of_app.stdout.endswith("4 checked, 3 failed.\n")
    assert of_all.stdout.endswith("5 checked, 3 failed.\n")
    assert "NOT TRIED." in of_app.stdout
    assert f"{unreadable['_id']} {good.host}:{good.port}: NOT CHECKED." in of_app.stdout
    assert len(good.mails) == 3
    # Our own policy says nothing about the SMTP.
    assert alice.smtp(refused["_id"])["status"] == "A"


def test_person_may_check_thirty_times_but_the_command_line_is_not_limited(
    app: Flask, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = services(app).settings
    limited = dataclasses.replace(configured, checks_per_user=1)
    monkeypatch.setattr(services(app), "settings", limited)
    with fake_smtp() as server:
        smtp = alice.make_smtp(alice.make_app()["_id"], **at(server))["_id"]
        assert [flask(app, "smtps", "check", smtp).exit_code for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    "words",
    [[], ["--all", "--app", "a" * 24], ["a" * 24, "--all"], ["a" * 24], ["--app", "a" * 24],
     ["not an id"], ["--app", "not an id"]],
)  # fmt: skip
def test_check_of_nothing_is_a_usage_error(app: Flask, words: list[str]) -> None:
    mistake(app, "smtps", "check", *words)


def test_probe_by_command_sends_no_email(app: Flask, alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp = alice.make_smtp(idapp, **at(server))["_id"]
        done = flask(app, "smtps", "check", smtp, "--mode", "probe")
    assert (done.exit_code, server.mails) == (0, [])
    assert "1 checked, 0 failed." in done.output
    assert "Not proved: That an email arrives." in done.output
    assert "stays" not in done.output
    assert "RSET" in server.heard
    mistake(app, "smtps", "check", smtp, "--mode", "dry")


@pytest.mark.parametrize("mode", ["email", "probe"])
def test_check_by_command_says_what_stays_disabled(
    app: Flask, alice: Person, idapp: str, mode: str
) -> None:
    with fake_smtp() as server:
        smtp = alice.make_smtp(idapp, **at(server))["_id"]
        assert flask(app, "smtps", "disable", smtp).exit_code == 0
        shown = {
            shape: flask(app, "smtps", "check", smtp, "--mode", mode, "--format", shape)
            for shape in ("text", "nagios", "junit", "json")
        }
    for shape, done in shown.items():
        assert done.exit_code == 0
        assert "The SMTP server stays off" in done.stdout, shape
    (member,) = json.loads(shown["json"].stdout)
    assert member.get("notProved") == (["content", "delivery"] if mode == "probe" else None)
    assert alice.smtp(smtp)["status"] == "D"


def test_check_of_all_succeeds_where_there_are_no_smtps(app: Flask) -> None:
    done = flask(app, "smtps", "check", "--all")
    assert (done.exit_code, done.stdout) == (0, "0 checked, 0 failed.\n")


# --- export, import, keys ------------------------------------------------------------------


def test_export_to_a_file_is_for_this_user_only_and_import_takes_it(
    app: Flask, alice: Person, charlie: Person, tmp_path: Path
) -> None:
    alice.make_smtp(
        alice.make_app(testemail="t@example.com")["_id"], auth=True, username="u", password="p w"
    )
    file = tmp_path / "smtps.json"
    assert flask(app, "smtps", "export", "--with-passwords", str(file)).exit_code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    taken = flask(app, "smtps", "import", str(file), "--user", "charlie")
    assert (taken.exit_code, taken.stdout) == (0, "Added: 1 app(s), 1 SMTP server(s).\n")
    envelope = charlie.get("/private/apps/findAll", page=0, size=10).json
    (smtp,) = charlie.smtps(envelope["content"][0]["_id"])
    assert (smtp["username"], smtp["password"]) == ("u", "p w")


def test_export_to_standard_output_is_nothing_but_the_document(app: Flask, alice: Person) -> None:
    alice.make_smtp(alice.make_app()["_id"], auth=True, username="u", password="hunter22")
    done = flask(app, "smtps", "export", "--user", "alice")
    assert json.loads(done.stdout)["accounts"][0]["name"] == "alice"
    assert "hunter22" not in done.output


def test_import_that_fails_is_a_usage_error_naming_the_place(
    app: Flask, alice: Person, tmp_path: Path
) -> None:
    assert "not valid JSON (line 1)" in mistake(app, "smtps", "import", "-", given="{")
    assert "No such file" in mistake(app, "smtps", "import", str(tmp_path / "none.json"))
    (tmp_path / "latin1").write_bytes(b'{"format": "\xf1"}')
    assert "not valid JSON" in mistake(app, "smtps", "import", str(tmp_path / "latin1"))
    said = mistake(
        app, "smtps", "import", "-",
        given='{"format": "smtpweb", "version": 1, "accounts": [{"name": "zoe", "apps": []}]}',
    )  # fmt: skip
    assert "accounts[0].name: There is no account 'zoe'" in said
    nowhere = tmp_path / "no" / "where"
    assert "cannot be written" in mistake(app, "smtps", "export", str(nowhere))


def test_keys_are_rotated_and_what_cannot_be_read_is_counted(
    app: Flask, alice: Person, settings: Settings
) -> None:
    idapp = alice.make_app()["_id"]
    for number in range(3):
        alice.make_smtp(idapp, auth=True, username="u", password=f"secret {number}")
    newer = dataclasses.replace(settings, encryption_keys=(new_key(), KEY))
    app = create_app(newer)
    rotated = flask(app, "keys", "rotate")
    assert rotated.exit_code == 0
    assert rotated.stdout.startswith("4 secrets were encrypted")  # three, and the canary
    assert "can be removed" in rotated.stdout
    only_newer = create_app(dataclasses.replace(newer, encryption_keys=newer.encryption_keys[:1]))
    client = Visitor(only_newer, alice.token)
    assert {smtp["password"] for smtp in client.smtps(idapp)} == {
        "secret 0", "secret 1", "secret 2",
    }  # fmt: skip
    with app.app_context():
        some_id = db.session.scalars(select(Smtp.id)).first()
        db.session.execute(
            update(Smtp).where(Smtp.id == some_id).values(password_sealed="v1.0.lost")
        )
        db.session.commit()
    again = flask(app, "keys", "rotate")
    assert again.exit_code == 1
    assert "1 could not be decrypted" in again.stdout
    for other in (app, only_newer):
        with other.app_context():
            db.engine.dispose()


# --- what all of them share ----------------------------------------------------------------


def test_commands_refuse_a_database_without_the_newest_schema(tmp_path: Path) -> None:
    app = create_app(settings_for(f"sqlite:///{tmp_path / 'empty.db'}"))
    assert "flask --app wsgi db upgrade" in mistake(app, "smtps", "check", "--all")
    with app.app_context():
        db.engine.dispose()


def test_command_reads_the_password_from_its_standard_input(tmp_path: Path) -> None:
    env = clean_environment(tmp_path, **installation_settings(tmp_path))
    command = [sys.executable, "-m", "flask", "--app", "wsgi"]
    create = [*command, "users", "create", "ana", "--email", "a@example.com", "--password-stdin"]

    def run(words: list[str], given: bytes = b"", **changes: str) -> tuple[int, str, str]:
        ended = subprocess.run(words, cwd=ROOT, env=env | changes, input=given, capture_output=True)
        return ended.returncode, ended.stdout.decode(), ended.stderr.decode()

    assert run(create, PASSWORD.encode())[0] == 2  # not migrated yet
    assert run([*command, "db", "upgrade"])[0] == 0
    assert run(create, b"\xff\xfe not UTF-8 at all")[0] == 2
    assert run(create, PASSWORD.encode()) == (0, "User ana created.\n", "")
    assert run([*command, "smtps", "check", "--all"]) == (0, "0 checked, 0 failed.\n", "")
    status, out, err = run([*command, "smtps", "check", "--all"], SMTPWEB_CHECK_SLOTS="many")
    assert (status, out) == (2, "")
    assert err.startswith("smtpweb: SMTPWEB_CHECK_SLOTS must be")
    assert err.count("\n") == 1


# --- explain -------------------------------------------------------------------------------

REFUSED = "smtplib.SMTPAuthenticationError: (535, b'5.7.8 Error: authentication failed')"


def test_explain_names_the_cause_of_a_file_or_of_standard_input(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "error.txt"
    path.write_text(REFUSED)
    for found in (
        flask(app, "smtps", "explain", str(path)),
        flask(app, "smtps", "explain", given=REFUSED),
        flask(app, "smtps", "explain", "-", given=REFUSED),
    ):
        assert found.exit_code == 0
        assert "(SMTP_AUTH_WRONG_CREDENTIALS)" in found.stdout
        assert "The server said: 535 Error: authentication failed" in found.stdout
        assert "Confidence: likely" in found.stdout
        assert "It can also be: The account needs an app password (SMTP_AUTH_APP" in found.stdout
        assert "Next: " in found.stdout and "give --host or --provider" in found.stdout


def test_explain_says_nothing_of_confidence_where_it_is_certain(app: Flask) -> None:
    found = flask(app, "smtps", "explain", given="452 4.2.2 The mailbox is over quota")
    assert "Confidence" not in found.stdout and "can also be" not in found.stdout


def test_explain_takes_host_and_provider(app: Flask) -> None:
    for option in (("--provider", "Gmail"), ("--host", "smtp.gmail.com:587")):
        found = flask(app, "smtps", "explain", *option, given=REFUSED)
        assert "GMAIL" in found.stdout and "depends on the server" not in found.stdout


def test_explain_reads_what_powershell_writes(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "error.txt"
    for encoding in ("utf-16", "utf-8-sig"):
        path.write_text(REFUSED, encoding=encoding)
        assert "SMTP_AUTH" in flask(app, "smtps", "explain", str(path)).stdout


def test_explain_prints_no_credential(app: Flask) -> None:
    text = "password=Tr0ub4dor-and-3\n550 5.7.1 no mail for Tr0ub4dor-and-3"
    found = flask(app, "smtps", "explain", given=text)
    assert "Tr0ub4dor" not in found.output and "(hidden)" in found.stdout


def test_explain_tells_mistakes(app: Flask, tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("x" * (64 * 1024 + 1))
    assert "64 KiB" in mistake(app, "smtps", "explain", str(path))
    assert "Paste" in mistake(app, "smtps", "explain")
    assert "No SMTP error" in mistake(app, "smtps", "explain", given="hello")
    assert "no provider" in mistake(app, "smtps", "explain", "--provider", "x", given=REFUSED)
    assert "domain name" in mistake(app, "smtps", "explain", "--host", "a..b", given=REFUSED)


# --- schedule ------------------------------------------------------------------------------


def test_commands_turn_a_server_off_and_on_and_make_it_due(app: Flask, alice: Person) -> None:
    idapp = alice.make_app("shop")["_id"]
    smtp_id = alice.make_smtp(idapp)["_id"]
    told = flask(app, "smtps", "disable", smtp_id, "--until", "2099-01-31T18:00", "--note", "why")
    assert told.stdout == "mail.example.net:25 is off until 2099-01-31 18:00 UTC.\n"
    assert alice.smtp(smtp_id)["off"]["note"] == "why"
    told = flask(app, "smtps", "enable", smtp_id)
    assert told.stdout == "mail.example.net:25 is enabled.\n"
    told = flask(app, "smtps", "due", "--app", idapp)
    assert (told.exit_code, told.stdout) == (0, "1 scheduled check(s) are due now.\n")
    assert "No worker is running" in told.stderr
    assert "There is no SMTP" in mistake(app, "smtps", "enable", "0" * 24)
    assert "There is no app" in mistake(app, "smtps", "due", "--app", "0" * 24)
    assert "--until" in mistake(app, "smtps", "disable", smtp_id, "--until", "soon")
