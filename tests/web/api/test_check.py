"""/private/smtps/check: a real mail through a real (if scripted) server, and what it decides."""

from __future__ import annotations

import base64
import dataclasses
import errno
import json
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update

from smtpweb import mailcheck
from smtpweb.database.models import Check, Smtp, StartedWork
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.mailcheck.core.effects import NotResolved
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.core.trust import parse_pin
from smtpweb.mailcheck.net import resolver
from smtpweb.mailcheck.protocol.connection import Connection
from tests.support.api_checks import check, register
from tests.support.counting import connections_in_use
from tests.support.factories import forget_default_from, use_share
from tests.support.fake_smtp import Slowly, fake_smtp
from tests.support.people import Person, Reply
from tests.support.threads import in_background, until

SECRET = "Tr0ub4dor&3 ñ"


@pytest.fixture
def idapp(alice: Person) -> str:
    made: str = alice.make_app("shop", testemail="test@shop.example")["_id"]
    return made


def kept(alice: Person) -> list[Check]:
    with alice.app.app_context():
        return list(db.session.scalars(select(Check).order_by(Check.started)))


@pytest.mark.parametrize("name", ["idsmtp", "idapp"])
def test_accepted_mail_answers_200_and_enables(alice: Person, idapp: str, name: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server, defaultfromname="Jürgen")
        with alice.app.app_context():
            db.session.execute(update(Smtp).values(enabled=False, numerrors=7))
            db.session.commit()
        assert alice.smtp(smtp_id)["status"] == "D"
        reply = alice.post("/private/smtps/check", **{name: smtp_id})
        assert (reply.status_code, reply.data) == (200, b"")
    smtp = alice.smtp(smtp_id)
    assert (smtp["status"], smtp["numerrors"]) == ("A", 0)
    [(mail_from, recipients, message)] = server.mails
    assert (mail_from, recipients) == ("app@shop.example", ["test@shop.example"])
    assert b"\r\nAuto-Submitted: auto-generated\r\n" in message
    [row] = kept(alice)
    assert (row.accepted, row.applied, row.stage, row.code) == (
        True, True, "accepted", "SMTP_ACCEPTED",
    )  # fmt: skip
    assert row.user_id == alice.user_id
    assert row.finished
    assert row.finished >= row.started


def test_failure_answers_406_disables_and_counts(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"MAIL": "550 5.7.1 not you\u202e <b>"}) as server:
        smtp_id = register(alice, idapp, server)
        for failures in (1, 2):
            reply = check(alice, smtp_id)
            assert reply.status_code == 406
            smtp = alice.smtp(smtp_id)
            assert (smtp["status"], smtp["numerrors"]) == ("D", failures)
    problem = reply.json
    assert problem["stage"] == "mail"
    assert problem["code"].startswith("SMTP_")
    assert problem["reply"] == {"code": 550, "enhanced": "5.7.1", "text": "not you\ufffd <b>"}
    assert problem["temporary"] is False
    assert problem["title"] and problem["detail"] and problem["advice"]
    assert problem["applied"] is True
    assert problem["idcheck"] == kept(alice)[-1].id
    assert reply.data.isascii()
    with fake_smtp() as server:
        alice.make_smtp(idapp, idsmtp=smtp_id, host="127.0.0.1", port=server.port)
        assert check(alice, smtp_id).status_code == 200
    smtp = alice.smtp(smtp_id)
    assert (smtp["status"], smtp["numerrors"]) == ("A", 0)


