"""The clock was ahead for a year, and is right again: nothing waits until then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from smtpweb.checking import limits
from smtpweb.database.models import (
    AlarmChannel,
    AlarmDelivery,
    AlarmEvent,
    AlarmSweep,
    Check,
    Due,
    FailedLogin,
    Incident,
    StartedWork,
    Worker,
)
from smtpweb.database.session import db, now
from smtpweb.monitoring import clock
from tests.support.matching import not_none
from tests.support.people import PASSWORD, Person

YEAR = timedelta(days=365)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def smtp_id(alice: Person) -> str:
    return str(alice.make_smtp(alice.make_app("shop")["_id"])["_id"])


def leave(alice: Person, smtp_id: str, wait: timedelta) -> None:
    """Store what is set as far ahead as this, each as usual if it is less than an hour."""
    at = now() + wait
    with alice.app.app_context():
        db.session.add(AlarmSweep(name="expiry", next_at=at))
        event = AlarmEvent(user_id=alice.user_id, smtp_id=smtp_id, kind="lost", key="k", facts={},
                           again_at=at)  # fmt: skip
        db.session.add(event)
        db.session.flush()
        db.session.add(AlarmDelivery(event_id=event.id, recipient=alice.user_id, due_at=at))
        db.session.add(AlarmChannel(user_id=alice.user_id, kind="email", events="", weekly_at=at))
        db.session.add(Incident(cause="SMTP_X", began=at, last_at=at))
        db.session.add(Worker(name="dead", version="0", seen=at))
        db.session.add(
            Check(smtp_id=smtp_id, smtp_version=1, started=at, ends_by=at, kind="scheduled")
        )
        db.session.add(StartedWork(user_id=alice.user_id, kind=limits.CHECK, started=at, until=at))
        db.session.get_one(Due, smtp_id).email_at = at
        db.session.commit()


def test_time_that_a_wrong_clock_has_set_is_repaired(alice: Person, smtp_id: str) -> None:
    leave(alice, smtp_id, YEAR)
    with alice.app.app_context():
        for number in range(1000):
            db.session.add(FailedLogin(account=f"{number}", network="127.0.0.0", at=now() + YEAR))
        db.session.commit()
        clock.repair()
        moment = now()
        assert db.session.query(AlarmSweep).one().next_at <= moment
        assert not_none(db.session.query(AlarmEvent).one().again_at) <= moment
        assert not_none(db.session.query(AlarmDelivery).one().due_at) <= moment
        weekly_at = not_none(db.session.query(AlarmChannel).one().weekly_at)
        assert moment < weekly_at <= moment + DAY * 7
        assert db.session.query(Incident).one().last_at <= moment
        assert db.session.query(Worker).count() == 0
        assert db.session.query(Check).one().ends_by <= moment
        assert not_none(db.session.get_one(Due, smtp_id).email_at) <= moment + DAY
        assert limits.wait(alice.user_id) == 0
        assert limits.room(alice.user_id) > 0
        assert db.session.query(FailedLogin).count() == 0
    given = {"username": alice.name, "password": PASSWORD}
    assert alice.post("/auth/login", **given).status_code == 200


def test_time_that_a_right_clock_has_set_stays(alice: Person, smtp_id: str) -> None:
    leave(alice, smtp_id, HOUR * 0.4)

    def state() -> list[object]:
        with alice.app.app_context():
            return [
                db.session.query(AlarmSweep.next_at).scalar(),
                db.session.query(AlarmEvent.again_at).scalar(),
                db.session.query(AlarmDelivery.due_at).scalar(),
                db.session.query(AlarmChannel.weekly_at).scalar(),
                db.session.query(Incident.last_at).scalar(),
                db.session.query(Worker.seen).scalar(),
                db.session.query(Check.ends_by).scalar(),
                db.session.query(Due.email_at, Due.next_at).one(),
                db.session.query(StartedWork.started).scalar(),
            ]

    before = state()
    with alice.app.app_context():
        clock.repair()
    assert state() == before
