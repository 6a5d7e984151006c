"""What the schedule does with a server: when it comes, what its outcome changes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from smtpweb.database.models import App, Check, Due, Smtp, StatusChange, Worker
from smtpweb.database.session import db, now
from smtpweb.extensions import services
from smtpweb.monitoring import clock
from smtpweb.monitoring.engine import WorkerProcess
from smtpweb.registry import schedule as rule
from smtpweb.registry.states import SmtpState, smtp_state
from tests.support.browser import one_database
from tests.support.fake_smtp import EachConnection, fake_smtp
from tests.support.matching import not_none
from tests.support.people import Person
from tests.support.worker import due_row, make_due, work

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


@pytest.fixture
def idapp(alice: Person) -> str:
    made: str = alice.make_app("shop", defaultfromemail="shop@example.com")["_id"]
    return made


def state(alice: Person, smtp_id: str) -> SmtpState:
    with alice.app.app_context():
        return smtp_state(db.session.get_one(Smtp, smtp_id))


def changes(alice: Person) -> list[tuple[str, str, str]]:
    with alice.app.app_context():
        rows = db.session.query(StatusChange).order_by(StatusChange.at, StatusChange.id)
        return [(row.before, row.after, row.reason) for row in rows]


def wait(alice: Person, smtp_id: str) -> timedelta:
    """Until the next scheduled check."""
    next_at = due_row(alice.app, smtp_id).next_at
    assert next_at is not None
    return next_at - now()


def is_about(wait: timedelta, expected: timedelta) -> bool:
    return expected * 0.88 - MINUTE / 10 < wait < expected * 1.12


def test_new_server_is_checked_by_itself_with_a_probe(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        assert is_about(wait(alice, smtp_id), MINUTE)
        assert work(alice.app) == 0  # not yet
        make_due(alice.app)
        assert work(alice.app) == 1
        assert server.mails == []
        assert any(line.startswith("RCPT") for line in server.heard)
    with alice.app.app_context():
        check = db.session.query(Check).one()
        assert (check.kind, check.mode, check.accepted, check.applied) == (
            "scheduled", "probe", True, True,
        )  # fmt: skip
        assert check.user_id is None
    assert state(alice, smtp_id) is SmtpState.ACTIVE
    assert is_about(wait(alice, smtp_id), timedelta(hours=1))
    assert changes(alice) == [("unchecked", "active", "check accepted")]
    row = due_row(alice.app, smtp_id)
    assert (row.lease_until, row.leased_by, row.attempt) == (None, None, 0)


@pytest.mark.parametrize(
    ("emailevery", "is_time", "mails"),
    [("daily", True, 1), ("daily", False, 0), ("always", False, 1), ("never", True, 0)],
)
def test_real_email_is_sent_as_often_as_the_app_says(
    alice: Person, idapp: str, emailevery: str, is_time: bool, mails: int
) -> None:
    with fake_smtp() as server:
        alice.make_smtp(idapp, host=server.host, port=server.port)
        with alice.app.app_context():
            db.session.get_one(App, idapp).emailevery = emailevery
            db.session.commit()
        make_due(alice.app, email_at=now() + (-MINUTE if is_time else MINUTE * 90))
        work(alice.app)
        assert len(server.mails) == mails
        make_due(alice.app)
        work(alice.app)
        assert len(server.mails) == mails + (emailevery == "always")


def test_temporary_failure_is_repeated_three_times_before_it_disables(
    alice: Person, idapp: str
) -> None:
    with fake_smtp(replies={"RCPT": "451 4.3.0 try later"}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        for minutes in (1, 5, 15):
            make_due(alice.app)
            work(alice.app)
            assert state(alice, smtp_id) is SmtpState.DEGRADED
            assert alice.smtp(smtp_id)["status"] == "A"
            assert is_about(wait(alice, smtp_id), minutes * MINUTE)
        make_due(alice.app)
        work(alice.app)
        assert state(alice, smtp_id) is SmtpState.DISABLED
        assert alice.smtp(smtp_id)["numerrors"] == 4
        assert is_about(wait(alice, smtp_id), timedelta(hours=1))
        server.knobs["replies"].clear()
        make_due(alice.app)
        work(alice.app)
    assert state(alice, smtp_id) is SmtpState.ACTIVE
    assert changes(alice) == [
        ("unchecked", "degraded", "failed temporarily"),
        ("degraded", "disabled", "check failed"),
        ("disabled", "active", "check accepted"),
    ]


def test_success_ends_a_row_of_temporary_failures(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"RCPT": EachConnection("451 4.3.0 later", "250 ok")}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        for expected in (SmtpState.DEGRADED, SmtpState.ACTIVE):
            make_due(alice.app)
            work(alice.app)
            assert state(alice, smtp_id) is expected
    assert due_row(alice.app, smtp_id).attempt == 0
    assert alice.smtp(smtp_id)["numerrors"] == 0


def test_refused_password_disables_at_once_and_is_tried_again_after_a_day(
    alice: Person, idapp: str
) -> None:
    with fake_smtp(login=("shop", "s3cret")) as server:
        smtp_id = alice.make_smtp(
            idapp, host=server.host, port=server.port, auth=True, username="shop", password="no",
        )["_id"]  # fmt: skip
        make_due(alice.app)
        work(alice.app)
    assert state(alice, smtp_id) is SmtpState.DISABLED
    assert is_about(wait(alice, smtp_id), timedelta(days=1))


def test_disabled_server_is_tried_less_and_less_often(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"RCPT": "550 5.7.1 no"}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        for hours in (1, 2, 4, 8, 16, 24, 24):
            make_due(alice.app)
            work(alice.app)
            assert is_about(wait(alice, smtp_id), timedelta(hours=hours))


def test_check_by_hand_keeps_its_contract_whatever_is_temporary(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"RCPT": "451 4.3.0 try later"}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 406
    assert state(alice, smtp_id) is SmtpState.DISABLED
    assert alice.smtp(smtp_id)["status"] == "D"


def test_probe_does_not_enable_what_takes_no_email(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"dot": "550 5.7.1 spam"}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        alice.post("/private/smtps/check", idsmtp=smtp_id)
        assert state(alice, smtp_id) is SmtpState.DISABLED
        for emailevery in ("never", "daily"):
            with alice.app.app_context():
                db.session.get_one(App, idapp).emailevery = emailevery
                db.session.commit()
            make_due(alice.app)
            work(alice.app)
            assert state(alice, smtp_id) is SmtpState.DISABLED
        server.knobs["replies"].clear()
        make_due(alice.app)
        work(alice.app)  # daily: with an email, because the last one was refused
        assert state(alice, smtp_id) is SmtpState.ACTIVE
        assert len(server.mails) == 1


@pytest.mark.parametrize("by_hand", [True, False])
def test_probe_enables_what_was_disabled_for_another_cause_than_its_email(
    alice: Person, idapp: str, by_hand: bool
) -> None:
    """Also long after the last email, which the app may have chosen never to send."""
    with fake_smtp(replies={"RCPT": "550 5.1.1 unknown"}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        alice.post("/private/smtps/check", idsmtp=smtp_id)
        assert state(alice, smtp_id) is SmtpState.DISABLED
        with alice.app.app_context():
            db.session.get_one(App, idapp).emailevery = "never"
            db.session.get_one(Due, smtp_id).email_at = now() - timedelta(days=2)
            db.session.commit()
        server.knobs["replies"].clear()
        if by_hand:
            alice.post("/private/smtps/check", idsmtp=smtp_id, mode="probe")
        else:
            make_due(alice.app)
            work(alice.app)
        assert state(alice, smtp_id) is SmtpState.ACTIVE
        assert server.mails == []


@one_database
def test_app_without_a_schedule_has_no_check_due(alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    with alice.app.app_context():
        app = db.session.get_one(App, idapp)
        app.checkevery = 0
        rule.replan(app)
        db.session.commit()
        assert db.session.get_one(Due, smtp_id).next_at is None
        app.checkevery = 15
        rule.replan(app)
        db.session.commit()
    assert timedelta(0) <= wait(alice, smtp_id) + timedelta(seconds=1) < 16 * MINUTE


# --- outages and clocks --------------------------------------------------------------------


@pytest.fixture
def process(alice: Person) -> Iterator[WorkerProcess]:
    """A worker that has not started yet."""
    worker = WorkerProcess(alice.app, services(alice.app).settings)
    yield worker
    worker.huey.storage.close()


def test_backlog_is_spread_before_anything_is_claimed_after_a_day_without_a_database(
    alice: Person, idapp: str, process: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker was there all the time, so it does not start: it goes on."""
    with fake_smtp(host="0.0.0.0") as server:
        for number in range(1, 21):
            alice.make_smtp(idapp, host=f"127.0.0.{number}", port=server.port)
        with alice.app.app_context():
            process.beat()
        make_due(alice.app, ago=timedelta(days=1))
        with alice.app.app_context():
            db.session.execute(update(Worker).values(seen=now() - timedelta(days=1)))
            db.session.commit()
        process._caught_up_at = time.monotonic() - DAY.total_seconds()
        assert process.carry() == 0
        assert server.connections == 0
        with alice.app.app_context():
            process.beat()
        process.carry()
        assert server.connections < 5
    with alice.app.app_context():
        waits = [not_none(at) - now() for at in db.session.scalars(select(Due.next_at))]
    assert max(waits) > 20 * MINUTE
    assert all(timedelta(minutes=-1) < one <= timedelta(hours=1.2) for one in waits)


