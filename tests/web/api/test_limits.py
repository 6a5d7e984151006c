"""A user's share of checks: a setting, out of that user's reach, and the same for every worker."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from smtpweb.app import create_app
from smtpweb.checking import limits
from smtpweb.database.models import StartedWork
from smtpweb.database.session import db, now
from smtpweb.errors import TooMany
from smtpweb.extensions import services
from tests.support.api_checks import check, register
from tests.support.factories import use_share
from tests.support.fake_smtp import Slowly, fake_smtp
from tests.support.oauth_servers import FakeOauth, fake_oauth, refusal, token
from tests.support.people import Person
from tests.support.threads import at_once, in_background, until


@pytest.fixture
def idapp(alice: Person) -> str:
    made: str = alice.make_app("shop", testemail="test@shop.example")["_id"]
    return made


def configure(app: Flask, **changes: Any) -> None:
    configured = services(app).settings
    services(app).settings = dataclasses.replace(configured, **changes)


def shares(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(StartedWork)) or 0


@pytest.mark.parametrize("removed", ["smtps", "apps"])
def test_removed_server_or_app_gives_no_share_back(alice: Person, idapp: str, removed: str) -> None:
    configure(alice.app, checks_per_user=2)
    with fake_smtp() as server:
        for name in ("one", "two"):
            of = alice.make_app(name, testemail="test@shop.example")["_id"]
            smtp_id = register(alice, of, server)
            assert check(alice, smtp_id).status_code == 200
            gone = {"idsmtp": smtp_id} if removed == "smtps" else {"idapp": of}
            assert alice.post(f"/private/{removed}/remove", **gone).status_code == 200
        assert check(alice, register(alice, idapp, server)).status_code == 429
        assert server.connections == 2


def test_removed_server_frees_no_place_while_its_check_goes_on(alice: Person, idapp: str) -> None:
    configure(alice.app, checks_at_once=1)
    with fake_smtp(replies={"dot": Slowly(0.7, "250 2.0.0 queued")}) as server:
        first, second = (register(alice, idapp, server) for _ in range(2))
        thread, answers = in_background(lambda: check(alice, first))
        until(lambda: "DATA" in server.heard)
        assert alice.post("/private/smtps/remove", idsmtp=first).status_code == 200
        assert check(alice, second).status_code == 429
        thread.join()
        assert answers[0].status_code == 406
        assert check(alice, second).status_code == 200  # the place came back with its end


def test_checks_at_once_are_counted_across_workers(alice: Person, idapp: str) -> None:
    configure(alice.app, checks_at_once=1)
    worker = create_app(services(alice.app).settings)  # with slots of its own
    elsewhere = Person(worker, alice.user_id, alice.name, alice.token or "")
    with fake_smtp(replies={"dot": Slowly(0.7, "250 2.0.0 queued")}) as server:
        first, second = (register(alice, idapp, server) for _ in range(2))
        thread, answers = in_background(lambda: check(alice, first))
        until(lambda: "DATA" in server.heard)
        reply = check(elsewhere, second)
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "5")
        thread.join()
        assert answers[0].status_code == 200
        assert check(elsewhere, second).status_code == 200
    with worker.app_context():
        db.engine.dispose()


def test_place_of_a_worker_that_died_comes_back_with_its_lease(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        with alice.app.app_context():
            use_share(alice, 2, lease=timedelta(seconds=60))
        assert check(alice, smtp_id).status_code == 429
        with alice.app.app_context():
            db.session.execute(update(StartedWork).values(until=now()))
            db.session.commit()
        assert check(alice, smtp_id).status_code == 200


def test_checks_sent_at_once_begin_as_far_as_allowed(alice: Person, idapp: str) -> None:
    with fake_smtp(replies={"dot": Slowly(1.5, "250 2.0.0 queued")}) as server:
        ids = [register(alice, idapp, server) for _ in range(8)]
        replies = [reply.status_code for reply in at_once(8, lambda n: check(alice, ids[n]))]
    assert sorted(replies) == [200] * 2 + [429] * 6
    assert shares(alice.app) == 2


def test_limit_of_zero_means_none(alice: Person, idapp: str) -> None:
    configure(alice.app, checks_per_user=0, checks_at_once=0)
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        with alice.app.app_context():
            use_share(alice, 40, lease=timedelta(seconds=60))
        assert check(alice, smtp_id).status_code == 200


def test_started_work_that_counts_no_more_is_forgotten(
    alice: Person, charlie: Person, idapp: str
) -> None:
    with alice.app.app_context():
        use_share(alice, 5, age=timedelta(minutes=11))
        use_share(charlie, 1)
    with fake_smtp() as server:
        assert check(alice, register(alice, idapp, server)).status_code == 200
    assert shares(alice.app) == 2  # this check, and charlie's


def test_refused_check_does_not_count(alice: Person, idapp: str) -> None:
    with fake_smtp() as server:
        smtp_id = register(alice, idapp, server)
        with alice.app.app_context():
            use_share(alice, 2, lease=timedelta(seconds=60))
        for _ in range(3):
            assert check(alice, smtp_id).status_code == 429
    assert shares(alice.app) == 2


def test_searches_and_checks_have_a_share_each(alice: Person, inside: None) -> None:
    use_share(alice, 30, kind=limits.SEARCH)
    assert limits._usage(alice.user_id, limits.SEARCH).wait > 0
    checks = limits._usage(alice.user_id, limits.CHECK)
    assert (checks.under_way, checks.wait) == (0, 0)


# --- requests to authorization servers -----------------------------------------------------


def by_oauth(idapp: str, fake: FakeOauth, **changes: Any) -> dict[str, Any]:
    given = {
        "idapp": idapp, "host": "smtp.example.com", "port": 587, "starttls": "true",
        "auth": "true", "username": "shop@example.com", "oauthgrant": "client_credentials",
        "oauthclientid": "an-app", "oauthclientsecret": "x", "oauthtokenurl": fake.token_url,
    }  # fmt: skip
    return given | changes


def ask(person: Person, smtp_id: str) -> Any:
    return person.get("/private/smtps/token", idsmtp=smtp_id)


def test_access_tokens_for_mailers_are_limited_and_cached_ones_are_not(
    alice: Person, idapp: str
) -> None:
    configure(alice.app, tokens_per_user=2, checks_per_user=0)
    with fake_oauth(token(expires_in=0)) as fake:  # no answer can be cached
        smtp_id = alice.make_smtp(**by_oauth(idapp, fake))["_id"]
        assert [ask(alice, smtp_id).status_code for _ in range(3)] == [200, 200, 429]
        refused = ask(alice, smtp_id)
        assert 0 < int(refused.headers["Retry-After"]) <= 601
        assert len(fake.requests) == 2
        configure(alice.app, tokens_per_user=3)
        fake.answers[:] = [token(expires_in=3600)]
        assert [ask(alice, smtp_id).status_code for _ in range(4)] == [200] * 4
        assert len(fake.requests) == 3


def test_share_of_access_tokens_is_that_of_one_user(
    alice: Person, charlie: Person, idapp: str
) -> None:
    configure(alice.app, tokens_per_user=1)
    with fake_oauth(token(expires_in=0)) as fake:
        mine = alice.make_smtp(**by_oauth(idapp, fake))["_id"]
        his_app = charlie.make_app("his")["_id"]
        his = charlie.make_smtp(**by_oauth(his_app, fake))["_id"]
        assert [ask(alice, mine).status_code for _ in range(2)] == [200, 429]
        assert ask(charlie, his).status_code == 200


@pytest.mark.parametrize("path", ["save", "check"])
def test_metadata_of_issuers_is_limited(alice: Person, idapp: str, path: str) -> None:
    configure(alice.app, tokens_per_user=2)
    with fake_oauth(refusal("none")) as fake:
        given = by_oauth(idapp, fake, oauthtokenurl="", oauthissuer=fake.url, mode="probe")
        replies = [alice.post(f"/private/smtps/{path}", **given) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [400, 400, 429, 429]
        assert "Retry-After" in replies[-1].headers
        assert len(fake.requests) == 4  # two places for each


def test_access_tokens_without_a_limit_are_not_refused(alice: Person, idapp: str) -> None:
    configure(alice.app, tokens_per_user=0)
    with fake_oauth(token(expires_in=0)) as fake:
        smtp_id = alice.make_smtp(**by_oauth(idapp, fake))["_id"]
        assert {ask(alice, smtp_id).status_code for _ in range(5)} == {200}
        assert len(fake.requests) == 5


def test_requests_that_hang_leave_places_to_others(alice: Person, charlie: Person) -> None:
    with alice.app.app_context():
        slots = limits.of_worker().tokens
        for _ in range(4):
            assert slots.take(alice.user_id) == ""
        with pytest.raises(TooMany), limits.token_requests(alice.user_id):
            pass
        with limits.token_requests(charlie.user_id):
            assert slots.taken == 5
        assert slots.taken == 4
