"""Deliveries against servers that misbehave: what arrives, how often, what becomes of a channel."""

from __future__ import annotations

import email
import email.policy
import json
import threading
import time
from datetime import timedelta

import pytest
from flask import Flask
from standardwebhooks import Webhook

from smtpweb.database.models import AlarmChannel, Smtp, User
from smtpweb.database.session import db, now, writing
from smtpweb.mailcheck import EgressPolicy
from smtpweb.monitoring.alarms import deliveries
from smtpweb.monitoring.alarms.senders import webhook
from tests.monitoring.alarms.conftest import Shop
from tests.support.fake_http import DRIP, ECHO, FLOOD, HANG, fake_hook
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.oauth_servers import fake_oauth, token
from tests.support.people import Person


def test_webhook_is_signed_and_carries_the_diagnosis(shop: Shop) -> None:
    with fake_hook(204) as hook:
        shop.channel("webhook", hook.url)
        assert shop.secret
        shop.lose()
        shop.deliver()
    ((path, headers, body),) = hook.requests
    assert path == "/hook/secret-path?key=s3cret"
    said = Webhook(shop.secret).verify(body, headers)
    assert said["type"] == "smtp.lastlost"
    data = said["data"]
    assert data["check"]["code"] == "SMTP_AUTH_WRONG_CREDENTIALS"
    assert data["check"]["steps"] == ["Enter them again.", "Check again."]
    assert data["check"]["reply"]["code"] == 535
    assert data["url"] == f"http://localhost/smtps/{shop.broken}"
    assert (data["working"], data["total"], data["inuse"]) == (0, 1, None)


def test_webhook_is_tried_three_times_with_the_same_id(shop: Shop) -> None:
    with fake_hook(500) as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        for _ in range(4):
            shop.deliver()
            shop.due_now()
    assert len(hook.requests) == 3
    assert len({headers["webhook-id"] for _, headers, _ in hook.requests}) == 1
    (delivery,) = shop.deliveries()
    assert (delivery.delivered, delivery.attempts, delivery.due_at) == (False, 3, None)
    found = shop.find(channel)
    assert found.off_since is None
    assert found.last_result == "HTTP 500: said � this"


def test_webhook_is_not_tried_again_before_its_time(shop: Shop) -> None:
    with fake_hook(500) as hook:
        shop.channel("webhook", hook.url)
        shop.lose()
        shop.deliver()
        shop.deliver()
        assert len(hook.requests) == 1
        (delivery,) = shop.deliveries()
        assert delivery.due_at is not None and delivery.due_at > now()


@pytest.mark.parametrize("deed", [HANG, DRIP])
def test_webhook_without_an_answer_is_given_up_on(
    shop: Shop, deed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 1.0)
    with fake_hook(deed) as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        began = time.monotonic()
        shop.deliver()
        assert time.monotonic() - began < 8
    assert "No response within 1 seconds" in shop.find(channel).last_result


def test_endless_body_of_a_webhook_is_not_read(shop: Shop) -> None:
    with fake_hook(FLOOD) as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        shop.deliver()
    assert shop.find(channel).last_delivered is True


def test_redirect_of_a_webhook_is_not_followed(shop: Shop) -> None:
    with fake_hook(200) as inner, fake_hook((302, {"Location": inner.url})) as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        shop.deliver()
    assert inner.requests == []
    assert "redirects are not followed" in shop.find(channel).last_result


def test_result_of_a_webhook_does_not_show_the_secret_parts_of_its_url(
    shop: Shop, alice: Person
) -> None:
    with fake_hook(ECHO) as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        shop.deliver()
        tested = alice.post("/private/alarms/test", idalarm=channel)
    assert shop.find(channel).last_result == "HTTP 404: Cannot POST /(hidden)?(hidden)"
    for text in (tested.text, alice.get("/private/alarms/findByApp", idapp=shop.idapp).text):
        assert "Cannot POST" in text
        assert "s3cret" not in text
        assert "secret-path" not in text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:{port}/", "loopback"),
        ("http://localhost:{port}/", "loopback"),
        ("http://[::ffff:127.0.0.1]:{port}/", "loopback"),
        ("http://169.254.169.254/latest", "metadata"),
        ("http://10.1.2.3/", "RFC 1918"),
    ],
)
def test_webhook_to_a_refused_address_sends_nothing(shop: Shop, url: str, said: str) -> None:
    shop.set_policy(EgressPolicy().for_webhooks("*"))
    with fake_hook() as hook:
        channel = shop.channel("webhook", url.format(port=hook.port))
        shop.lose()
        shop.deliver()
    assert hook.requests == []
    assert said in shop.find(channel).last_result