@pytest.mark.parametrize(
    ("said", "confidence", "also"),
    [
        ("535 5.7.8 authentication failed", "likely",
         ["SMTP_AUTH_APP_PASSWORD", "SMTP_AUTH_NOT_ENABLED"]),
        ("535 Zonk", "unclear", ["SMTP_AUTH_WRONG_CREDENTIALS"]),
        ("535 5.7.9 Application-specific password required", "certain", []),
    ],
)  # fmt: skip
def test_failure_says_how_sure_its_cause_is(
    alice: Person, idapp: str, said: str, confidence: str, also: list[str]
) -> None:
    with fake_smtp(login=("shop", "s3cret"), replies={"AUTH": said}) as server:
        smtp_id = register(alice, idapp, server, auth="true", username="shop", password="s3cret")
        problem = check(alice, smtp_id).json
    assert (problem["stage"], problem["confidence"]) == ("auth", confidence)
    assert problem["alsoPossible"] == also


def test_sandbox_is_named_where_it_accepts_and_where_it_refuses(alice: Person, idapp: str) -> None:
    greeting = "220 7f0c1a Mailpit ESMTP Service ready"
    with fake_smtp(replies={"connect": greeting}) as server:
        smtp_id = register(alice, idapp, server)
        assert check(alice, smtp_id).status_code == 200
    [row] = kept(alice)
    assert row.code == "SMTP_ACCEPTED_SANDBOX"
    assert row.report
    assert row.report.sandbox == "Mailpit"
    with fake_smtp(replies={"connect": greeting, "MAIL": "550 no"}) as server:
        problem = check(alice, register(alice, idapp, server)).json
    assert problem["sandbox"] == "Mailpit"


def test_key_of_the_server_is_in_the_answer(alice: Person, idapp: str) -> None:
    with fake_smtp(tls="implicit", certificate="untrusted") as server:
        smtp_id = register(alice, idapp, server, host="localhost", ssltls=True)
        problem = check(alice, smtp_id).json
    assert problem["code"] == "SMTP_TLS_CERTIFICATE_UNTRUSTED"
    assert parse_pin(problem["certificatePin"]) == problem["certificatePin"]


def test_alternative_mode_that_works_is_in_the_answer(alice: Person, idapp: str) -> None:
    with fake_smtp(tls="starttls") as server:
        settings = services(alice.app).settings
        services(alice.app).settings = dataclasses.replace(settings, ca_file=server.ca_file)
        smtp_id = register(alice, idapp, server, host="localhost", ssltls="true")
        reply = check(alice, smtp_id)
        assert reply.json["code"] == "SMTP_TLS_NOT_SPOKEN"
        assert reply.json["alternatives"] == [{"port": server.port, "encryption": "starttls"}]
        register(alice, idapp, server, idsmtp=smtp_id, host="localhost", starttls="true",
                 ssltls="false")  # fmt: skip
        assert check(alice, smtp_id).status_code == 200


def test_policy_refusal_does_not_change_the_state(alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp, host="10.1.2.3", port=25, defaultfromemail="a@b.example")[
        "_id"
    ]
    reply = check(alice, smtp_id)
    assert reply.status_code == 406
    assert reply.json["stage"] == "policy"
    assert reply.json["code"].startswith("SMTP_POLICY_")
    assert reply.json["applied"] is False
    told = json.dumps(reply.json)
    for word in ("10.1.2.3", "10.0.0.0/8", "SMTPWEB_EGRESS_ALLOW"):
        assert word in told
    smtp = alice.smtp(smtp_id)
    assert (smtp["status"], smtp["numerrors"]) == ("A", 0)
    [row] = kept(alice)
    assert (row.accepted, row.applied) == (False, False)


