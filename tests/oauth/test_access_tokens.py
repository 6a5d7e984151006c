"""Access tokens of SMTP servers: cached, renewed by one worker at a time, and never lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from smtpweb.app import create_app
from smtpweb.database.models import Smtp, SmtpOauth
from smtpweb.database.session import db, now
from smtpweb.errors import SecretUnreadable
from smtpweb.mailcheck.diagnosis.token import NetworkFault
from smtpweb.oauth import access_tokens
from smtpweb.oauth.access_tokens import AccessToken
from smtpweb.oauth.failure import NoGrant, TokenNotObtained
from tests.conftest import KEY, settings_for
from tests.support import oauth_servers
from tests.support.oauth_servers import (
    FLOOD,
    HANG,
    Answer,
    RealOauth,
    fake_oauth,
    real_oauth,
    refusal,
    token,
)
from tests.support.people import Person

Register = Callable[..., str]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealOauth]:
    with real_oauth(tmp_path_factory.mktemp("oauth")) as running:
        yield running


def client_of(server: RealOauth) -> dict[str, str]:
    return {
        "oauthtokenurl": server.token_url,
        "oauthclientid": oauth_servers.CLIENT_ID,
        "oauthclientsecret": oauth_servers.CLIENT_SECRET,
        "oauthclientauth": "basic",
    }


def obtain(app: Flask, smtp_id: str, timeout: float = 10.0) -> AccessToken:
    with app.app_context():
        return access_tokens.obtain(smtp_id, timeout=timeout)


def failed(app: Flask, smtp_id: str, timeout: float = 10.0) -> TokenNotObtained:
    with pytest.raises(TokenNotObtained) as raised:
        obtain(app, smtp_id, timeout)
    return raised.value


def row_of(app: Flask, smtp_id: str) -> SmtpOauth:
    with app.app_context():
        return db.session.get_one(SmtpOauth, smtp_id)


def change(app: Flask, **values: Any) -> None:
    with app.app_context():
        db.session.execute(update(SmtpOauth).values(**values))
        db.session.commit()


def test_client_credentials_of_a_real_server_give_a_cached_token(
    app: Flask, server: RealOauth, oauth_smtp: Register
) -> None:
    smtp_id = oauth_smtp(**client_of(server))
    first, second = obtain(app, smtp_id), obtain(app, smtp_id)
    assert first.value.count(".") == 2  # a JWT
    assert (first.is_new, second.is_new) == (True, False)
    assert first.value == second.value
    assert timedelta(minutes=58) < first.expires - now() <= timedelta(minutes=60)


def test_refresh_token_of_a_real_server_is_rotated_and_kept(
    app: Flask, server: RealOauth, oauth_smtp: Register
) -> None:
    first = server.refresh_token()
    smtp_id = oauth_smtp(oauthgrant="refresh_token", oauthrefreshtoken=first, **client_of(server))
    for _ in range(3):  # each time with the newest, as the server takes each only once
        change(app, accesstoken_until=now())
        assert obtain(app, smtp_id).is_new
    assert not server.accepts(first)


def test_metadata_of_an_issuer_gives_the_endpoints(
    app: Flask, server: RealOauth, oauth_smtp: Register, alice: Person
) -> None:
    given = client_of(server) | {"oauthissuer": server.url}
    del given["oauthtokenurl"]
    smtp_id = oauth_smtp(**given)
    shown = alice.smtp(smtp_id)
    assert shown["oauthtokenurl"] == server.token_url
    assert shown["oauthauthurl"] == f"{server.url}/authorize"
    assert shown["oauthdeviceurl"] == f"{server.url}/device_authorization"
    assert obtain(app, smtp_id).is_new


def test_wrong_secret_of_a_real_server_is_an_invalid_client(
    app: Flask, server: RealOauth, oauth_smtp: Register
) -> None:
    smtp_id = oauth_smtp(**client_of(server) | {"oauthclientsecret": "another"})
    assert failed(app, smtp_id).failure.error == "invalid_client"
    assert row_of(app, smtp_id).renewing_by is None


# --- the cache -----------------------------------------------------------------------------


def test_token_is_requested_again_shortly_before_it_expires(
    app: Flask, oauth_smtp: Register
) -> None:
    with fake_oauth(token("one"), token("two")) as fake:
        smtp_id = oauth_smtp(oauthtokenurl=fake.token_url)
        assert obtain(app, smtp_id).value == "one"
        change(app, accesstoken_until=now() + timedelta(seconds=130))
        assert obtain(app, smtp_id).value == "one"
        change(app, accesstoken_until=now() + timedelta(seconds=110))
        assert obtain(app, smtp_id).value == "two"


def test_token_without_a_life_is_kept_for_minutes(app: Flask, oauth_smtp: Register) -> None:
    with fake_oauth(token("one", expires_in=None)) as fake:
        smtp_id = oauth_smtp(oauthtokenurl=fake.token_url)
        assert obtain(app, smtp_id).expires - now() <= timedelta(minutes=5)
        obtain(app, smtp_id)
        assert len(fake.requests) == 1


def test_tokens_are_sealed_in_the_database(app: Flask, oauth_smtp: Register) -> None:
    with fake_oauth(token("the-access-token", refresh_token="refresh-2")) as fake:
        smtp_id = oauth_smtp(
            oauthtokenurl=fake.token_url, oauthgrant="refresh_token", oauthrefreshtoken="refresh-1"
        )
        obtain(app, smtp_id)
    row = row_of(app, smtp_id)
    for column in ("clientsecret", "refreshtoken", "accesstoken"):
        sealed = getattr(row, f"{column}_sealed")
        assert sealed.startswith("v2.")
    everything = " ".join(str(value) for value in vars(row).values())
    for secret in ("the-client-secret", "refresh-1", "refresh-2", "the-access-token"):
        assert secret not in everything


@pytest.mark.parametrize(
    ("table", "values"),
    [
        (Smtp, {"host": "smtp.attacker.example"}),
        (Smtp, {"port": 2525}),
        (Smtp, {"starttls": False}),
        (Smtp, {"username": "another@example.com"}),
        (SmtpOauth, {"tokenurl": "https://login.attacker.example/token"}),
        (SmtpOauth, {"clientid": "another-app"}),
        (SmtpOauth, {"scope": "everything"}),
        (SmtpOauth, {"grant": "jwt_bearer"}),
    ],
)
def test_secret_does_not_open_after_a_change_in_the_database(
    app: Flask, oauth_smtp: Register, table: type[Any], values: dict[str, Any]
) -> None:
    with fake_oauth() as fake:
        smtp_id = oauth_smtp(oauthtokenurl=fake.token_url)
        with app.app_context():
            db.session.execute(update(table).values(**values))
            db.session.commit()
        with pytest.raises(SecretUnreadable):
            obtain(app, smtp_id)
        assert fake.requests == []


def test_server_without_a_grant_has_no_token(app: Flask, alice: Person, idapp: str) -> None:
    smtp_id = alice.make_smtp(idapp)["_id"]
    with pytest.raises(NoGrant):
        obtain(app, smtp_id)


def test_grant_without_a_sign_in_says_so(app: Flask, oauth_smtp: Register) -> None:
    with fake_oauth() as fake:
        smtp_id = oauth_smtp(
            oauthgrant="authorization_code",
            oauthtokenurl=fake.token_url,
            oauthauthurl=f"{fake.url}/authorize",
        )
        assert failed(app, smtp_id).failure.error == access_tokens.SIGN_IN_NEEDED
        assert fake.requests == []


# --- one refresh token, one request --------------------------------------------------------


def rotating() -> Callable[[dict[str, str]], Answer]:
    """Return a server that takes each refresh token once, slowly, and revokes all if not."""
    valid, lock = ["refresh-1"], threading.Lock()

    def answer(parameters: dict[str, str]) -> Answer:
        with lock:
            if parameters["refresh_token"] != valid[-1]:
                valid.append("none")
                return refusal("invalid_grant", "Token reuse")
            valid.append(f"refresh-{len(valid) + 1}")
            mine = valid[-1]
        time.sleep(0.2)
        return token(f"access-for-{mine}", refresh_token=mine)

    return answer


@pytest.fixture
def refreshing(oauth_smtp: Register) -> Callable[[str], str]:
    def register(token_url: str) -> str:
        return oauth_smtp(
            oauthgrant="refresh_token", oauthrefreshtoken="refresh-1", oauthtokenurl=token_url
        )

    return register


def test_threads_send_one_refresh_token_once(app: Flask, refreshing: Callable[[str], str]) -> None:
    with fake_oauth(rotating()) as fake:
        smtp_id = refreshing(fake.token_url)
        found: list[str] = []
        threads = [
            threading.Thread(target=lambda: found.append(obtain(app, smtp_id).value))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["access-for-refresh-2"] * 8
        assert len(fake.requests) == 1


def _obtain_in_process(database_url: str, key: str, smtp_id: str, queue: Any) -> None:
    app = create_app(settings_for(database_url, encryption_keys=(key,)))
    with app.app_context():
        queue.put(access_tokens.obtain(smtp_id, timeout=10.0).value)


def test_processes_send_one_refresh_token_once(
    app: Flask, database_url: str, refreshing: Callable[[str], str]
) -> None:
    context = multiprocessing.get_context("spawn")
    with fake_oauth(rotating()) as fake:
        smtp_id = refreshing(fake.token_url)
        queue = context.Queue()
        workers = [
            context.Process(target=_obtain_in_process, args=(database_url, KEY, smtp_id, queue))
            for _ in range(2)
        ]
        for worker in workers:
            worker.start()
        found = [queue.get(timeout=60) for _ in workers]
        for worker in workers:
            worker.join(30)
        assert found == ["access-for-refresh-2"] * 2
        assert len(fake.requests) == 1


def test_worker_that_does_not_get_the_lease_gives_up_in_time(
    app: Flask, refreshing: Callable[[str], str]
) -> None:
    with fake_oauth() as fake:
        smtp_id = refreshing(fake.token_url)
        change(app, renewing_by="a" * 24, renewing_until=now() + timedelta(seconds=20))
        failure = failed(app, smtp_id, timeout=0.3).failure
        assert failure.network is NetworkFault.TIMEOUT
        assert fake.requests == []


def _die_before_the_commit(database_url: str, key: str, smtp_id: str) -> None:
    def die(*_: object) -> AccessToken:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    access_tokens._stored = die  # type: ignore[assignment]
    app = create_app(settings_for(database_url, encryption_keys=(key,)))
    with app.app_context():
        access_tokens.obtain(smtp_id)


def kill_between_answer_and_commit(app: Flask, database_url: str, smtp_id: str) -> None:
    context = multiprocessing.get_context("spawn")
    worker = context.Process(target=_die_before_the_commit, args=(database_url, KEY, smtp_id))
    worker.start()
    worker.join(60)
    assert worker.exitcode == -signal.SIGKILL
    assert row_of(app, smtp_id).renewing_by is not None
    change(app, renewing_until=now())  # its lease runs out


def test_kill_between_answer_and_commit_is_named_if_the_old_token_is_refused(
    app: Flask, database_url: str, refreshing: Callable[[str], str]
) -> None:
    with fake_oauth(rotating()) as fake:
        smtp_id = refreshing(fake.token_url)
        kill_between_answer_and_commit(app, database_url, smtp_id)
        for _ in range(2):  # and it stays so until somebody signs in again
            failure = failed(app, smtp_id).failure
            assert (failure.error, failure.rotation_lost) == ("invalid_grant", True)
        assert [one["refresh_token"] for one in fake.requests] == ["refresh-1"] * 3


def test_kill_between_answer_and_commit_loses_nothing_that_is_still_valid(
    app: Flask, database_url: str, refreshing: Callable[[str], str]
) -> None:
    with fake_oauth(
        token("lost", refresh_token="refresh-2"),
        token("one", refresh_token="refresh-3"),
        token("two"),
    ) as fake:
        smtp_id = refreshing(fake.token_url)
        kill_between_answer_and_commit(app, database_url, smtp_id)
        assert obtain(app, smtp_id).value == "one"
        assert not row_of(app, smtp_id).interrupted
        change(app, accesstoken_until=now())
        assert obtain(app, smtp_id).value == "two"
        sent = [one["refresh_token"] for one in fake.requests]
        assert sent == ["refresh-1", "refresh-1", "refresh-3"]


@pytest.mark.parametrize("lost", [HANG, FLOOD, Answer(200, "<html>")])
def test_answer_that_is_lost_on_its_way_is_named_later(
    app: Flask, refreshing: Callable[[str], str], lost: Any
) -> None:
    with fake_oauth(lost, refusal("invalid_grant", "Unknown token")) as fake:
        smtp_id = refreshing(fake.token_url)
        assert not failed(app, smtp_id, timeout=0.5).failure.rotation_lost
        assert failed(app, smtp_id).failure.rotation_lost


def test_refusal_without_an_interruption_is_no_lost_rotation(
    app: Flask, refreshing: Callable[[str], str]
) -> None:
    with fake_oauth(refusal("invalid_grant", "Revoked")) as fake:
        smtp_id = refreshing(fake.token_url)
        for _ in range(2):
            assert not failed(app, smtp_id).failure.rotation_lost
        assert len(fake.requests) == 2


def test_busy_database_is_asked_again_before_a_refresh_token_is_lost(
    app: Flask, refreshing: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = access_tokens._stored, []

    def busy(*given: Any) -> AccessToken:
        tries.append(given)
        if len(tries) < 3:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        return real(*given)

    monkeypatch.setattr(access_tokens, "_stored", busy)
    with fake_oauth(token("one", refresh_token="refresh-2"), token("two")) as fake:
        smtp_id = refreshing(fake.token_url)
        obtain(app, smtp_id)
        change(app, accesstoken_until=now())
        obtain(app, smtp_id)
        assert fake.requests[1]["refresh_token"] == "refresh-2"


def test_edit_during_a_request_keeps_the_new_secret_and_drops_the_answer(
    app: Flask, refreshing: Callable[[str], str], alice: Person
) -> None:
    def edited_meanwhile(_parameters: dict[str, str]) -> Answer:
        smtp = alice.smtp(smtp_id)
        changed = {"idsmtp": smtp_id, "oauthrefreshtoken": "entered-meanwhile"}
        given = {name: smtp[name] for name in ("idapp", "host", "port")}
        assert alice.post("/private/smtps/save", **given, **changed).status_code == 200
        return token("of-the-old-one", refresh_token="rotated-from-the-old-one")

    with fake_oauth(edited_meanwhile, token("of-the-new-one")) as fake:
        smtp_id = refreshing(fake.token_url)
        obtain(app, smtp_id)
        assert obtain(app, smtp_id).value == "of-the-new-one"
        assert fake.requests[1]["refresh_token"] == "entered-meanwhile"


def test_request_holds_no_transaction_open(
    app: Flask, refreshing: Callable[[str], str], alice: Person, idapp: str
) -> None:
    def writes_meanwhile(_parameters: dict[str, str]) -> Answer:
        alice.make_smtp(idapp)
        return token()

    with fake_oauth(writes_meanwhile) as fake:
        assert obtain(app, refreshing(fake.token_url)).is_new


def test_removing_the_server_removes_its_secrets(
    app: Flask, refreshing: Callable[[str], str], alice: Person
) -> None:
    smtp_id = refreshing("https://login.example.com/token")
    assert alice.post("/private/smtps/remove", idsmtp=smtp_id).status_code == 200
    with app.app_context():
        assert db.session.query(SmtpOauth).count() == 0
