"""Uptime, times of stages, changes since the last successful check, daily sums."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert

from smtpweb.checking import facts, retention
from smtpweb.database.models import Check, CheckDay, Smtp, StatusChange, new_id
from smtpweb.database.session import db, fetch, now
from smtpweb.extensions import services
from smtpweb.mailcheck import Report
from smtpweb.monitoring import history, response_times
from tests.support.browser import Browser, signed_in, words
from tests.support.factories import only_smtp
from tests.support.fake_smtp import fake_smtp
from tests.support.matching import not_none
from tests.support.people import Person


def server(**columns: Any) -> Any:
    """A row of one that was registered 100 days ago."""
    usual = {"enabled": True, "judged": True, "uncheckable": None, "degraded_since": None,
             "off_since": None, "created": now() - timedelta(days=100)}  # fmt: skip
    return SimpleNamespace(**usual | columns)


def changed(hours_ago: float, before: str, after: str) -> Any:
    return SimpleNamespace(at=now() - timedelta(hours=hours_ago), before=before, after=after)


def shares(smtp: Any, *newest_first: Any) -> list[float | None]:
    return [
        None if one.share is None else round(one.share, 4)
        for one in history.uptimes(smtp, newest_first)
    ]


def test_uptime_of_a_server_that_never_failed_is_whole() -> None:
    assert shares(server()) == [1, 1, 1, 1]


def test_uptime_counts_the_hours_that_it_was_disabled() -> None:
    found = shares(
        server(), changed(6, "disabled", "active"), changed(12, "active", "disabled")
    )  # fmt: skip
    assert found == [0.75, round(1 - 6 / 168, 4), round(1 - 6 / 720, 4), round(1 - 6 / 2160, 4)]


def test_uptime_cuts_a_failure_that_began_before_the_window() -> None:
    found = shares(server(), changed(12, "disabled", "active"), changed(50, "active", "disabled"))
    assert found[0] == 0.5


@pytest.mark.parametrize("state", ["off", "unchecked", "uncheckable"])
def test_uptime_leaves_out_what_is_not_known(state: str) -> None:
    found = shares(
        server(),
        changed(6, state, "active"),
        changed(12, "disabled", state),
        changed(18, "active", "disabled"),
    )
    assert found[0] == round(12 / 18, 4)


def test_uptime_begins_with_the_server() -> None:
    young = server(created=now() - timedelta(hours=2), enabled=False)
    found = shares(young, changed(1, "active", "disabled"))
    assert found == [0.5, 0.5, 0.5, 0.5]


def test_uptime_counts_degraded_as_up_and_nothing_where_nothing_is_known() -> None:
    assert shares(server(degraded_since=now())) == [1, 1, 1, 1]
    assert shares(server(judged=False)) == [None] * 4


def check(minutes_ago: float, total: float, *, accepted: bool = True, **stages: float) -> Any:
    moment = now() - timedelta(minutes=minutes_ago)
    return SimpleNamespace(
        id=f"check-{minutes_ago}", started=moment, accepted=accepted,
        stage="accepted" if accepted else "connect", times=stages | {"total": total},
    )  # fmt: skip


def test_stage_times_are_median_and_slowest_without_stages_that_failed() -> None:
    rows = [
        check(30, 10, connect=10.0), check(20, 20, connect=20.0), check(10, 90, connect=90.0),
        check(5, 25000, accepted=False, resolve=7.0, connect=25000.0),
    ]  # fmt: skip
    found = {one.stage: (one.count, one.typical, one.slowest) for one in history.stage_times(rows)}
    assert found == {"resolve": (1, 7, 7), "connect": (3, 20, 90), "total": (3, 20, 90)}
    assert history.stage_times(rows)[1].slowest_id == "check-10"


def test_column_shows_its_typical_check_and_its_last_failure() -> None:
    rows = [
        check(23, 30, connect=30.0), check(22, 10, connect=10.0), check(21, 20, connect=20.0),
        check(20, 5, accepted=False), check(19, 5, accepted=False),
    ]  # fmt: skip
    columns = history.columns(rows, 1)
    assert len(columns) == history.COLUMNS
    last = columns[-1]
    assert (not_none(last.typical).id, not_none(last.failed).id) == ("check-21", "check-19")
    assert (last.checks, last.failures) == (5, 2)
    assert all(one.typical is None and one.failed is None for one in columns[:-1])


def test_check_out_of_the_shown_time_is_in_no_column() -> None:
    columns = history.columns([check(2 * 24 * 60, 5), check(-5, 5)], 1)
    assert [one.checks for one in columns] == [0] * 29 + [1]


# --- what changed --------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "address": {"all": ["192.0.2.1", "192.0.2.2"], "used": "192.0.2.1"},
    "certificate": {"subject": "CN=a", "issuer": "CA", "until": "2027-01-01T00:00:00", "names": []},
    "greeting": "mail.example ESMTP Postfix 3.7.1 Mon, 1 Jan",
    "capabilities": ["PIPELINING", "SIZE"],
    "mechanisms": ["LOGIN", "PLAIN"],
}


@pytest.mark.parametrize(
    ("kind", "value", "pair"),
    [
        ("address", {"all": ["192.0.2.2"], "used": "192.0.2.2"}, None),
        ("address", {"all": ["192.0.2.9"], "used": "192.0.2.9"}, ("192.0.2.1", "192.0.2.9")),
        ("greeting", "mail.example ESMTP Postfix 3.7.2 Tue, 2 Feb", None),
        ("greeting", "MAIL.example ESMTP Postfix 3.7.2 Tue, 2 Feb", None),
        ("greeting", "proxy.example ESMTP", (GOOD["greeting"], "proxy.example ESMTP")),
        ("capabilities", ["PIPELINING"], ("SIZE", "")),
        ("mechanisms", ["LOGIN", "PLAIN", "XOAUTH2"], ("", "XOAUTH2")),
        ("certificate", GOOD["certificate"] | {"subject": "CN=b"},
         ("CN=a / CA / 2027-01-01", "CN=b / CA / 2027-01-01")),
    ],
)  # fmt: skip
def test_change_is_named_and_what_varies_anyway_is_not(kind: str, value: Any, pair: Any) -> None:
    found = facts.differences(GOOD, GOOD | {kind: value})
    expected = [] if pair is None else [{"what": kind, "before": pair[0], "after": pair[1]}]
    assert found == expected


def test_facts_that_a_check_did_not_reach_are_no_change() -> None:
    assert facts.differences(GOOD, {"address": GOOD["address"]}) == []
    assert facts.differences({}, GOOD) == []


def shop(alice: Person, port: int) -> dict[str, Any]:
    idapp = alice.make_app("shop", testemail="t@example.com", defaultfromemail="a@example.com")
    given = {"host": "127.0.0.1", "port": port, "auth": "true", "username": "u", "password": "p"}
    return alice.make_smtp(idapp["_id"], **given)


def test_failed_check_names_what_changed_on_page_and_in_the_api(alice: Person) -> None:
    with fake_smtp(login=("u", "p"), capabilities=["SIZE 1000", "PIPELINING"]) as server:
        smtp = shop(alice, server.port)
        given = {"idsmtp": smtp["_id"]}
        assert alice.post("/private/smtps/check", **given).status_code == 200
        server.knobs["capabilities"] = ["SIZE 1000"]
        server.knobs["replies"] = {"AUTH": "535 5.7.8 no", "connect": "220 other.example ESMTP"}
        assert alice.post("/private/smtps/check", **given).status_code == 406
    newest, first = alice.get("/private/smtps/checks", page=0, size=10, **given).json["content"]
    assert first["changes"] == []
    changes = {one["what"]: (one["before"], one["after"]) for one in newest["changes"]}
    assert changes["capabilities"] == ("PIPELINING", "")
    assert changes["greeting"][1] == "other.example ESMTP"
    text = signed_in(alice.app, alice).get(f"/smtps/{smtp['_id']}").text
    assert "Changed since the last successful check" in text
    assert "removed: PIPELINING" in text


def test_facts_are_not_compared_with_those_of_another_server(alice: Person) -> None:
    with fake_smtp(login=("u", "p"), capabilities=["SIZE 1000"]) as one:
        smtp = shop(alice, one.port)
        alice.post("/private/smtps/check", idsmtp=smtp["_id"])
    with fake_smtp(login=("u", "p"), capabilities=["PIPELINING"]) as other:
        alice.post("/private/smtps/save", idsmtp=smtp["_id"], idapp=smtp["idapp"],
                   host="127.0.0.1", port=other.port, password="p")  # fmt: skip
        alice.post("/private/smtps/check", idsmtp=smtp["_id"])
    checks = alice.get("/private/smtps/checks", idsmtp=smtp["_id"], page=0, size=10).json["content"]
    assert len(checks) == 2
    assert [one["changes"] for one in checks] == [[], []]


# --- what is kept --------------------------------------------------------------------------


def test_check_leaves_its_times_and_adds_to_its_day(app: Flask, alice: Person) -> None:
    with fake_smtp(login=("u", "p")) as server:
        smtp = shop(alice, server.port)
        for _ in range(2):
            alice.post("/private/smtps/check", idsmtp=smtp["_id"])
        server.knobs["replies"] = {"AUTH": "535 5.7.8 no"}
        alice.post("/private/smtps/check", idsmtp=smtp["_id"])
    with app.app_context():
        checks = db.session.query(Check).all()
        day = db.session.query(CheckDay).one()
        assert (day.accepted, day.failed, day.other) == (2, 1, 0)
        assert day.day == datetime.now(UTC).date()
        # What failed says nothing about how long it takes
        for stage, count in (("connect", 3), ("auth", 2), ("total", 2)):
            times = [
                one.times[stage]
                for one in checks
                if one.times and (one.accepted or stage == "connect")
            ]
            assert day.times[stage][0] == len(times) == count
            assert day.times[stage][1] == pytest.approx(sum(times), abs=0.2)
            assert day.times[stage][2] == max(times)
        assert day.times["data"][0] == 2


def test_certificate_of_another_server_is_forgotten(app: Flask, alice: Person) -> None:
    smtp = alice.make_smtp(alice.make_app("shop")["_id"])
    with app.app_context():
        db.session.query(Smtp).update({"certificate_expires": now()})
        db.session.commit()
    given = {"idsmtp": smtp["_id"], "idapp": smtp["idapp"], "port": 25}
    alice.post("/private/smtps/save", **given, host="mail.example.net", priority=3)
    assert only_smtp(app).certificate_expires is not None
    alice.post("/private/smtps/save", **given, host="other.example.net")
    assert only_smtp(app).certificate_expires is None


def test_hostile_words_of_a_server_stay_short_and_are_escaped(alice: Person) -> None:
    words = "<script>alert(1)</script>" * 20
    with fake_smtp(login=("u", "p")) as server:
        smtp = shop(alice, server.port)
        alice.post("/private/smtps/check", idsmtp=smtp["_id"])
        server.knobs["replies"] = {"connect": f"220 {words}"}
        alice.post("/private/smtps/check", idsmtp=smtp["_id"])
    page = signed_in(alice.app, alice).get(f"/smtps/{smtp['_id']}")
    assert "<script>alert" not in page.html
    assert "&lt;script&gt;alert" in page.html


# --- daily sums ----------------------------------------------------------------------------

KEPT, PAST, PER_DAY = 3, 60, 24  # days that checks are kept, days of history, checks a day


@pytest.fixture
def pruned(app: Flask, alice: Person) -> str:
    """A server of 60 days ago whose checks are kept for 3; each tenth day has 6 failures."""
    services(app).settings = dataclasses.replace(services(app).settings, keep_checks=KEPT)
    smtp_id = str(alice.make_smtp(alice.make_app("shop")["_id"])["_id"])
    with app.app_context():
        smtp = db.session.get_one(Smtp, smtp_id)
        smtp.judged, smtp.created = True, now() - timedelta(days=PAST)
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        checks: list[dict[str, Any]] = []
        for age in range(PAST):
            failed = 6 if age % 10 == 0 else 0
            slow = 500.0 if age == 50 else 40.0
            for number in range(PER_DAY):
                # Today's are all a moment ago, so that none is in the future
                started = (
                    today - timedelta(days=age) + timedelta(hours=number)
                    if age
                    else now() - timedelta(minutes=1, seconds=number)
                )
                accepted = number >= failed
                checks.append(
                    {"id": new_id(), "smtp_id": smtp_id, "smtp_version": 1, "started": started,
                     "ends_by": started, "finished": started, "accepted": accepted,
                     "stage": "accepted" if accepted else "auth", "code": "SMTP_X", "title": "X",
                     "applied": True, "kind": "scheduled", "mode": "probe",
                     "times": {"connect": 10.0, "auth": 9000.0, "total": 9010.0}
                     if not accepted
                     else {"connect": 10.0, "auth": slow, "total": 10.0 + slow}}
                )  # fmt: skip
            good = PER_DAY - failed
            db.session.add(
                CheckDay(
                    smtp_id=smtp_id, day=(today - timedelta(days=age)).date(), accepted=good,
                    failed=failed, other=0,
                    times={"connect": [PER_DAY, PER_DAY * 10.0, 10.0],
                           "auth": [good, good * slow, slow],
                           "total": [good, good * (slow + 10), slow + 10]},
                )
            )  # fmt: skip
        db.session.execute(insert(Check), checks)
        for days, hours in ((10, 12), (40, 24)):
            for at, before, after in (
                (timedelta(days=days), "active", "disabled"),
                (timedelta(days=days) - timedelta(hours=hours), "disabled", "active"),
            ):
                db.session.add(
                    StatusChange(smtp_id=smtp_id, app_id=smtp.app_id, at=now() - at, before=before,
                                 after=after, by="machine", reason="check failed")
                )  # fmt: skip
        db.session.commit()
        while retention.prune():
            pass
        while retention.prune_history():
            pass
        left = db.session.query(Check).count()
        assert KEPT * PER_DAY <= left <= (KEPT + 1) * PER_DAY
    return smtp_id


def test_uptime_is_right_when_the_checks_of_its_time_are_gone(app: Flask, pruned: str) -> None:
    with app.app_context():
        smtp = db.session.get_one(Smtp, pruned)
        uptimes = history.uptimes(smtp, history.changes(pruned), history.known_since())
    found = [round(not_none(one.share), 4) for one in uptimes]
    assert found == [1, 1, round(1 - 0.5 / 30, 4), round(1 - 1.5 / PAST, 4)]


def test_uptime_leaves_out_what_was_before_the_changes_that_are_kept(app: Flask) -> None:
    since = now() - timedelta(days=2)
    smtp = server()
    (_, week, *_) = history.uptimes(smtp, [changed(24, "disabled", "active")], since)
    assert (round(week.up / 3600), round(week.down / 3600)) == (24, 24)
    (_, week, *_) = history.uptimes(smtp, [changed(72, "disabled", "active")], since)
    assert (round(week.up / 3600), round(week.down / 3600)) == (72, 0)


def test_ninety_days_are_read_from_sums_and_not_from_checks(
    app: Flask, pruned: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def counting(*arguments: Any) -> Any:
        rows = fetch(*arguments)
        read.append(len(rows))
        return rows

    for module in (history, response_times):
        monkeypatch.setattr(module, "fetch", counting)
    with app.app_context():
        times = response_times.of(db.session.get_one(Smtp, pruned), 90)
        kept = {check.id: check.accepted for check in db.session.query(Check)}
    assert 0 < sum(read) <= 90 + 2 * history.COLUMNS
    assert times.is_average
    assert len(times.columns) == 30
    assert sum(column.checks for column in times.columns) == PAST * PER_DAY
    assert sum(column.failures for column in times.columns) == 6 * 6
    good = PAST * PER_DAY - 6 * 6
    slow = PER_DAY - 6  # accepted on the slow day, 50 days ago
    assert all(one.slowest_id is None for one in times.stages)
    assert {one.stage: (one.count, one.slowest) for one in times.stages} == {
        "connect": (PAST * PER_DAY, 10), "auth": (good, 500), "total": (good, 510),
    }  # fmt: skip
    auth = next(one for one in times.stages if one.stage == "auth")
    assert auth.typical == pytest.approx((slow * 500 + (good - slow) * 40) / good, abs=0.1)
    # The newest columns link to checks that are there, the others to none
    newest, older = times.columns[-1], times.columns[:-3]
    assert kept[not_none(not_none(newest.typical).id)] is True
    assert kept[not_none(not_none(newest.failed).id)] is False
    assert all(one.typical is None or one.typical.id is None for one in older)
    assert any(one.failed is not None and one.failed.id is None for one in older)


def test_week_is_read_from_sums_where_checks_are_kept_for_less(app: Flask, pruned: str) -> None:
    with app.app_context():
        week = response_times.of(db.session.get_one(Smtp, pruned), 7)
        day = response_times.of(db.session.get_one(Smtp, pruned), 1)
        services(app).settings = dataclasses.replace(services(app).settings, keep_checks=0)
        assert not response_times.of(db.session.get_one(Smtp, pruned), 7).is_average
    assert (week.is_average, len(week.columns)) == (True, 7)
    assert [column.checks for column in week.columns] == [PER_DAY] * 7
    assert not day.is_average


def test_days_before_the_first_sums_are_read_from_their_checks(app: Flask, pruned: str) -> None:
    """As after an upgrade from a version without sums."""
    with app.app_context():
        before = response_times.of(db.session.get_one(Smtp, pruned), 30)
        newest = db.session.query(func.max(CheckDay.day)).scalar()
        db.session.query(CheckDay).filter(CheckDay.day < newest).delete()
        db.session.commit()
        after = response_times.of(db.session.get_one(Smtp, pruned), 30)
    assert after.columns[-2:] == before.columns[-2:]
    assert after.columns[0].typical is None


@pytest.mark.parametrize("days", [1, 7, 30, 90])
def test_page_shows_what_the_sums_say(
    alice: Person, browser: Browser, pruned: str, days: int
) -> None:
    page = browser.get(f"/smtps/{pruned}?days={days}")
    text = " ".join(page.text.split())
    assert ("Average" in text) is (days > 1)
    assert ("Median" in text) is (days == 1)
    good = 30 * PER_DAY - 3 * 6
    assert f"{good} of {30 * PER_DAY}" in text
    cells = [words(cell) for cell in page.all("td")]
    assert ("6 failed" in cells) is (days >= 30)
    assert "98.3" in text and "97.5" in text
    with alice.app.app_context():
        kept = {f"/checks/{one.id}" for one in db.session.query(Check)}
    links = {link.get("href") for link in page.all("a")}
    assert {link for link in links if str(link).startswith("/checks/")} <= kept


# --- the page ------------------------------------------------------------------------------


def furnish(alice: Person) -> str:
    """A server with a check and changes of state; returns its id."""
    smtp_id = str(alice.make_smtp(alice.make_app("shop")["_id"])["_id"])
    moment = now()  # once, or the failure lasts a millisecond longer
    with alice.app.app_context():
        smtp = db.session.get_one(Smtp, smtp_id)
        smtp.judged, smtp.created = True, now() - timedelta(days=40)
        for number, accepted in enumerate((True, False, True)):
            started = now() - timedelta(hours=5 * number + 1)
            db.session.add(
                Check(
                    smtp_id=smtp_id, smtp_version=1, started=started, ends_by=started,
                    finished=started, accepted=accepted, stage="accepted" if accepted else "auth",
                    code="SMTP_X", title="X", times={"connect": 20.0, "data": 30.0, "total": 60.0},
                )
            )  # fmt: skip
        for hours, before, after in ((12, "active", "disabled"), (6, "disabled", "active")):
            db.session.add(
                StatusChange(
                    smtp_id=smtp_id, app_id=smtp.app_id, at=moment - timedelta(hours=hours),
                    before=before, after=after, by=alice.user_id, reason="check failed",
                    note="<b>tried</b>",
                )
            )  # fmt: skip
        db.session.commit()
    return smtp_id


def test_page_of_a_server_shows_uptime_chart_and_timeline(browser: Browser, alice: Person) -> None:
    smtp_id = furnish(alice)
    page = browser.get(f"/smtps/{smtp_id}")
    assert "75%" in page.text
    assert "by alice" in page.text
    assert "<b>tried" not in page.html
    with alice.app.app_context():
        ids = {one.id for one in db.session.query(Check)}
    svg = "{http://www.w3.org/2000/svg}"
    chart = next(one for one in page.all(f"{svg}svg") if one.get("class") == "chart")
    assert {link.get("href") for link in chart.iter(f"{svg}a")} == {f"/checks/{one}" for one in ids}
    assert {one.get("class") for one in chart.iter(f"{svg}rect")} == {
        "chart-target", "part-connect", "part-data",
    }  # fmt: skip
    marks = next(one for one in page.all("ol") if one.get("class") == "marks")
    assert {link.get("href") for link in marks.iter("a")} == {f"/checks/{one}" for one in ids}
    table = " ".join(page.text.split())
    assert "The chart as a table" in table


@pytest.mark.parametrize(("days", "status"), [("7", 200), ("90", 200), ("2", 400), ("x", 400)])
def test_shown_time_can_be_chosen(browser: Browser, alice: Person, days: str, status: int) -> None:
    smtp_id = furnish(alice)
    browser.get(f"/smtps/{smtp_id}?days={days}", status=status)


def test_page_of_a_server_without_history_says_so(browser: Browser, alice: Person) -> None:
    smtp_id = alice.make_smtp(alice.make_app("shop")["_id"])["_id"]
    text = browser.get(f"/smtps/{smtp_id}").text
    assert "There are no response times for this period." in text
    assert "Its state has not changed in the last 90 days." in text


@pytest.fixture
def browser(alice: Person) -> Browser:
    return signed_in(alice.app, alice)


def test_report_of_before_without_steps_has_no_times() -> None:
    old = Report.from_dict(
        {"accepted": True, "stage": "accepted", "code": "SMTP_ACCEPTED", "title": "", "meaning": "",
         "advice": [], "temporary": False, "side": "none"}
    )  # fmt: skip
    assert facts.times_of(old) == {}
    assert facts.facts_of(old) == {}
