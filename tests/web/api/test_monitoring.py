"""The API that monitoring systems ask: checks, status, bulk checks, scrapes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from smtpweb.database.models import Check, Smtp
from smtpweb.database.session import db, now
from tests.support.browser import one_database
from tests.support.counting import statements
from tests.support.people import Person

NOBODYS = "f" * 24


@pytest.fixture
def idapp(alice: Person) -> str:
    return str(alice.make_app("shop")["_id"])


@pytest.fixture
def idsmtp(alice: Person, idapp: str) -> str:
    return str(alice.make_smtp(idapp)["_id"])


def change(app: Flask, smtp_id: str, **columns: object) -> None:
    with app.app_context():
        smtp = db.session.get_one(Smtp, smtp_id)
        for name, value in columns.items():
            setattr(smtp, name, value)
        db.session.commit()


def add_check(app: Flask, smtp_id: str, minutes_ago: float, **columns: object) -> None:
    moment = now() - timedelta(minutes=minutes_ago)
    usual: dict[str, object] = {"started": moment, "ends_by": moment, "smtp_version": 1}
    with app.app_context():
        db.session.add(Check(smtp_id=smtp_id, **usual | columns))
        db.session.commit()


def test_checks_are_listed_by_page_with_the_newest_first(alice: Person, idsmtp: str) -> None:
    for number in range(3):
        add_check(alice.app, idsmtp, number, finished=now(), accepted=True, code=f"SMTP_{number}")
    first = alice.get("/private/smtps/checks", idsmtp=idsmtp, page=0, size=2).json
    assert [one["code"] for one in first["content"]] == ["SMTP_0", "SMTP_1"]
    assert (first["totalElements"], first["totalPages"], first["last"]) == (3, 2, False)
    second = alice.get("/private/smtps/checks", idsmtp=idsmtp, page=1, size=2).json
    assert [one["code"] for one in second["content"]] == ["SMTP_2"]


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ({"finished": now()}, "finished"),
        ({"queued": now()}, "queued"),
        ({"ends_by": now() + timedelta(days=1)}, "running"),
        ({}, "interrupted"),
    ],
)
def test_check_says_how_far_it_has_come(
    alice: Person, idsmtp: str, columns: dict[str, object], status: str
) -> None:
    add_check(alice.app, idsmtp, 1, **columns)
    (found,) = alice.get("/private/smtps/checks", idsmtp=idsmtp, page=0, size=5).json["content"]
    assert found["status"] == status


def test_list_of_checks_takes_the_same_few_statements(alice: Person, idsmtp: str) -> None:
    counts = []
    for _ in range(2):
        for number in range(20):
            add_check(alice.app, idsmtp, number, finished=now(), accepted=True)
        with statements() as seen:
            alice.get("/private/smtps/checks", idsmtp=idsmtp, page=0, size=1000)
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 5


def test_app_works_while_one_server_is_active(alice: Person, idapp: str) -> None:
    assert alice.get("/private/smtps/status", idapp=idapp).status_code == 503
    one = alice.make_smtp(idapp, priority=1)["_id"]
    two = alice.make_smtp(idapp, priority=2)["_id"]
    reply = alice.get("/private/smtps/status", idapp=idapp)  # not checked yet: nobody knows
    assert (reply.status_code, reply.json["code"]) == (503, "NOTHING_WORKS")
    assert (reply.json["working"], reply.json["total"], reply.json["inuse"]) == (0, 2, one)
    assert reply.headers["Retry-After"]
    change(alice.app, one, enabled=False)
    change(alice.app, two, judged=True)
    reply = alice.get("/private/smtps/status", idapp=idapp)
    assert reply.status_code == 200
    assert reply.json == {"idapp": idapp, "working": 1, "total": 2, "inuse": two}
    change(alice.app, two, degraded_since=now())
    assert alice.get("/private/smtps/status", idapp=idapp).status_code == 200
    change(alice.app, two, enabled=False)
    reply = alice.get("/private/smtps/status", idapp=idapp)
    assert (reply.status_code, reply.json["inuse"]) == (503, None)


def test_check_by_app_queues_each_server_once(alice: Person, idapp: str) -> None:
    for _ in range(3):
        alice.make_smtp(idapp)
    job = alice.post("/private/smtps/checkByApp", idapp=idapp).json
    assert job["total"] == 3
    assert job["url"] == f"/private/smtps/progress?idjob={job['idjob']}"
    alice.post("/private/smtps/checkByApp", idapp=idapp)
    with alice.app.app_context():
        assert db.session.query(Check).filter(Check.queued.is_not(None)).count() == 3
    found = alice.get("/private/smtps/progress", idjob=job["idjob"]).json
    assert found == {"idjob": job["idjob"], "total": 3, "queued": 3, "finished": 0,
                     "accepted": 0, "failed": 0, "done": False}  # fmt: skip


def test_progress_tells_accepted_from_failed(alice: Person, idapp: str) -> None:
    ids = [alice.make_smtp(idapp)["_id"] for _ in range(3)]
    job = alice.post("/private/smtps/checkByApp", idapp=idapp).json["idjob"]
    with alice.app.app_context():
        for check in db.session.query(Check):
            check.queued, check.finished = None, now()
            check.accepted, check.stage = check.smtp_id == ids[0], "auth"
        db.session.commit()
    found = alice.get("/private/smtps/progress", idjob=job).json
    assert (found["accepted"], found["failed"], found["done"]) == (1, 2, True)


@one_database
@pytest.mark.parametrize(
    "idjob", ["", "x", NOBODYS, f"{NOBODYS}-", f"{NOBODYS}--1", f"{NOBODYS}-1\x00", "-1"]
)
def test_job_id_that_cannot_be_is_refused(alice: Person, idjob: str) -> None:
    assert alice.get("/private/smtps/progress", idjob=idjob).status_code == 400


@one_database
def test_job_id_far_in_the_future_is_no_error(alice: Person, idapp: str) -> None:
    reply = alice.get("/private/smtps/progress", idjob=f"{idapp}-99999999999999")
    assert reply.status_code == 200


def test_monitoring_of_others_is_not_found(
    alice: Person, charlie: Person, idapp: str, idsmtp: str
) -> None:
    for ids in ({"idapp": idapp, "idsmtp": idsmtp}, {"idapp": NOBODYS, "idsmtp": NOBODYS}):
        checks = charlie.get("/private/smtps/checks", **ids, page=0, size=5)
        status = charlie.get("/private/smtps/status", **ids)
        job = charlie.post("/private/smtps/checkByApp", **ids)
        progress = charlie.get("/private/smtps/progress", idjob=f"{ids['idapp']}-1764220000")
        scrape = charlie.get("/probe", **ids)
        replies = (checks, status, job, progress, scrape)
        assert [reply.status_code for reply in replies] == [406] * 5


# --- scrapes -------------------------------------------------------------------------------


def scraped(person: Person, idsmtp: str) -> dict[tuple[str, ...], float]:
    reply = person.with_scopes("probe").get("/probe", idsmtp=idsmtp)
    assert reply.status_code == 200
    assert reply.content_type.startswith("text/plain; version=")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(reply.text)
        for sample in family.samples
    }


def test_scrape_without_a_check_fails_and_begins_none(alice: Person, idsmtp: str) -> None:
    assert scraped(alice, idsmtp) == {("probe_success",): 0, ("smtpweb_probe_enabled",): 1}
    with alice.app.app_context():
        assert db.session.query(Check).count() == 0


def test_scrape_shows_the_last_finished_check(alice: Person, idsmtp: str) -> None:
    add_check(alice.app, idsmtp, 60, finished=now(), accepted=False, stage="auth")
    add_check(
        alice.app, idsmtp, 30, finished=now() - timedelta(minutes=29), accepted=True,
        stage="accepted", code="SMTP_ACCEPTED", times={"connect": 20.0, "total": 250.0},
    )  # fmt: skip
    add_check(alice.app, idsmtp, 0, ends_by=now() + timedelta(minutes=1))  # under way
    until = now() + timedelta(days=9)
    change(alice.app, idsmtp, certificate_expires=until)
    found = scraped(alice, idsmtp)
    assert 1740 <= found.pop(("smtpweb_probe_age_seconds",)) < 1800
    assert found == {
        ("probe_success",): 1,
        ("smtpweb_probe_enabled",): 1,
        ("probe_duration_seconds",): 0.25,
        ("smtpweb_probe_stage_seconds", "connect"): 0.02,
        ("smtpweb_probe_info", "SMTP_ACCEPTED", "accepted"): 1,
        ("probe_ssl_earliest_cert_expiry",): pytest.approx(until.timestamp()),
    }


def test_scrape_needs_a_token_of_its_own(alice: Person, idsmtp: str) -> None:
    for scopes in (("read",), ("read", "write", "check", "secrets")):
        reply = alice.with_scopes(*scopes).get("/probe", idsmtp=idsmtp)
        assert (reply.status_code, reply.json["code"]) == (401, "NOT_AUTHORIZED")
    token = alice.with_scopes("probe")
    for path in ("/private/smtps/findById", "/private/smtps/checks"):
        assert token.get(path, idsmtp=idsmtp, page=0, size=1).status_code == 401
    token.token = None
    assert token.get("/probe", idsmtp=idsmtp).status_code == 401


@one_database
@pytest.mark.parametrize("idsmtp_sent", ["", "x", "0" * 23, "../../etc"])
def test_scrape_of_no_id_is_a_problem_document(alice: Person, idsmtp_sent: str) -> None:
    reply = alice.with_scopes("probe").get("/probe", idsmtp=idsmtp_sent)
    assert reply.status_code == 400
