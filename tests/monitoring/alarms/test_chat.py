"""Chat and pagers by Apprise: what arrives, and where its process may not go."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from smtpweb.mailcheck import EgressPolicy
from smtpweb.monitoring.alarms.senders import chat
from smtpweb.monitoring.alarms.senders.outcome import Message
from tests.monitoring.alarms.conftest import Shop
from tests.support.databases import ONE_DATABASE
from tests.support.fake_http import DRIP, fake_hook

pytestmark = ONE_DATABASE


def test_message_arrives_and_what_the_server_said_calls_nobody(shop: Shop) -> None:
    with fake_hook() as hook:
        channel = shop.channel("apprise", f"json://127.0.0.1:{hook.port}/x")
        shop.lose()
        shop.deliver()
    ((_, _, body),) = hook.requests
    said = json.loads(body)
    assert said["title"] == "shop cannot send: broken.example.net:587 stopped working"
    assert "Wrong user name or password" in said["message"]
    assert "535 5.7.8 no ＠everyone ‹!channel›" in said["message"]
    assert f"http://localhost/smtps/{shop.broken}" in said["message"]
    assert shop.find(channel).last_result == "Accepted."


@pytest.mark.parametrize("allow", ["", "127.0.0.1/32:1"])
def test_refused_address_is_not_connected_to(shop: Shop, allow: str) -> None:
    with fake_hook() as hook:
        channel = shop.channel("apprise", f"json://localhost:{hook.port}/x")
        shop.set_policy(EgressPolicy.parse(allow, "*").for_webhooks("*"))
        shop.lose()
        shop.deliver()
    assert hook.requests == []
    found = shop.find(channel)
    assert found.last_delivered is False
    assert "may not connect to 127.0.0.1: loopback" in found.last_result


def test_redirect_to_a_refused_address_is_not_followed(shop: Shop) -> None:
    with fake_hook((302, {"Location": "http://10.1.2.3/"})) as hook:
        channel = shop.channel("apprise", f"json://127.0.0.1:{hook.port}/x?redirect=yes")
        shop.lose()
        shop.deliver()
    assert len(hook.requests) == 1
    assert "10.1.2.3" in shop.find(channel).last_result


def test_service_that_never_ends_its_answer_is_given_up_on(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_hook(DRIP) as hook:
        channel = shop.channel("apprise", f"json://127.0.0.1:{hook.port}/x")
        monkeypatch.setattr(chat, "TIMEOUT", 6.0)
        shop.lose()
        began = time.monotonic()
        shop.deliver()
        assert time.monotonic() - began < 20
    assert "No response within 6 seconds" in shop.find(channel).last_result


def test_process_gets_no_secret_of_the_installation(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTPWEB_SECRET_KEY", "do not tell")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    seen: list[dict[str, str]] = []

    def run(_command: object, **options: object) -> None:
        seen.append(options["env"])  # type: ignore[arg-type]
        raise OSError(2, "none")

    monkeypatch.setattr(subprocess, "run", run)
    with shop.app.app_context():
        attempt = chat.send("json://127.0.0.1/x", Message("s", ()))
    assert attempt.delivered is False
    assert set(seen[0]) <= set(chat._KEPT)


def test_service_that_is_not_allowed_any_more_gets_nothing(shop: Shop) -> None:
    with fake_hook() as hook:
        channel = shop.channel("apprise", f"json://127.0.0.1:{hook.port}/x")
        shop.change_settings(apprise_schemas=frozenset())
        shop.lose()
        shop.deliver()
    assert hook.requests == []
    assert "not allowed" in shop.find(channel).last_result
