"""Hashing of passwords: few at once, a short queue, nothing kept, the same for unknown names."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask

from smtpweb.accounts import hashing, users
from smtpweb.checking.limits import WorkerLimits
from smtpweb.config import ROOT
from smtpweb.database.models import User
from smtpweb.database.session import db
from smtpweb.errors import TooMany
from smtpweb.extensions import services
from tests.support.people import PASSWORD, Person, Visitor
from tests.support.threads import in_background, until

# What installations use; while tests run, the fixtures put quicker ones in their place.
INSTALLED_HASHER = hashing._hasher
INSTALLED_DUMMY_HASH = hashing.DUMMY_HASH


class Hasher:
    """In place of the real one: counts, and goes on only when it may."""

    def __init__(self) -> None:
        self.verified: list[str] = []
        self.running = self.most = 0
        self.may_go_on = threading.Event()
        self._lock = threading.Lock()

    def verify(self, hashed: str, _password: bytes) -> bool:
        with self._lock:
            self.verified.append(hashed)
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.may_go_on.wait(30)
        with self._lock:
            self.running -= 1
        return True

    def check_needs_rehash(self, _hashed: str) -> bool:
        return False


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hasher]:
    hasher = Hasher()
    monkeypatch.setattr(hashing, "_hasher", hasher)
    yield hasher
    hasher.may_go_on.set()


@pytest.mark.parametrize(("slots", "queue"), [(None, None), (1, 0), (2, 3)])
def test_login_beyond_the_slots_and_the_queue_is_refused_at_once(
    hasher: Hasher, app: Flask, alice: Person, slots: int | None, queue: int | None
) -> None:
    settings = services(app).settings
    if slots is not None and queue is not None:
        settings = dataclasses.replace(settings, hash_slots=slots, hash_queue=queue)
        services(app).limits = WorkerLimits.of(settings)
    pool = services(app).limits.hashing
    assert (pool.slots, pool.queue) == (settings.hash_slots, settings.hash_queue)

    def matches() -> bool:
        with app.app_context():
            return hashing.matches("hash", "password")

    begun = [in_background(matches) for _ in range(pool.slots + pool.queue)]
    until(lambda: hasher.running == pool.slots and pool.is_full)

    def is_refused() -> bool:
        with pytest.raises(TooMany):
            matches()
        return True

    thread, answers = in_background(is_refused)
    thread.join(10)
    assert answers == [True], "it waits"
    reply = Visitor(app).post("/auth/login", username="alice", password=PASSWORD)
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "2")
    hasher.may_go_on.set()
    for thread, answers in begun:
        thread.join()
        assert answers == [True]
    assert hasher.most == pool.slots
    assert matches()


def test_dummy_hash_has_the_parameters_of_a_real_one() -> None:
    assert not INSTALLED_HASHER.check_needs_rehash(INSTALLED_DUMMY_HASH)
    assert INSTALLED_HASHER.check_needs_rehash(hashing.DUMMY_HASH), "not what installations use"


@pytest.mark.parametrize("name", ["nobody", "al\x00ice", "ali\u200bce", "x" * 5000, "\ud800"])
def test_unknown_name_costs_a_hash_like_a_known_one(
    hasher: Hasher, alice: Person, inside: None, name: str
) -> None:
    hasher.may_go_on.set()
    assert users.sign_in(name, PASSWORD, "192.0.2.0/24") is None
    assert hasher.verified == [hashing.DUMMY_HASH]
    assert users.sign_in("alice", PASSWORD, "192.0.2.0/24")
    assert len(hasher.verified) == 2


def test_failed_hash_gives_its_place_back(
    app: Flask, inside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def hash(self, _password: str) -> str:
            raise MemoryError

    monkeypatch.setattr(hashing, "_hasher", Broken())
    pool = services(app).limits.hashing
    for _ in range(pool.slots + pool.queue + 1):
        with pytest.raises(MemoryError):
            hashing.hash_of("password")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_burst_of_logins_leaves_no_memory_behind() -> None:
    """In a process of its own: its 64 threads are those of a worker that serves the burst."""
    program = """
import threading
from smtpweb.accounts import hashing
from smtpweb.app import create_app
from smtpweb.errors import TooMany
from tests.conftest import settings_for
app = create_app(settings_for("sqlite:////nowhere.db"))
def login():
    try:
        with app.app_context():
            hashing.matches(hashing.DUMMY_HASH, "guess")
    except TooMany:
        pass
def burst():
    threads = [threading.Thread(target=login) for _ in range(64)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
burst()
login()
print(resident())
"""
    idle = program.partition("def login")[0] + (
        "print(int(open('/proc/self/statm').read().split()[1]) * 4096)"
    )
    before, after = (
        int(
            subprocess.run(
                [sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout
        )
        for text in (idle, program)
    )
    assert after - before < 16 * 1024**2


def test_hash_of_older_parameters_is_renewed_when_its_owner_signs_in(
    app: Flask, alice: Person, inside: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_hasher", INSTALLED_HASHER)
    older = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash(PASSWORD)
    db.session.get_one(User, alice.user_id).password_hash = older
    db.session.commit()
    assert users.sign_in("alice", "wrong", "192.0.2.0/24") is None
    assert users.sign_in("alice", PASSWORD, "192.0.2.0/24")
    db.session.expire_all()
    renewed = db.session.get_one(User, alice.user_id).password_hash
    assert renewed != older
    assert "m=47104,t=1,p=1" in renewed
    assert users.sign_in("alice", PASSWORD, "192.0.2.0/24")
