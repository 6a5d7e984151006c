"""The calls of alarms: create, find, test, remove; whose they are; what is never shown again."""

from __future__ import annotations

import dataclasses
import json

import pytest
from flask import Flask
from standardwebhooks import Webhook

from smtpweb.database.models import AlarmChannel
from smtpweb.database.session import db
from smtpweb.extensions import services
from tests.support.fake_http import fake_hook
from tests.support.people import Person

EVENTS = ["lost", "lastlost", "recovered", "expiring"]


@pytest.fixture(autouse=True)
def _open_loopback(app: Flask) -> None:
    settings = services(app).settings
    services(app).settings = dataclasses.replace(
        settings, webhook_egress=settings.egress.for_webhooks("*")
    )


def save(person: Person, **parameters: object) -> dict[str, object]:
    reply = person.post("/private/alarms/save", **parameters)
    assert reply.status_code == 200, reply.text
    saved: dict[str, object] = json.loads(reply.data)
    return saved


def test_webhook_is_saved_and_its_secret_shown_once(alice: Person, app: Flask) -> None:
    idapp = alice.make_app()["_id"]
    url = "https://hooks.example.com/T0/s3cret?key=s3cret"
    saved = save(alice, idapp=idapp, kind="webhook", target=url, label="on call")
    secret = saved.pop("secret")
    assert str(secret).startswith("whsec_")
    assert saved["target"] == "https://hooks.example.com/…"
    assert (saved["events"], saved["status"], saved["last"]) == (EVENTS, "A", None)
    found = alice.get("/private/alarms/findByApp", idapp=idapp)
    assert found.json == [saved]
    assert "s3cret" not in found.text
    with app.app_context():
        row = db.session.query(AlarmChannel).filter_by(app_id=idapp).one()
        for column in AlarmChannel.__table__.columns:
            assert "s3cret" not in str(getattr(row, column.key)), column
            assert str(secret) not in str(getattr(row, column.key)), column


def test_edit_keeps_what_is_absent_and_a_new_url_gets_a_new_secret(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    saved = save(alice, idapp=idapp, kind="webhook", target="https://a.example/x", events="lost")
    edited = save(alice, idapp=idapp, idalarm=saved["_id"], events="degraded,lost",
                  quietfrom="22:00", quietuntil="7:05", timezone="Europe/Madrid")  # fmt: skip
    assert "secret" not in edited
    assert edited["target"] == saved["target"]
    assert edited["events"] == ["lost", "degraded"]
    assert (edited["quietfrom"], edited["quietuntil"]) == ("22:00", "07:05")
    moved = save(alice, idapp=idapp, idalarm=saved["_id"], target="https://b.example/x")
    assert moved["target"] == "https://b.example/…"
    assert moved["secret"] != saved["secret"]


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"kind": "pigeon", "target": "x"}, "kind"),
        ({"kind": "email", "target": "nobody"}, "target"),
        ({"kind": "webhook", "target": "ftp://x.example/"}, "target"),
        ({"kind": "webhook", "target": "https://u:p@x.example/"}, "target"),
        ({"kind": "webhook", "target": "https://x.example:99999/"}, "target"),
        ({"kind": "webhook", "target": "https://exa mple/"}, "target"),
        ({"kind": "webhook", "target": "https://[::1/"}, "target"),
        ({"kind": "webhook", "target": "https://127.1/"}, "target"),
        ({"kind": "webhook", "target": "https://x.example/\r\nX: y"}, "target"),
        ({"kind": "webhook", "target": "https://x.example/" + "y" * 2000}, "target"),
        ({"kind": "apprise", "target": "json://x.example"}, "target"),
        ({"kind": "apprise", "target": "file:///etc/passwd"}, "target"),
        ({"kind": "apprise", "target": "slack://"}, "target"),
        ({"kind": "email", "target": "a@example.com", "events": "everything"}, "events"),
        ({"kind": "email", "target": "a@example.com", "timezone": "../etc/passwd"}, "timezone"),
        ({"kind": "email", "target": "a@example.com", "quietfrom": "25:00"}, "quietfrom"),
        ({"kind": "email", "target": "a@example.com", "quietfrom": "22:00"}, "quietuntil"),
    ],
)
def test_bad_values_are_refused_by_name(
    alice: Person, parameters: dict[str, str], fault: str
) -> None:
    idapp = alice.make_app()["_id"]
    reply = alice.post("/private/alarms/save", idapp=idapp, **parameters)
    assert reply.status_code == 400
    assert [error["parameter"] for error in reply.json["errors"]] == [fault]


