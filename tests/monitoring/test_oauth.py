"""Scheduled and bulk checks of servers that sign in with access tokens."""

from __future__ import annotations

import threading
from typing import Any

from flask import Flask
from sqlalchemy import update

from smtpweb.database.models import Check, SmtpOauth
from smtpweb.database.session import db, now
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.oauth_servers import Answer, fake_oauth, refusal, token
from tests.support.people import Person
from tests.support.worker import make_due, work

USER = "shop@example.com"


def register(alice: Person, idapp: str, server: FakeServer, url: str, **changes: Any) -> str:
    given = {
        "host": server.host, "port": server.port, "auth": "true", "username": USER,
        "oauthgrant": "client_credentials", "oauthclientid": "an-app",
        "oauthclientsecret": "the-secret", "oauthtokenurl": url,
    }  # fmt: skip
    made: str = alice.make_smtp(idapp, **(given | changes))["_id"]
    return made


def outcomes(app: Flask) -> list[tuple[str, bool | None]]:
    with app.app_context():
        checks = db.session.query(Check).order_by(Check.started)
        return [(check.kind, check.accepted) for check in checks]


def test_scheduled_check_signs_in_with_a_token(app: Flask, alice: Person, idapp: str) -> None:
    with fake_smtp(token=(USER, "a-token")) as server, fake_oauth(token("a-token")) as fake:
        smtp_id = register(alice, idapp, server, fake.token_url)
        make_due(app, smtp_id)
        assert work(app) == 1
        assert len(fake.requests) == 1
    assert outcomes(app) == [("scheduled", True)]
    assert alice.smtp(smtp_id)["status"] == "A"


def test_scheduled_check_without_a_token_fails_at_the_stage_token(
    app: Flask, alice: Person, idapp: str
) -> None:
    with fake_smtp() as server, fake_oauth(refusal("invalid_client")) as fake:
        smtp_id = register(alice, idapp, server, fake.token_url)
        make_due(app, smtp_id)
        work(app)
        assert server.connections == 0
    with app.app_context():
        check = db.session.query(Check).one()
        assert (check.stage, check.accepted) == ("token", False)
    assert alice.smtp(smtp_id)["status"] == "D"


def test_bulk_check_signs_in_with_tokens(app: Flask, alice: Person, idapp: str) -> None:
    with fake_smtp(token=(USER, "a-token")) as server, fake_oauth(token("a-token")) as fake:
        for port in range(3):
            register(alice, idapp, server, fake.token_url, name=f"server {port}")
        assert alice.post("/private/smtps/checkByApp", idapp=idapp).json["total"] == 3
        work(app)
        assert len(server.mails) == 3
        assert len(fake.requests) == 3


def test_workers_use_a_rotated_refresh_token_once(app: Flask, alice: Person, idapp: str) -> None:
    used: list[str] = []
    lock = threading.Lock()

    def rotate(request: dict[str, str]) -> Answer:
        with lock:
            used.append(request["refresh_token"])
            return token("a-token", refresh_token=f"refresh-{len(used) + 1}")

    with fake_smtp(token=(USER, "a-token")) as server, fake_oauth(rotate) as fake:
        grant = {"oauthgrant": "refresh_token", "oauthrefreshtoken": "refresh-1"}
        smtp_id = register(alice, idapp, server, fake.token_url, **grant)
        for _ in range(2):
            make_due(app, smtp_id)
            workers = [threading.Thread(target=work, args=(app,)) for _ in range(2)]
            for worker in workers:
                worker.start()
            by_hand = alice.get("/private/smtps/token", idsmtp=smtp_id)
            for worker in workers:
                worker.join()
            assert by_hand.json["accesstoken"] == "a-token"
            with app.app_context():  # the next round needs another token
                db.session.execute(update(SmtpOauth).values(accesstoken_until=now()))
                db.session.commit()
    assert used == ["refresh-1", "refresh-2"]