def test_bad_ca_file_does_not_change_the_state(alice: Person, idapp: str, tmp_path: Path) -> None:
    """Else one faulty file of ours would disable every SMTP that is checked."""
    settings = services(alice.app).settings
    services(alice.app).settings = dataclasses.replace(settings, ca_file=tmp_path / "gone.pem")
    with fake_smtp(tls="starttls") as server:
        smtp_id = register(alice, idapp, server, starttls="true")
        reply = check(alice, smtp_id)
    assert (reply.status_code, reply.json["side"]) == (406, "machine")
    smtp = alice.smtp(smtp_id)
    assert (smtp["status"], smtp["numerrors"]) == ("A", 0)
    [row] = kept(alice)
    assert (row.accepted, row.applied) == (False, False)


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        ("DNS fails", "SMTP_RESOLVE_FAILED"),
        ("DNS is silent", "SMTP_RESOLVE_SLOW"),
        (errno.ENETUNREACH, "SMTP_CONNECT_NO_ROUTE"),
        (errno.EACCES, "SMTP_CONNECT_NOT_PERMITTED"),
        (errno.EMFILE, "SMTP_CONNECT_NO_SOCKET"),
        ("EHLO name", "SMTP_EHLO_NAME_INVALID"),
        ("bug", "SMTP_INTERNAL_ERROR"),
    ],
)
def test_cause_on_our_side_does_not_change_the_state(
    alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch, broken: str | int, code: str
) -> None:
    """All servers that are checked on a machine without a network would be disabled otherwise."""
    host = "127.0.0.1"
    with fake_smtp() as server:
        if isinstance(broken, int):
            monkeypatch.setattr(
                socket.socket, "connect_ex", lambda sock, where: broken, raising=False
            )
        elif broken.startswith("DNS"):
            host = "mail.example.com"
            why = Symptom.RESOLVER_FAILED if "fails" in broken else Symptom.RESOLVER_SLOW
            monkeypatch.setattr(resolver, "addresses_of", _raising(NotResolved(why)))
        elif broken == "bug":
            monkeypatch.setattr(Connection, "hear", _raising(ZeroDivisionError()))
        else:
            settings = services(alice.app).settings
            services(alice.app).settings = dataclasses.replace(settings, ehlo_name="no name")
        smtp_id = register(alice, idapp, server, host=host)
        with alice.app.app_context():
            db.session.execute(update(Smtp).values(numerrors=3))
            db.session.commit()
        reply = check(alice, smtp_id)
    assert (reply.status_code, reply.json["code"]) == (406, code)
    assert reply.json["applied"] is False
    smtp = alice.smtp(smtp_id)
    assert (smtp["status"], smtp["numerrors"]) == ("A", 3)
    [row] = kept(alice)
    assert (row.accepted, row.applied) == (False, False)


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_sender_is_the_smtps_then_the_apps_then_the_login(alice: Person, idapp: str) -> None:
    login = {"username": "login@shop.example", "password": "p"}
    forget_default_from(alice.app, idapp)
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server, defaultfromemail="", **login)
        assert check(alice, smtp_id).status_code == 200
        alice.post("/private/apps/save", idapp=idapp, defaultfromemail="app@shop.example")
        assert check(alice, smtp_id).status_code == 200
        register(alice, idapp, server, idsmtp=smtp_id, defaultfromemail="smtp@shop.example")
        assert check(alice, smtp_id).status_code == 200
    assert [mail[0] for mail in server.mails] == [
        "login@shop.example", "app@shop.example", "smtp@shop.example",
    ]  # fmt: skip


def test_missing_sender_keeps_anything_from_being_sent(alice: Person, idapp: str) -> None:
    forget_default_from(alice.app, idapp)
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server, defaultfromemail="", username="user1")
        reply = check(alice, smtp_id)
    assert (reply.status_code, reply.json["code"]) == (406, "SMTP_POLICY_NO_FROM")
    assert server.connections == 0
    assert alice.smtp(smtp_id)["status"] == "A"


def test_wrong_test_address_is_the_apps_fault(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"RCPT": "550 5.1.1 User unknown"}) as server:
        reply = check(alice, register(alice, idapp, server))
    assert (reply.status_code, reply.json["stage"]) == (406, "rcpt")
    assert reply.json["side"] == "app"
    assert "test" in reply.json["title"].lower()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_login_over_tls_is_verified_against_the_configured_ca(
    alice: Person, idapp: str, tls: str
) -> None:
    flags = {"starttls": "true"} if tls == "starttls" else {"sslTls": "true"}
    with fake_smtp(tls=tls, login=("ana", SECRET)) as server:
        smtp_id = register(
            alice, idapp, server, auth="true", username="ana", password=SECRET, **flags
        )
        reply = check(alice, smtp_id)
        assert (reply.status_code, server.mails) == (406, [])
        assert reply.json["stage"] == ("tls" if tls == "implicit" else "starttls")
        settings = services(alice.app).settings
        services(alice.app).settings = dataclasses.replace(settings, ca_file=server.ca_file)
        assert check(alice, smtp_id).status_code == 200
        assert len(server.mails) == 1


