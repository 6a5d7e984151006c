"""What is told: which changes, to whom, how often, and what comes with time."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from smtpweb.database.models import AlarmChannel, AlarmEvent, AlarmSweep, App, Check, Smtp
from smtpweb.database.session import db, now, writing
from smtpweb.mailcheck.core import trust
from smtpweb.monitoring.alarms import events, notice_operator, quiet_hours, sweeps, texts
from smtpweb.monitoring.alarms.kinds import Kind
from smtpweb.registry import status
from tests.monitoring.alarms.conftest import Shop
from tests.support.fake_certificates import client_pair
from tests.support.fake_http import FakeHook, fake_hook
from tests.support.fake_smtp import FakeServer
from tests.support.people import Person


@pytest.fixture
def hook(shop: Shop) -> Iterator[FakeHook]:
    """A webhook of the app that wants all there is."""
    with fake_hook() as hook:
        shop.channel("webhook", hook.url, events="lost lastlost recovered expiring degraded")
        yield hook


def types(hook: FakeHook) -> list[str]:
    return [json.loads(body)["type"] for _, _, body in hook.requests]


def data(hook: FakeHook) -> dict[str, object]:
    found: dict[str, object] = json.loads(hook.requests[-1][2])["data"]
    return found


def sweep(shop: Shop) -> None:
    """Look for what comes with time, whoever did so last."""
    with shop.app.app_context():
        with writing() as session:
            session.query(AlarmSweep).delete()
        sweeps.run()


# --- changes ------------------------------------------------------------------------------------


def test_first_server_lost_names_the_backup_in_use(shop: Shop, hook: FakeHook) -> None:
    shop.add("backup.example.net", 25, priority=2)
    shop.lose()
    shop.deliver()
    assert types(hook) == ["smtp.lost"]
    assert (data(hook)["working"], data(hook)["inuse"]) == (1, "backup.example.net:25")


def test_last_server_lost_and_the_first_one_back(shop: Shop, hook: FakeHook) -> None:
    backup = shop.add("backup.example.net", 25, priority=2)
    shop.lose()
    shop.lose(backup)
    shop.recover()
    shop.deliver()
    assert types(hook) == ["smtp.lost", "smtp.lastlost", "smtp.recovered"]
    assert "since" in data(hook)


def test_lost_server_that_fails_again_raises_no_alarm(shop: Shop, hook: FakeHook) -> None:
    shop.lose()
    shop.lose()
    shop.deliver()
    assert types(hook) == ["smtp.lastlost"]


def test_new_server_that_a_person_checks_is_told_nobody(shop: Shop, hook: FakeHook) -> None:
    made = shop.alice.make_smtp(shop.idapp, host="new.example.net", port=25)["_id"]
    shop.check(made, accepted=False, by=shop.alice.user_id)
    shop.check(made, accepted=True, by=shop.alice.user_id)
    assert shop.kinds() == []


def test_new_server_that_the_schedule_finds_broken_is_told(shop: Shop, hook: FakeHook) -> None:
    made = shop.alice.make_smtp(shop.idapp, host="new.example.net", port=25)["_id"]
    with shop.app.app_context(), writing() as session:
        session.get_one(Smtp, made).uncheckable = None
    shop.lose(made)
    shop.deliver()
    assert types(hook) == ["smtp.lost"]
    assert data(hook)["text"] == "new.example.net:25 does not work (shop)"


def test_server_that_a_person_turns_off_is_told_nobody_and_ends_its_alarm(
    shop: Shop, hook: FakeHook
) -> None:
    shop.lose()
    with shop.app.app_context(), writing() as session:
        smtp = session.get_one(Smtp, shop.broken)
        with status.changing(smtp, status.Reason.TURNED_OFF, by=shop.alice.user_id):
            smtp.off_since = now()
    assert shop.kinds() == ["lastlost"]
    assert shop.events()[0].ended is not None
    shop.later(days=2)
    sweep(shop)
    assert len(shop.deliveries()) == 1


def test_change_and_its_alarm_are_one_transaction(shop: Shop, hook: FakeHook) -> None:
    def fail() -> None:
        with shop.app.app_context(), writing() as session:
            smtp = session.get_one(Smtp, shop.broken)
            check = Check(smtp_id=smtp.id, smtp_version=1, ends_by=now())
            session.add(check)
            session.flush()
            with status.changing(smtp, status.Reason.CHECK_FAILED, check=check):
                smtp.enabled = False
            assert session.query(AlarmEvent).count() == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert shop.kinds() == []
    assert shop.alice.smtp(shop.broken)["status"] == "A"


def test_channel_is_told_only_what_it_wants(shop: Shop) -> None:
    with fake_hook() as hook:
        shop.channel("webhook", hook.url, events="recovered")
        shop.lose()
        shop.recover()
        shop.deliver()
        assert types(hook) == ["smtp.recovered"]


def test_alarms_go_to_the_app_its_account_and_nobody_else(shop: Shop, charlie: Person) -> None:
    with fake_hook() as of_account, fake_hook() as of_other, fake_hook() as of_charlie:
        shop.channel("webhook", of_account.url, app_id=None)
        other = shop.alice.make_app("other")["_id"]
        shop.channel("webhook", of_other.url, app_id=other)
        theirs = charlie.make_app()["_id"]
        reply = charlie.post(
            "/private/alarms/save", idapp=theirs, kind="webhook", target=of_charlie.url
        )
        assert reply.status_code == 200
        shop.lose()
        shop.deliver()
        assert types(of_account) == ["smtp.lastlost"]
        assert of_other.requests == of_charlie.requests == []


# --- what lasts ---------------------------------------------------------------------------------


def test_alarm_is_repeated_daily_while_it_lasts(shop: Shop, hook: FakeHook) -> None:
    shop.lose()
    shop.deliver()
    sweep(shop)
    shop.deliver()
    assert types(hook) == ["smtp.lastlost"]
    for day in (1, 2):
        shop.later(days=1)
        sweep(shop)
        sweep(shop)  # another worker, at the same time
        shop.deliver()
        assert len(hook.requests) == 1 + day
        assert data(hook)["repeat"] == day
    shop.recover()
    shop.deliver()
    shop.later(days=3)
    sweep(shop)
    shop.deliver()
    assert types(hook) == ["smtp.lastlost"] * 3 + ["smtp.recovered"]


def test_repeat_says_what_is_left_now(shop: Shop, hook: FakeHook) -> None:
    backup = shop.add("backup.example.net", 25, priority=2)
    shop.lose(backup)
    shop.lose()
    shop.recover(backup)
    shop.deliver()
    shop.later(days=1)
    sweep(shop)
    shop.deliver()
    assert types(hook)[-1] == "smtp.lost"
    assert (data(hook)["working"], data(hook)["inuse"]) == (1, "backup.example.net:25")


def test_third_change_within_an_hour_is_the_last_one_told(shop: Shop, hook: FakeHook) -> None:
    shop.add("backup.example.net", 25, priority=2)
    for _ in range(4):
        shop.lose()
        shop.recover()
    shop.deliver()
    assert types(hook) == ["smtp.lost", "smtp.recovered", "smtp.unsteady"]
    shop.lose()
    shop.later(minutes=59)
    sweep(shop)
    shop.deliver()
    assert len(hook.requests) == 3
    shop.later(minutes=2)
    sweep(shop)
    shop.deliver()
    assert types(hook)[3:] == ["smtp.lost"]
    shop.recover()
    shop.deliver()
    assert types(hook)[4:] == ["smtp.recovered"]


def test_unsteady_server_that_ends_well_is_told_so(shop: Shop, hook: FakeHook) -> None:
    shop.lose()
    shop.recover()
    shop.lose()
    shop.recover()
    shop.later(minutes=61)
    sweep(shop)
    shop.deliver()
    assert types(hook)[-2:] == ["smtp.unsteady", "smtp.recovered"]


def test_last_server_lost_is_told_amid_the_noise_of_another(shop: Shop, hook: FakeHook) -> None:
    backup = shop.add("backup.example.net", 25, priority=2)
    for _ in range(2):
        shop.lose()
        shop.recover()
    shop.deliver()
    shop.lose(backup)
    with shop.app.app_context(), writing() as session:
        for event in session.query(AlarmEvent):
            event.at -= timedelta(hours=1)
    shop.lose()
    shop.deliver()
    assert types(hook)[-1] == "smtp.lastlost"


def test_server_degraded_for_a_day_is_told_once(shop: Shop, hook: FakeHook) -> None:
    with shop.app.app_context(), writing() as session:
        session.get_one(Smtp, shop.broken).degraded_since = now() - timedelta(hours=23)
    sweep(shop)
    assert shop.kinds() == []
    with shop.app.app_context(), writing() as session:
        session.get_one(Smtp, shop.broken).degraded_since = now() - timedelta(hours=25)
    sweep(shop)
    sweep(shop)
    shop.deliver()
    assert types(hook) == ["smtp.degraded"]


# --- quiet hours --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "due"),
    [
        ("2026-11-27T21:30", "2026-11-28T06:00"),  # 22:30 in Madrid
        ("2026-11-27T05:59", "2026-11-27T06:00"),
        ("2026-11-27T06:00", "2026-11-27T06:00"),
        ("2026-11-27T20:59", "2026-11-27T20:59"),
        ("2026-07-01T20:00", "2026-07-02T05:00"),  # summer time
        ("2026-03-28T23:00", "2026-03-29T05:00"),  # the night that has an hour less
    ],
)
def test_quiet_hours_follow_the_clock_of_their_zone(moment: str, due: str) -> None:
    at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    found = quiet_hours.after(at, 22 * 60, 7 * 60, "Europe/Madrid")
    assert found == datetime.fromisoformat(due).replace(tzinfo=UTC)


def test_quiet_hours_within_a_day(shop: Shop) -> None:
    at = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
    assert quiet_hours.after(at, 12 * 60, 14 * 60, "UTC").hour == 14
    assert quiet_hours.after(at, 14 * 60, 12 * 60, "UTC") == at
    assert quiet_hours.after(at, None, None, "UTC") == at


def test_alarm_in_quiet_hours_comes_when_they_end(shop: Shop) -> None:
    with fake_hook() as hook:
        moment = now()
        minute = moment.hour * 60 + moment.minute
        shop.channel(
            "webhook", hook.url, quiet_from=(minute - 1) % 1440, quiet_until=(minute + 60) % 1440
        )
        shop.lose()
        shop.recover()
        shop.deliver()
        assert hook.requests == []
        shop.due_now()
        shop.deliver()
        assert types(hook) == ["smtp.lastlost", "smtp.recovered"]


# --- what expires -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column", ["certificate_expires", "clientcertificate_expires", "passwordexpires"]
)
@pytest.mark.parametrize(
    ("days", "told"), [(21.1, False), (20.9, True), (6.9, True), (0.9, True), (-0.1, False)]
)
def test_expiry_is_told_from_21_days_before_until_it_is_over(
    shop: Shop, hook: FakeHook, column: str, days: float, told: bool
) -> None:
    with shop.app.app_context(), writing() as session:
        setattr(session.get_one(Smtp, shop.broken), column, now() + timedelta(days=days))
    sweep(shop)
    assert shop.kinds() == (["expiring"] if told else [])


def test_expiry_of_a_client_secret_is_named_as_such(shop: Shop, hook: FakeHook) -> None:
    with shop.app.app_context(), writing() as session:
        smtp = session.get_one(Smtp, shop.broken)
        smtp.passwordexpires, smtp.uses_oauth = now() + timedelta(days=5), True
    with shop.app.test_request_context():
        sweeps._expiring()
        (event,) = db.session.query(AlarmEvent)
        message = texts.message(event)
    assert message.subject.startswith("Client secret of ")
    assert "settings of the application at the provider" in message.text


def test_expiry_of_a_client_certificate_is_named_as_such(shop: Shop, hook: FakeHook) -> None:
    certificate, key = client_pair()
    given = {"idsmtp": shop.broken, "host": "broken.example.net", "port": 587}
    shop.alice.make_smtp(shop.idapp, **given, clientcertificate=certificate, clientkey=key)
    with shop.app.app_context(), writing() as session:
        smtp = session.get_one(Smtp, shop.broken)
        assert smtp.clientcertificate_expires == trust.expires(certificate)
        smtp.clientcertificate_expires = now() + timedelta(days=5)
    with shop.app.test_request_context():
        sweeps._expiring()
        (event,) = db.session.query(AlarmEvent)
        message = texts.message(event)
    assert message.subject.startswith("Client certificate of ")
    assert "enter it with its key" in message.text
    shop.alice.make_smtp(shop.idapp, **given, clientcertificate="automatic")
    with shop.app.app_context():
        assert db.session.get_one(Smtp, shop.broken).clientcertificate_expires is None


def test_expiry_is_told_again_at_7_days_and_at_1_day(
    shop: Shop, hook: FakeHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = now()
    with shop.app.app_context(), writing() as session:
        session.get_one(Smtp, shop.broken).passwordexpires = moment + timedelta(days=30)
    counts = []
    for day in (8, 9, 10, 22, 23, 24, 28, 29, 30):
        monkeypatch.setattr(sweeps, "now", lambda day=day: moment + timedelta(days=day, hours=1))
        with shop.app.app_context():
            sweeps._expiring()
        counts.append(len(shop.events()))
    assert counts == [0, 1, 1, 1, 2, 2, 2, 3, 3]


def test_expiry_of_one_date_is_told_once_for_each_threshold(shop: Shop, hook: FakeHook) -> None:
    with shop.app.app_context(), writing() as session:
        session.get_one(Smtp, shop.broken).certificate_expires = now() + timedelta(days=20)
    for _ in range(3):
        sweep(shop)
    shop.deliver()
    assert types(hook) == ["smtp.expiring"]
    assert (data(hook)["what"], data(hook)["days"]) == ("certificate", 19)


def test_certificate_of_a_check_is_remembered(shop: Shop) -> None:
    from tests.support.factories import trust
    from tests.support.fake_smtp import fake_smtp

    with fake_smtp(tls="starttls") as server:
        trust(shop.app, server)
        made = shop.alice.make_smtp(shop.idapp, host="localhost", port=server.port, starttls=True)[
            "_id"
        ]
        assert shop.alice.post("/private/smtps/check", idsmtp=made).status_code == 200
    with shop.app.app_context():
        expires = db.session.get_one(Smtp, made).certificate_expires
    assert expires is not None and expires > now()


# --- reports, operators, old rows ---------------------------------------------------------------


def test_weekly_report_names_apps_uptime_changes_and_expiry(shop: Shop, backup: FakeServer) -> None:
    good = shop.add(backup.host, backup.port, priority=2)
    channel = shop.channel("email", "ops@example.com", weekly=True, events="degraded")
    shop.lose()
    with shop.app.app_context(), writing() as session:
        found = session.get_one(AlarmChannel, channel)
        assert found.weekly_at is not None and found.weekly_at.weekday() == 0
        found.weekly_at = now()
        session.get_one(Smtp, good).passwordexpires = now() + timedelta(days=10)
        session.get_one(App, shop.idapp).name = "Läden <b>"
    shop.deliver()
    shop.deliver()
    (mail,) = backup.mails
    parsed = email.message_from_bytes(mail[2], policy=email.policy.default)
    text = parsed.get_content()
    assert parsed["Subject"] == "Weekly report of your SMTP servers"
    assert "Läden <b>: 1 of 2 SMTP servers works, uptime 100.0" in text
    assert "broken.example.net:587 (Läden <b>): failed and was disabled" in text
    assert "password" in text
    assert shop.find(channel).weekly_at > now()


def test_cause_on_our_side_is_told_every_administrator_once(
    shop: Shop, charlie: Person, backup: FakeServer
) -> None:
    shop.add(backup.host, backup.port)
    for _ in range(2):
        with shop.app.app_context(), writing():
            notice_operator("dns:1", {"code": "SMTP_DNS", "title": "DNS is silent", "checks": 3})
    shop.deliver()
    (mail,) = backup.mails
    assert mail[1] == ["alice@example.com"]
    assert "DNS is silent" in str(
        email.message_from_bytes(mail[2], policy=email.policy.default)["Subject"]
    )


def test_new_account_is_told_by_email_without_any_setting(shop: Shop, backup: FakeServer) -> None:
    from smtpweb.accounts import users

    with shop.app.app_context():
        user = users.create_user("dora", "dora@example.com", "correct horse battery staple")
        (channel,) = db.session.query(AlarmChannel).filter_by(user_id=user.id)
        assert (channel.kind, channel.app_id, channel.target_sealed) == ("email", None, None)
        assert channel.events.split() == ["lost", "lastlost", "recovered", "expiring"]


def test_old_events_go_and_lasting_ones_stay(shop: Shop, hook: FakeHook) -> None:
    shop.lose()
    shop.recover()
    shop.lose()  # the third change: this one is unsteady
    with shop.app.app_context(), writing() as session:
        for event in session.query(AlarmEvent):
            event.at -= timedelta(days=91)
    sweep(shop)
    assert [event.kind for event in shop.events()] == ["unsteady"]


def test_sweep_is_done_by_one_of_many_workers_within_an_hour(shop: Shop) -> None:
    with shop.app.app_context():
        turns = [sweeps._my_turn("expiry", timedelta(hours=1)) for _ in range(3)]
    assert turns == [True, False, False]


def test_event_of_one_key_is_written_once(shop: Shop, hook: FakeHook) -> None:
    with shop.app.app_context(), writing() as session:
        smtp = session.get_one(Smtp, shop.broken)
        facts = events.facts_of(smtp)
        created = [events.notify(Kind.LOST, "same", smtp, facts) for _ in range(2)]
    assert created == [True, False]
    assert len(shop.deliveries()) == 1