def test_webhook_to_another_port_sends_nothing(shop: Shop) -> None:
    with fake_hook() as hook:
        # Even one that a check may reach
        allowed = EgressPolicy.parse(f"127.0.0.1/32:{hook.port}", "25").for_webhooks("443,80")
        shop.set_policy(allowed)
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        shop.deliver()
    assert hook.requests == []
    assert f"SMTPWEB_WEBHOOK_PORTS=80,443,{hook.port}" in shop.find(channel).last_result


def test_webhook_that_answers_410_is_switched_off_and_its_owner_told_by_email(
    shop: Shop, backup: FakeServer
) -> None:
    shop.add(backup.host, backup.port)
    with fake_hook(410) as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        shop.deliver()
        shop.deliver()
        shop.recover()
        shop.deliver()
    assert len(hook.requests) == 1
    found = shop.find(channel)
    assert (found.off_reason, found.off_since is None) == ("gone", False)
    (mail,) = backup.mails
    assert mail[1] == ["alice@example.com"]
    assert "switched off" in decoded(mail[2])["Subject"]
    assert "410" in decoded(mail[2]).get_content()
    assert "secret-path" not in decoded(mail[2]).get_content()


def test_channel_that_fails_for_a_day_is_switched_off_and_told_to_another_channel(
    shop: Shop,
) -> None:
    with fake_hook(500) as hook, fake_hook(200) as other:
        channel = shop.channel("webhook", hook.url)
        shop.channel("webhook", other.url)
        shop.lose()
        shop.deliver()
        assert shop.find(channel).off_since is None
        with shop.app.app_context(), writing() as session:
            session.get_one(AlarmChannel, channel).failing_since = now() - timedelta(days=1)
        shop.due_now()
        shop.deliver()
        shop.deliver()
    assert shop.find(channel).off_reason == "failing"
    types = [json.loads(body)["type"] for _, _, body in other.requests]
    assert types == ["smtp.lastlost", "alarm.off"]


def test_delivery_that_succeeds_ends_the_day_of_failing(shop: Shop) -> None:
    with fake_hook(500, 200) as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        shop.deliver()
        assert shop.find(channel).failing_since is not None
        shop.due_now()
        shop.deliver()
    assert shop.find(channel).failing_since is None


# --- email ------------------------------------------------------------------------------------


def decoded(raw: bytes) -> email.message.EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_email_goes_through_another_server_and_carries_the_diagnosis(
    shop: Shop, backup: FakeServer
) -> None:
    shop.add(backup.host, backup.port)
    shop.channel("email", "ops@example.com")
    shop.lose()
    shop.deliver()
    ((sender, to, raw),) = backup.mails
    assert (sender, to) == ("shop@example.com", ["ops@example.com"])
    text = decoded(raw).get_content()
    assert decoded(raw)["Subject"] == "broken.example.net:587 stopped working (shop)"
    for part in (
        "Wrong user name or password", "The server refused them.", "1. Enter them again.",
        "535 5.7.8 no @everyone", f"In use: {backup.host}:{backup.port}",
        f"http://localhost/smtps/{shop.broken}",
    ):  # fmt: skip
        assert part in text, part


def test_email_never_goes_through_the_server_that_it_is_about(shop: Shop, alice: object) -> None:
    with fake_smtp() as own:
        smtp = shop.add(own.host, own.port, priority=2)
        shop.channel("email", "ops@example.com")
        shop.lose()
        shop.lose(smtp)  # nothing works now
        with shop.app.app_context(), writing() as session:
            # It would take emails, and looks as if it worked: it is still never asked
            session.get_one(Smtp, smtp).enabled = True
            session.get_one(Smtp, shop.broken).enabled = False
        shop.deliver()
        subjects = [str(decoded(raw)["Subject"]) for _, _, raw in own.mails]
        assert subjects == ["broken.example.net:587 stopped working (shop)"]
    waiting = [one for one in shop.deliveries() if one.delivered is None]
    assert len(waiting) == 1
    assert "No other SMTP server" in (waiting[0].result or "")


def test_email_without_a_working_server_does_not_count_against_its_channel(shop: Shop) -> None:
    channel = shop.channel("email", "ops@example.com")
    shop.lose()
    shop.deliver()
    found = shop.find(channel)
    assert (found.last_delivered, found.failing_since) == (False, None)


def test_email_goes_on_to_the_next_server_where_one_refuses(shop: Shop, backup: FakeServer) -> None:
    with fake_smtp(replies={"MAIL": "550 5.7.1 not you"}) as refusing:
        shop.add(refusing.host, refusing.port, priority=2)
        shop.add(backup.host, backup.port, priority=3)
        shop.channel("email", "ops@example.com")
        shop.lose()
        shop.deliver()
        assert refusing.connections == 1
    assert len(backup.mails) == 1


