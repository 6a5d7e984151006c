"""Who gets the next check: leases, shares of users, places of hosts; what happens meanwhile."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError

from smtpweb.database.models import App, Check, Due, Incident, Smtp, StatusChange, new_id
from smtpweb.database.session import db, now
from smtpweb.errors import BadInput
from smtpweb.extensions import services
from smtpweb.monitoring import (
    claims,
    host_places,
    housekeeping,
    maintenance,
    schedule,
    settlement,
    workers,
)
from smtpweb.monitoring.settlement import Result
from smtpweb.registry import schedule as rule
from smtpweb.registry import smtps, switches, transfers
from smtpweb.registry.states import SmtpState, smtp_state
from tests.support.browser import one_database
from tests.support.fake_smtp import Slowly, fake_smtp
from tests.support.matching import not_none
from tests.support.people import Person
from tests.support.worker import due_row, make_due, next_at_of, work

HOUR = timedelta(hours=1)


@pytest.fixture
def idapp(alice: Person) -> str:
    made: str = alice.make_app("shop", defaultfromemail="shop@example.com")["_id"]
    return made


def add_many(person: Person, idapp: str, count: int, *, host: str = "", ago: timedelta) -> None:
    """Servers that are due since then, each with a host of its own unless one is given."""
    rows = [{"id": new_id(), "app_id": idapp, "host": host or f"h{n}.example", "port": 25}
            for n in range(count)]  # fmt: skip
    with person.app.app_context():
        db.session.execute(insert(Smtp), rows)
        at = now() - ago
        db.session.execute(
            insert(Due),
            [{"smtp_id": row["id"], "user_id": person.user_id, "host": row["host"],
              "next_at": at, "attempt": 0} for row in rows],
        )  # fmt: skip
        db.session.commit()


def claim(person: Person, room: int) -> list[claims.Claim]:
    with person.app.app_context():
        return claims.claim("w" * 24, room)


def run_while(person: Person, meanwhile: object) -> None:
    """Do something while the check of a slow server is under way."""
    thread = threading.Thread(target=work, args=(person.app,))
    thread.start()
    try:
        meanwhile()  # type: ignore[operator]
    finally:
        thread.join(30)


def until_claimed(person: Person, smtp_id: str) -> None:
    ready = threading.Event()
    for _ in range(200):
        with person.app.app_context():
            if db.session.scalar(select(Check.id).where(Check.smtp_id == smtp_id)):
                return
        ready.wait(0.02)
    raise AssertionError("not claimed")


# --- leases --------------------------------------------------------------------------------


def test_server_is_never_claimed_by_two_workers(alice: Person, idapp: str) -> None:
    add_many(alice, idapp, 60, ago=HOUR)
    found: list[str] = []

    def take() -> None:
        for _ in range(6):
            found.extend(one.smtp_id for one in claim(alice, 10))

    threads = [threading.Thread(target=take) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(set(found)) == 60
    assert claim(alice, 10) == []


def test_claim_that_a_worker_loses_comes_back_when_its_lease_ends(
    alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        make_due(alice.app)
        assert len(claim(alice, 10)) == 1  # and the worker is killed
        assert work(alice.app) == 0
        row = due_row(alice.app, smtp_id)
        assert row.lease_until == row.next_at
        assert timedelta(0) < not_none(row.lease_until) - now()
        assert not_none(row.lease_until) - now() <= timedelta(seconds=5) + claims.LEASE_MARGIN
        with alice.app.app_context():  # time goes by
            past = now() - timedelta(seconds=1)
            db.session.execute(update(Due).values(lease_until=past, next_at=past))
            db.session.execute(update(Smtp).values(checking_until=past))
            db.session.execute(update(Check).values(ends_by=past))
            db.session.commit()
        assert work(alice.app) == 1
    with alice.app.app_context():
        assert db.session.query(StatusChange).count() == 1


def test_outcome_that_comes_after_its_lease_is_kept_and_told_once(
    alice: Person, idapp: str
) -> None:
    with fake_smtp() as server:
        alice.make_smtp(idapp, host=server.host, port=server.port)
        make_due(alice.app)
        (lost,) = claim(alice, 10)
        with alice.app.app_context():
            past = now() - timedelta(seconds=1)
            db.session.execute(update(Due).values(lease_until=past, next_at=past))
            db.session.execute(update(Smtp).values(checking_until=past))
            db.session.commit()
        assert work(alice.app) == 1
        with alice.app.app_context():
            report = db.session.query(Check).filter(Check.finished.is_not(None)).one().report
            worker_id = workers.register()
            settlement.settle(worker_id, [Result(lost, report)])
            assert db.session.query(StatusChange).count() == 1
            assert db.session.query(Check).filter(Check.finished.is_(None)).count() == 0


def test_bulk_check_of_a_killed_worker_is_queued_again(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        with alice.app.app_context():
            db.session.add(
                Check(
                    smtp_id=smtp_id, user_id=alice.user_id, smtp_version=1, kind="bulk",
                    ends_by=now() - timedelta(minutes=1),
                )
            )  # fmt: skip
            db.session.commit()
            housekeeping.queue_lost_checks_again()
        assert work(alice.app) == 1
    assert len(server.mails) == 1


def test_worker_that_must_end_gives_back_what_is_not_finished(
    alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smtpweb.monitoring.carrier.GRACE", 0.2)
    with fake_smtp(replies={"EHLO": Slowly(4, "250 slow")}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        make_due(alice.app)
        work(alice.app, is_over=lambda: bool(server.heard))
    row = due_row(alice.app, smtp_id)
    assert (row.lease_until, row.leased_by) == (None, None)
    assert not_none(row.next_at) <= now()
    with alice.app.app_context():
        assert db.session.query(Check).count() == 0
        assert db.session.get_one(Smtp, smtp_id).checking_until is None


def test_outcomes_wait_while_the_database_is_away(
    alice: Person, idapp: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = settlement.settle, [2]

    def away(*args: object) -> None:
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("UPDATE", {}, Exception("server closed the connection"))
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("smtpweb.monitoring.settlement.settle", away)
    monkeypatch.setattr("smtpweb.monitoring.carrier._RETRY", 0.01)
    with fake_smtp() as server:
        alice.make_smtp(idapp, host=server.host, port=server.port)
        make_due(alice.app)
        assert work(alice.app) == 1
        assert server.connections == 1
    with alice.app.app_context():
        assert db.session.query(Check).one().accepted


# --- fair shares, places of hosts ----------------------------------------------------------


@pytest.mark.parametrize("first", ["heavy", "light"])
def test_user_with_three_servers_does_not_wait_for_one_with_many(
    alice: Person, charlie: Person, idapp: str, first: str
) -> None:
    mine = charlie.make_app("small")["_id"]
    add_many(alice, idapp, 10_000, ago=HOUR if first == "heavy" else HOUR / 2)
    add_many(charlie, mine, 3, ago=HOUR / 2 if first == "heavy" else HOUR)
    claims._looks_for_others.took(0)
    claims._looks_for_others._not_before = 0
    with alice.app.app_context():
        of_charlie = set(db.session.scalars(select(Smtp.id).where(Smtp.app_id == mine)))
    claimed = {one.smtp_id for one in claim(alice, 50)}
    assert of_charlie <= claimed
    assert len(claimed) == 50  # and nothing is left idle


@pytest.mark.parametrize("at_once", [0, 2, 1000])
def test_user_who_queued_three_checks_does_not_wait_for_one_who_queued_thousands(
    alice: Person, charlie: Person, idapp: str, at_once: int
) -> None:
    """Whatever a user may run at once; and nothing is left idle."""
    settings = services(alice.app).settings
    services(alice.app).settings = dataclasses.replace(
        settings, checks_at_once=at_once, checks_per_user=0
    )
    mine = charlie.make_app("small")["_id"]
    add_many(alice, idapp, 10_000, ago=-HOUR)
    add_many(charlie, mine, 3, ago=-HOUR)
    with alice.app.app_context():
        for person, app_id, ago in ((alice, idapp, HOUR), (charlie, mine, HOUR / 2)):
            ids = db.session.scalars(select(Smtp.id).where(Smtp.app_id == app_id)).all()
            db.session.execute(
                insert(Check),
                [{"id": new_id(), "smtp_id": smtp_id, "user_id": person.user_id, "kind": "bulk",
                  "smtp_version": 1, "mode": "email", "queued": now() - ago, "started": now(),
                  "ends_by": now(), "applied": False} for smtp_id in ids],
            )  # fmt: skip
        db.session.commit()
        claimed = claims.claim("w" * 24, 50)
        users = Counter(db.session.get_one(Check, one.check_id).user_id for one in claimed)
    if at_once == 2:
        assert users == {alice.user_id: 1, charlie.user_id: 1}
    else:
        assert users == {alice.user_id: 22, charlie.user_id: 3}


def test_host_has_two_checks_at_a_time_and_the_others_are_spaced(alice: Person, idapp: str) -> None:
    add_many(alice, idapp, 10, host="smtp.example", ago=HOUR)
    add_many(alice, idapp, 5, ago=HOUR / 2)
    claimed = claim(alice, 50)
    with alice.app.app_context():
        host_of = dict(db.session.execute(select(Smtp.id, Smtp.host)).all())
        hosts = Counter(host_of[one.smtp_id] for one in claimed)
        assert hosts["smtp.example"] == host_places.PER_HOST
        assert len(hosts) == 6
        later = db.session.scalars(
            select(Due.next_at).where(Due.host == "smtp.example", Due.lease_until.is_(None))
        ).all()
    assert len(later) == 8
    assert max(Counter(later).values()) == host_places.PER_HOST
    assert min(map(not_none, later)) > now() - timedelta(seconds=1)
    make_due(alice.app, *(smtp for smtp in host_of if host_of[smtp] == "smtp.example"))
    assert claim(alice, 50) == []  # both places are still taken


# --- meanwhile -----------------------------------------------------------------------------


def test_server_removed_while_its_batch_runs_is_gone(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"EHLO": Slowly(1, "250 slow")}) as server, fake_smtp() as other:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        kept = alice.make_smtp(idapp, host=other.host, port=other.port)["_id"]
        make_due(alice.app)

        def remove() -> None:
            until_claimed(alice, smtp_id)
            assert alice.post("/private/smtps/remove", idsmtp=smtp_id).status_code == 200

        run_while(alice, remove)
    with alice.app.app_context():
        assert [check.smtp_id for check in db.session.query(Check)] == [kept]


def test_server_edited_while_its_batch_runs_is_not_judged(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"EHLO": Slowly(1, "250 slow"), "RCPT": "550 5.7.1 no"}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        make_due(alice.app)

        def edit() -> None:
            until_claimed(alice, smtp_id)
            alice.make_smtp(idapp, idsmtp=smtp_id, host=server.host, port=server.port + 1)

        run_while(alice, edit)
    with alice.app.app_context():
        check = db.session.query(Check).one()
        assert (check.accepted, check.applied) == (False, False)
        assert smtp_state(db.session.get_one(Smtp, smtp_id)) is SmtpState.UNCHECKED
    assert timedelta(0) < next_at_of(alice.app, smtp_id) - now() < timedelta(seconds=70)


def test_server_moved_while_its_batch_runs_is_not_judged_by_the_old_app(
    alice: Person, idapp: str
) -> None:
    """The test address and From address of its new app may be others."""
    other = alice.make_app("other", testemail="other@example.com", checkevery=1440)["_id"]
    with fake_smtp(replies={"EHLO": Slowly(1, "250 slow"), "RCPT": "550 5.7.1 no"}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        make_due(alice.app)

        def move() -> None:
            until_claimed(alice, smtp_id)
            with alice.app.app_context():
                transfers.move(alice.user_id, smtp_id, other)

        run_while(alice, move)
        with alice.app.app_context():
            smtp = db.session.get_one(Smtp, smtp_id)
            assert (smtp.app_id, smtp.checking_until) == (other, None)
            assert smtp_state(smtp) is SmtpState.UNCHECKED
            assert db.session.query(Check).one().applied is False
        row = due_row(alice.app, smtp_id)
        assert (row.lease_until, row.leased_by) == (None, None)
        assert timedelta(0) < not_none(row.next_at) - now() < timedelta(seconds=70)
        server.knobs["replies"].clear()
        make_due(alice.app)
        assert work(alice.app) == 1
    with alice.app.app_context():
        assert smtp_state(db.session.get_one(Smtp, smtp_id)) is SmtpState.ACTIVE
    assert next_at_of(alice.app, smtp_id) - now() > HOUR * 20  # by its new app
    assert any(line.startswith("RCPT TO:<other@example.com>") for line in server.heard)


def test_app_removed_while_its_batch_runs_is_gone(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"EHLO": Slowly(1, "250 slow")}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        make_due(alice.app)

        def remove() -> None:
            until_claimed(alice, smtp_id)
            assert alice.post("/private/apps/remove", idapp=idapp).status_code == 200

        run_while(alice, remove)
    with alice.app.app_context():
        for model in (App, Smtp, Due, Check, StatusChange):
            assert db.session.query(model).count() == 0


def test_app_whose_schedule_is_turned_off_while_its_batch_runs_is_not_checked_again(
    alice: Person, idapp: str
) -> None:
    with fake_smtp(replies={"EHLO": Slowly(1, "250 slow")}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        make_due(alice.app)

        def turn_off() -> None:
            until_claimed(alice, smtp_id)
            alice.make_app("shop", idapp=idapp, checkevery=0)

        run_while(alice, turn_off)
    row = due_row(alice.app, smtp_id)
    assert (row.next_at, row.lease_until) == (None, None)


def test_server_turned_off_while_its_batch_runs_stays_off(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"EHLO": Slowly(1, "250 slow")}) as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        make_due(alice.app)

        def turn_off() -> None:
            until_claimed(alice, smtp_id)
            assert alice.post("/private/smtps/disable", idsmtp=smtp_id).status_code == 200

        run_while(alice, turn_off)
        assert alice.smtp(smtp_id)["status"] == "D"
        assert due_row(alice.app, smtp_id).next_at is None
        # A check by hand that is accepted does not enable it either
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200
        assert alice.smtp(smtp_id)["status"] == "D"
    with alice.app.app_context():
        assert smtp_state(db.session.get_one(Smtp, smtp_id)) is SmtpState.OFF


# --- off, pauses, windows ------------------------------------------------------------------


def test_server_whose_time_off_is_over_is_enabled_and_checked_soon(
    alice: Person, idapp: str
) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    with alice.app.app_context():
        switches.disable(alice.user_id, smtp_id, until=now() + HOUR, note="moving house")
        housekeeping.enable_in_time()
        assert db.session.get_one(Smtp, smtp_id).off_since is not None  # not yet
        db.session.execute(update(Smtp).values(off_until=now() - timedelta(seconds=1)))
        db.session.commit()
        db.session.expire_all()
        housekeeping.enable_in_time()
        smtp = db.session.get_one(Smtp, smtp_id, populate_existing=True)
        assert (smtp.enabled, smtp.off_since, smtp.off_until) == (True, None, None)
        told = [(c.before, c.after, c.by, c.reason, c.note)
                for c in db.session.query(StatusChange).order_by(StatusChange.at)]  # fmt: skip
    assert told == [
        ("unchecked", "off", alice.user_id, "turned off", "moving house"),
        ("off", "unchecked", "machine", "time over", None),
    ]
    assert due_row(alice.app, smtp_id).next_at is not None


@one_database
@pytest.mark.parametrize("target", ["app", "smtp", "pause"])
def test_schedule_checks_nothing_in_a_window_or_a_pause(
    alice: Person, idapp: str, target: str
) -> None:
    with fake_smtp() as server:
        smtp_id = alice.make_smtp(idapp, host=server.host, port=server.port)["_id"]
        with alice.app.app_context():
            if target == "pause":
                switches.pause(alice.user_id, idapp, until=now() + HOUR)
            else:
                which = {"smtp_id": smtp_id} if target == "smtp" else {"app_id": idapp}
                maintenance.add(
                    alice.user_id, starts=now() - HOUR * 23, ends=now() - HOUR * 21,
                    repeat="daily", **which,
                )  # fmt: skip
                maintenance.add(alice.user_id, starts=now() - HOUR, ends=now() + HOUR, **which)
            next_check = schedule.next_check(db.session.get_one(Smtp, smtp_id))
            assert abs(not_none(next_check) - now() - HOUR) < timedelta(minutes=1)
        make_due(alice.app)
        assert work(alice.app) == 0
        assert server.connections == 0
        assert next_at_of(alice.app, smtp_id) > now() + HOUR * 0.9
        assert alice.post("/private/smtps/check", idsmtp=smtp_id).status_code == 200


@one_database
def test_windows_that_make_no_sense_are_refused(
    alice: Person, charlie: Person, idapp: str, inside: None
) -> None:
    for changes in (
        {"starts": now(), "ends": now()},
        {"starts": now() - HOUR * 2, "ends": now() - HOUR},
        {"starts": now(), "ends": now() + HOUR * 25, "repeat": "daily"},
        {"starts": now(), "ends": now() + HOUR, "repeat": "yearly"},
    ):
        with pytest.raises(BadInput):
            maintenance.add(alice.user_id, app_id=idapp, **changes)


# --- backlogs and clocks -------------------------------------------------------------------


def test_backlog_of_a_day_is_spread_over_an_hour(alice: Person, idapp: str) -> None:
    add_many(alice, idapp, 200, ago=timedelta(days=1))
    with alice.app.app_context():
        assert schedule.spread_backlog() == 200
        times = db.session.scalars(select(Due.next_at)).all()
    waits = [(not_none(at) - now()).total_seconds() for at in times]
    assert min(waits) > -60 and max(waits) <= 3601
    assert sum(wait < 1800 for wait in waits) > 50 and sum(wait > 1800 for wait in waits) > 50


def test_times_that_a_wrong_clock_set_are_mended(alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    with alice.app.app_context():
        far = now() + timedelta(days=400)
        db.session.execute(update(Due).values(next_at=far, lease_until=far, leased_by="x"))
        db.session.execute(update(Smtp).values(checking_until=far))
        db.session.commit()
        schedule.reconcile()
        assert db.session.get_one(Smtp, smtp_id, populate_existing=True).checking_until is None
    row = due_row(alice.app, smtp_id)
    assert (row.lease_until, row.leased_by) == (None, None)
    assert not_none(row.next_at) <= now() + rule.SPREAD


def test_server_without_a_row_gets_one(alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    quiet = alice.make_smtp(alice.make_app("quiet", checkevery=0)["_id"])["_id"]
    with alice.app.app_context():
        db.session.query(Due).delete()
        db.session.commit()
        schedule.reconcile()
    row = due_row(alice.app, smtp_id)
    assert (row.user_id, row.host) == (alice.user_id, "mail.example.net")
    assert timedelta(seconds=-1) < not_none(row.next_at) - now() <= HOUR + timedelta(seconds=1)
    assert due_row(alice.app, quiet).next_at is None


def test_everything_can_be_made_due_now(alice: Person, idapp: str) -> None:
    first = alice.make_smtp(idapp)["_id"]
    second = alice.make_smtp(alice.make_app("other")["_id"])["_id"]
    with alice.app.app_context():
        assert schedule.make_due(idapp) == 1
    assert next_at_of(alice.app, first) <= now() < next_at_of(alice.app, second)
    with alice.app.app_context():
        assert schedule.make_due() == 1
    assert next_at_of(alice.app, second) <= now()


# --- causes on our side --------------------------------------------------------------------


def test_cause_of_ours_changes_no_state_and_is_one_incident(alice: Person, idapp: str) -> None:
    with fake_smtp(tls="starttls") as server:
        good = {"host": server.host, "port": server.port, "starttls": True}
        ids = [alice.make_smtp(idapp, **good)["_id"] for _ in range(3)]
        settings = services(alice.app).settings
        from pathlib import Path

        services(alice.app).settings = dataclasses.replace(
            settings, ca_file=Path("/nowhere/ca.pem")
        )
        make_due(alice.app)
        assert work(alice.app) >= 2
        make_due(alice.app)
        work(alice.app)
    with alice.app.app_context():
        checks = db.session.query(Check).all()
        assert {check.accepted for check in checks} == {False}
        assert not any(check.applied for check in checks)
        for smtp_id in ids:
            assert smtp_state(db.session.get_one(Smtp, smtp_id)) is SmtpState.UNCHECKED
        assert db.session.query(StatusChange).count() == 0
        incident = db.session.query(Incident).one()
        assert incident.cause == checks[0].code
        assert incident.checks == len(checks)
    assert due_row(alice.app, ids[0]).attempt == 0


def test_moved_server_keeps_its_own_host_in_the_schedule(alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    alice.make_smtp(idapp, idsmtp=smtp_id, host="other.example.net")
    assert due_row(alice.app, smtp_id).host == "other.example.net"
    with alice.app.app_context():
        assert smtps.find(alice.user_id, smtp_id).app_id == idapp
        assert db.session.get_one(App, idapp).checkevery == 60