def test_apprise_url_is_read_and_never_shown(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    saved = save(alice, idapp=idapp, kind="apprise", target="ntfys://ntfy.example/secret-topic")
    assert saved["target"] == "ntfys://…"
    assert "secret" not in saved


def test_test_sends_at_once_and_tells_the_result(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    with fake_hook(204, 404) as hook:
        saved = save(alice, idapp=idapp, kind="webhook", target=hook.url)
        good = alice.post("/private/alarms/test", idalarm=saved["_id"])
        bad = alice.post("/private/alarms/test", idalarm=saved["_id"])
    assert good.json == {"idalarm": saved["_id"], "delivered": True, "result": "HTTP 204"}
    assert bad.json["delivered"] is False and bad.json["result"].startswith("HTTP 404")
    said = Webhook(str(saved["secret"])).verify(hook.requests[0][2], hook.requests[0][1])
    assert said["type"] == "alarm.test"
    (listed,) = alice.get("/private/alarms/findByApp", idapp=idapp).json
    assert listed["last"]["result"].startswith("HTTP 404")


def test_test_that_arrives_switches_on_what_was_gone(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    with fake_hook(410, 200) as hook:
        saved = save(alice, idapp=idapp, kind="webhook", target=hook.url)
        alice.post("/private/alarms/test", idalarm=saved["_id"])
        (listed,) = alice.get("/private/alarms/findByApp", idapp=idapp).json
        assert (listed["status"], listed["reason"]) == ("D", "gone")
        alice.post("/private/alarms/test", idalarm=saved["_id"])
    (listed,) = alice.get("/private/alarms/findByApp", idapp=idapp).json
    assert (listed["status"], listed["reason"]) == ("A", None)


def test_tests_count_against_the_share_of_checks(alice: Person, app: Flask) -> None:
    settings = services(app).settings
    services(app).settings = dataclasses.replace(settings, checks_per_user=1)
    idapp = alice.make_app()["_id"]
    with fake_hook() as hook:
        saved = save(alice, idapp=idapp, kind="webhook", target=hook.url)
        assert alice.post("/private/alarms/test", idalarm=saved["_id"]).status_code == 200
        assert alice.post("/private/alarms/test", idalarm=saved["_id"]).status_code == 429


def test_alarms_of_somebody_else_are_not_found(alice: Person, charlie: Person) -> None:
    idapp = alice.make_app()["_id"]
    with fake_hook() as hook:
        saved = save(alice, idapp=idapp, kind="webhook", target=hook.url)
        theirs = charlie.make_app()["_id"]
        for path, parameters in (
            ("save", {"idalarm": saved["_id"], "idapp": theirs, "events": "lost"}),
            ("save", {"idalarm": saved["_id"], "idapp": idapp, "events": "lost"}),
            ("save", {"idapp": idapp, "kind": "email", "target": "a@example.com"}),
            ("remove", {"idalarm": saved["_id"]}),
            ("test", {"idalarm": saved["_id"]}),
        ):
            assert charlie.post(f"/private/alarms/{path}", **parameters).status_code == 406
        assert charlie.get("/private/alarms/findByApp", idapp=idapp).status_code == 406
        assert hook.requests == []


def test_alarm_moves_to_no_other_app(alice: Person) -> None:
    first, second = alice.make_app("one")["_id"], alice.make_app("two")["_id"]
    saved = save(alice, idapp=first, kind="email", target="a@example.com")
    reply = alice.post("/private/alarms/save", idapp=second, idalarm=saved["_id"], events="lost")
    assert reply.status_code == 406


def test_scopes_bound_what_a_token_may_do(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    saved = save(alice, idapp=idapp, kind="email", target="a@example.com")
    reader = alice.with_scopes("read")
    assert reader.get("/private/alarms/findByApp", idapp=idapp).status_code == 200
    for path in ("save", "remove", "test"):
        reply = reader.post(f"/private/alarms/{path}", idapp=idapp, idalarm=saved["_id"])
        assert reply.status_code == 401


def test_same_key_creates_one_alarm(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    given = {"idapp": idapp, "kind": "webhook", "target": "https://a.example/x"}
    replies = [
        alice.request("POST", "/private/alarms/save", data=given, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert replies[0].json["_id"] == replies[1].json["_id"]
    assert "secret" in replies[0].json and "secret" not in replies[1].json
    assert len(alice.get("/private/alarms/findByApp", idapp=idapp).json) == 1


def test_date_of_a_password_is_kept_until_there_is_a_new_one(alice: Person) -> None:
    idapp = alice.make_app()["_id"]
    login = {"auth": True, "username": "shop", "starttls": True}
    made = alice.make_smtp(idapp, **login, password="one", passwordexpires="2027-01-31")
    assert made["passwordexpires"] == "2027-01-31"
    assert alice.smtp(made["_id"])["passwordexpires"] == "2027-01-31"
    kept = alice.make_smtp(idapp, **login, idsmtp=made["_id"])
    assert kept["passwordexpires"] == "2027-01-31"
    renewed = alice.make_smtp(idapp, **login, idsmtp=made["_id"], password="two")
    assert "passwordexpires" not in renewed