def test_email_goes_through_another_app_of_the_owner_but_of_nobody_else(
    shop: Shop, backup: FakeServer, charlie: object
) -> None:
    with fake_smtp() as foreign:
        theirs = charlie.make_app("theirs")  # type: ignore[attr-defined]
        smtp = charlie.make_smtp(theirs["_id"], host=foreign.host, port=foreign.port)  # type: ignore[attr-defined]
        other = shop.alice.make_app("other", defaultfromemail="other@example.com")
        mine = shop.alice.make_smtp(other["_id"], host=backup.host, port=backup.port)
        with shop.app.app_context(), writing() as session:
            for one in (smtp, mine):
                session.get_one(Smtp, one["_id"]).judged = True
        shop.channel("email", "ops@example.com")
        shop.lose()
        shop.deliver()
        assert foreign.connections == 0
    assert [mail[0] for mail in backup.mails] == ["other@example.com"]


def test_email_speaks_the_language_of_the_account(shop: Shop, backup: FakeServer) -> None:
    shop.add(backup.host, backup.port)
    shop.channel("email", "ops@example.com")
    with shop.app.app_context(), writing() as session:
        session.get_one(User, shop.alice.user_id).language = "es"
    shop.lose()
    shop.deliver()
    assert "dejó de funcionar" in decoded(backup.mails[0][2])["Subject"]


def test_alarms_of_one_moment_are_one_email_and_a_webhook_each(
    shop: Shop, backup: FakeServer
) -> None:
    lost = [shop.broken, *(shop.add(f"mail{n}.example.net", 25) for n in range(5))]
    shop.add(backup.host, backup.port)
    shop.channel("email", "ops@example.com")
    with fake_hook() as hook:
        shop.channel("webhook", hook.url)
        for smtp_id in lost:
            shop.lose(smtp_id)
        shop.deliver()
    assert len(hook.requests) == 6
    (mail,) = backup.mails
    assert decoded(mail[2])["Subject"] == "6 alarms of shop"
    assert decoded(mail[2]).get_content().count("stopped working") == 6
    assert all(one.delivered for one in shop.deliveries())


# --- who delivers ------------------------------------------------------------------------------


def test_delivery_is_sent_once_by_two_deliverers(shop: Shop) -> None:
    with fake_hook() as hook:
        shop.channel("webhook", hook.url)
        lost = [shop.broken, *(shop.add(f"mail{n}.example.net", 25) for n in range(9))]
        for smtp_id in lost:
            shop.lose(smtp_id)
        threads = [threading.Thread(target=shop.deliver) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ids = [headers["webhook-id"] for _, headers, _ in hook.requests]
    assert len(ids) == len(set(ids)) == 10


def test_deliverer_that_dies_before_the_attempt_loses_nothing(shop: Shop, app: Flask) -> None:
    with fake_hook() as hook:
        shop.channel("webhook", hook.url)
        shop.lose()
        with app.app_context():
            assert len(deliveries._claim()) == 1  # and here it is killed
        shop.deliver()
        assert hook.requests == []  # somebody has it
        shop.later(seconds=deliveries.LEASE.total_seconds())
        shop.deliver()
        shop.deliver()
    assert len(hook.requests) == 1


def test_outcome_that_comes_after_the_lease_is_not_written(shop: Shop, app: Flask) -> None:
    with fake_hook() as hook:
        shop.channel("webhook", hook.url)
        shop.lose()
        with app.app_context():
            (late,) = deliveries._claim()
        shop.later(seconds=deliveries.LEASE.total_seconds())
        shop.deliver()
        with app.app_context():
            assert deliveries._deliver(late) == 0
            db.session.remove()
    assert len(hook.requests) == 1


def test_removed_channel_ends_what_is_on_its_way(shop: Shop) -> None:
    with fake_hook() as hook:
        channel = shop.channel("webhook", hook.url)
        shop.lose()
        with shop.app.app_context():
            from smtpweb.monitoring.alarms import channels

            channels.remove(shop.alice.user_id, channel)
        shop.deliver()
    assert hook.requests == []
    assert shop.deliveries() == []


def test_alarm_is_sent_by_a_server_that_signs_in_with_tokens(shop: Shop) -> None:
    login = ("shop@example.com", "a-token")
    with fake_smtp(token=login) as server, fake_oauth(token("a-token")) as oauth:
        shop.add(
            server.host, server.port, auth="true", username=login[0], oauthclientid="an-app",
            oauthgrant="client_credentials", oauthclientsecret="s", oauthtokenurl=oauth.token_url,
        )  # fmt: skip
        shop.channel("email", "ops@example.com")
        shop.lose()
        shop.deliver()
        assert len(server.mails) == 1