def test_password_that_the_server_echoes_is_kept_nowhere(alice: Person, idapp: str) -> None:
    whole = base64.b64encode(f"\0ana\0{SECRET}".encode()).decode()
    alone = base64.b64encode(SECRET.encode()).decode()
    with fake_smtp(
        login=("ana", "another"),
        replies={"AUTH": f"535 5.7.8 no: {whole} {alone} {SECRET}"},
    ) as server:
        reply = check(
            alice,
            register(alice, idapp, server, auth="true", username="ana", password=SECRET),
        )
    assert (reply.status_code, reply.json["stage"]) == (406, "auth")
    [row] = kept(alice)
    stored = json.dumps(row.report_json, ensure_ascii=False) + json.dumps(row.report_json)
    for secret in (SECRET, whole, alone, whole.rstrip("="), alone.rstrip("=")):
        assert secret not in stored
        assert secret not in reply.text
        assert secret not in json.dumps(reply.json, ensure_ascii=False)


def test_check_holds_no_database_connection_while_the_server_is_silent(
    alice: Person, idapp: str
) -> None:
    with fake_smtp(replies={"dot": Slowly(1.0, "250 2.0.0 queued")}) as server:
        smtp_id = register(alice, idapp, server)
        thread, answers = in_background(lambda: check(alice, smtp_id))
        until(lambda: "DATA" in server.heard)
        with alice.app.app_context():
            assert connections_in_use() == 0
        assert alice.smtp(smtp_id)["status"] == "A"
        thread.join()
    assert answers[0].status_code == 200


def test_smtp_is_checked_by_one_at_a_time(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"dot": Slowly(0.5, "250 2.0.0 queued")}) as server:
        smtp_id = register(alice, idapp, server)
        thread, answers = in_background(lambda: check(alice, smtp_id))
        until(lambda: "DATA" in server.heard)
        reply = check(alice, smtp_id)
        assert reply.status_code == 503
        assert 1 <= int(reply.headers["Retry-After"]) <= 11
        thread.join()
        assert answers[0].status_code == 200
        assert len(server.mails) == 1
        assert check(alice, smtp_id).status_code == 200