def test_worker_without_a_heartbeat_claims_nothing(
    alice: Person, idapp: str, process: WorkerProcess
) -> None:
    """Its database was away when it started: it does not know yet who worked last."""
    with fake_smtp() as server:
        alice.make_smtp(idapp, host=server.host, port=server.port)
        make_due(alice.app)
        assert process.carry() == 0
        with alice.app.app_context():
            process.beat()
        assert process.carry() == 1


def test_clock_that_jumps_ahead_spreads_what_is_overdue(
    alice: Person, idapp: str, process: WorkerProcess
) -> None:
    """As after a laptop slept for a day: the monotonic clock stood still."""
    with fake_smtp(host="0.0.0.0") as server:
        for number in range(1, 21):
            alice.make_smtp(idapp, host=f"127.0.0.{number}", port=server.port)
        with alice.app.app_context():
            process.beat()
        make_due(alice.app, ago=DAY)
        process._clock -= DAY.total_seconds()
        process.carry()
        assert server.connections < 5
    with alice.app.app_context():
        waits = [not_none(at) - now() for at in db.session.scalars(select(Due.next_at))]
    assert max(waits) > 20 * MINUTE


@pytest.mark.parametrize("hours", [3, 20, 400 * 24])
def test_clock_that_jumps_back_leaves_no_server_waiting(
    alice: Person, process: WorkerProcess, hours: int
) -> None:
    """Their next check was planned by a clock that was ahead for so long."""
    ids = {}
    for every in (15, 60, 1440):
        app = alice.make_app(f"every {every}", checkevery=every)["_id"]
        ids[every] = alice.make_smtp(app, host="mail.example.net")["_id"]
    disabled = alice.make_smtp(app, host="mail.example.net")["_id"]
    with alice.app.app_context():
        process.beat()
        for due in db.session.scalars(select(Due)):
            due.next_at = now() + timedelta(hours=hours)
        db.session.get_one(Smtp, disabled).enabled = False
        db.session.commit()
        process._clock += hours * 3600
        process.beat()
    for every, smtp_id in ids.items():
        assert wait(alice, smtp_id) <= max(timedelta(hours=1), every * MINUTE) + MINUTE
    assert wait(alice, ids[15]) <= 16 * MINUTE
    assert wait(alice, disabled) <= DAY * 1.5


def test_jump_of_the_clock_is_repaired_once_the_database_is_back(
    alice: Person, process: WorkerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    smtp_id = alice.make_smtp(alice.make_app("shop")["_id"])["_id"]
    with alice.app.app_context():
        process.beat()
        db.session.get_one(Due, smtp_id).next_at = now() + 20 * timedelta(hours=1)
        db.session.commit()
    process._clock += DAY.total_seconds()

    def away() -> int:
        raise OperationalError("UPDATE", {}, Exception("server closed the connection"))

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(clock, "repair", away)
        process._inside(process.beat)
    process._inside(process.beat)
    assert wait(alice, smtp_id) <= timedelta(hours=1)
