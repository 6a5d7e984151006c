"""Enable and disable by the API, and what the schedule of an app may be."""

from __future__ import annotations

import pytest

from smtpweb.database.models import Smtp
from smtpweb.database.session import db
from tests.support.browser import one_database
from tests.support.people import Person


@pytest.fixture
def smtp_id(alice: Person) -> str:
    made: str = alice.make_smtp(alice.make_app("shop")["_id"])["_id"]
    return made


def test_smtp_is_turned_off_and_on(alice: Person, smtp_id: str) -> None:
    reply = alice.post(
        "/private/smtps/disable", idsmtp=smtp_id, until="2099-12-01T06:00:00+02:00", note="moves"
    )
    assert reply.status_code == 200
    assert reply.json["status"] == "D"
    assert reply.json["off"]["until"] == "2099-12-01T04:00:00.000"
    assert reply.json["off"]["note"] == "moves"
    assert alice.smtp(smtp_id)["off"] == reply.json["off"]
    reply = alice.post("/private/smtps/enable", idsmtp=smtp_id)
    assert (reply.json["status"], "off" in reply.json) == ("A", False)
    # Again: the same
    assert alice.post("/private/smtps/enable", idsmtp=smtp_id).json["status"] == "A"


@one_database
@pytest.mark.parametrize(
    "until", ["2001-01-01T00:00:00", "tomorrow", "9999-12-31T23:59:59-23:00", "2099", "1e9", "∞"]
)
def test_time_that_is_none_or_has_passed_is_refused(
    alice: Person, smtp_id: str, until: str
) -> None:
    reply = alice.post("/private/smtps/disable", idsmtp=smtp_id, until=until)
    assert reply.status_code == 400, reply.text
    assert [fault["parameter"] for fault in reply.json["errors"]] == ["until"]
    with alice.app.app_context():
        assert db.session.get_one(Smtp, smtp_id).off_since is None


def test_stranger_and_a_token_without_the_scope_are_refused(
    alice: Person, charlie: Person, smtp_id: str
) -> None:
    for call in ("enable", "disable"):
        path = f"/private/smtps/{call}"
        assert charlie.post(path, idsmtp=smtp_id).status_code == 406
        assert alice.with_scopes("read").post(path, idsmtp=smtp_id).status_code == 401
        assert alice.post(path).status_code == 400


@one_database
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"checkevery": "0"}, 200), ({"checkevery": "15"}, 200), ({"checkevery": "1440"}, 200),
        ({"checkevery": "14"}, 400), ({"checkevery": "1441"}, 400), ({"checkevery": "-1"}, 400),
        ({"emailevery": "ALWAYS"}, 200), ({"emailevery": "hourly"}, 400),
    ],
)  # fmt: skip
def test_schedule_of_an_app_has_bounds(alice: Person, changes: dict[str, str], status: int) -> None:
    reply = alice.post("/private/apps/save", name="other", **changes)
    assert reply.status_code == status, reply.text