def test_check_that_never_ended_blocks_only_for_its_lease(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        for until_when, status in ((timedelta(seconds=30), 503), (timedelta(seconds=-1), 200)):
            with alice.app.app_context():
                db.session.execute(update(Smtp).values(checking_until=now() + until_when))
                db.session.commit()
            assert check(alice, smtp_id).status_code == status


def test_user_has_two_checks_at_once(alice: Person, charlie: Person, idapp: str) -> None:
    with fake_smtp(replies={"dot": Slowly(0.7, "250 2.0.0 queued")}) as server:
        ids = [register(alice, idapp, server) for _ in range(3)]
        begun = [in_background(partial(check, alice, each)) for each in ids[:2]]
        until(lambda: server.heard.count("DATA") == 2)
        reply = check(alice, ids[2])
        assert (reply.status_code, reply.json["title"]) == (429, "Too many requests")
        assert int(reply.headers["Retry-After"]) > 0
        other = charlie.make_app()["_id"]
        assert check(charlie, register(charlie, other, server)).status_code == 200
        for thread, answers in begun:
            thread.join()
            assert answers[0].status_code == 200


def test_user_has_thirty_checks_in_ten_minutes(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        with alice.app.app_context():
            use_share(alice, 1, age=timedelta(seconds=599))
            use_share(alice, 29, age=timedelta(seconds=300))
        reply = check(alice, smtp_id)
        assert reply.status_code == 429
        assert 1 <= int(reply.headers["Retry-After"]) <= 2
        assert "You can run at most 30 checks in 10 minutes." in reply.json["detail"]
        assert server.connections == 0
        with alice.app.app_context():
            oldest = select(db.func.min(StartedWork.started)).scalar_subquery()
            db.session.execute(
                update(StartedWork)
                .where(StartedWork.started == oldest)
                .values(started=now() - timedelta(minutes=11))
            )
            db.session.commit()
        assert check(alice, smtp_id).status_code == 200
        assert check(alice, smtp_id).status_code == 429


def test_check_beyond_the_slots_of_a_worker_is_a_503_at_once(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        slots = services(alice.app).limits.checks
        taken = 0
        while slots.acquire(blocking=False):
            taken += 1
        assert taken == services(alice.app).settings.check_slots
        reply = check(alice, smtp_id)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "5")
        assert kept(alice) == []
        slots.release()
        assert check(alice, smtp_id).status_code == 200
        assert check(alice, smtp_id).status_code == 200  # the slot was given back


def test_edit_during_the_check_keeps_its_own_state(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"dot": Slowly(0.5, "554 5.0.0 no")}) as server:
        smtp_id = register(alice, idapp, server)
        thread, answers = in_background(lambda: check(alice, smtp_id))
        until(lambda: "DATA" in server.heard)
        register(alice, idapp, server, idsmtp=smtp_id, priority=1)
        thread.join()
    assert (answers[0].status_code, answers[0].json["applied"]) == (406, False)
    smtp = alice.smtp(smtp_id)
    assert (smtp["status"], smtp["numerrors"], smtp["priority"]) == ("A", 0, 1)
    [row] = kept(alice)
    assert (row.accepted, row.applied) == (False, False)
    with fake_smtp() as server:
        register(alice, idapp, server, idsmtp=smtp_id)
        assert check(alice, smtp_id).status_code == 200


def test_removal_during_the_check_wins(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"dot": Slowly(0.5, "250 2.0.0 queued")}) as server:
        smtp_id = register(alice, idapp, server)
        thread, answers = in_background(lambda: check(alice, smtp_id))
        until(lambda: "DATA" in server.heard)
        assert alice.post("/private/smtps/remove", idsmtp=smtp_id).status_code == 200
        thread.join()
    assert (answers[0].status_code, answers[0].json["title"]) == (406, "SMTP not found")
    assert kept(alice) == []
    assert alice.smtps(idapp) == []


def test_bug_in_a_check_is_a_500_and_blocks_nothing(
    alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError(SECRET)

    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        with monkeypatch.context() as patch:
            patch.setattr(mailcheck, "check", broken)
            client = FlaskClient(alice.app, Reply, use_cookies=False)
            reply = client.post(
                "/private/smtps/check",
                data={"idsmtp": smtp_id},
                headers={"Authorization": f"Bearer {alice.token}"},
            )
        assert isinstance(reply, Reply)
        assert (reply.status_code, reply.json["title"]) == (500, "Internal error")
        assert reply.json["request"] in caplog.text
        assert "ZeroDivisionError" not in reply.text
        assert alice.smtp(smtp_id)["status"] == "A"
        [row] = kept(alice)
        assert (row.finished, row.accepted) == (None, None)
        with alice.app.app_context():  # it counts as under way until its time is over
            db.session.execute(update(Check).values(ends_by=now() - timedelta(seconds=1)))
            db.session.commit()
        assert check(alice, smtp_id).status_code == 200


def test_report_of_a_check_survives_its_storage(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        check(alice, register(alice, idapp, server))
    [row] = kept(alice)
    report = row.report
    assert report is not None
    assert report == mailcheck.Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert [step.stage for step in report.steps] == list(mailcheck.Stage)
    assert report.transcript
