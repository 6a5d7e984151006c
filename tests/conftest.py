"""The fixtures that everybody needs: databases, the application, and the people who use it."""

from __future__ import annotations

import gc
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from flask import Flask
from sqlalchemy import create_engine

from smtpweb import installation
from smtpweb.accounts import hashing
from smtpweb.app import create_app
from smtpweb.checking import runner
from smtpweb.config import MIGRATIONS, Settings
from smtpweb.database import migrations, secret_box
from smtpweb.database.session import Base, db
from smtpweb.mailcheck import EgressPolicy
from tests.support import databases, postgres_cluster, url_rules
from tests.support.browser import Browser, signed_in
from tests.support.databases import DATABASES
from tests.support.people import QUICK_HASHER, Person, Visitor, make_person
from tests.support.postgres_cluster import create_database, shared_cluster

KEY = secret_box.new_key()
# The tables of a fresh installation: everything else is emptied between tests.
_KEPT = {"alembic_version"}


# In files that take long: they start programs, and wait for them.
_STARTS_PROGRAMS = re.compile(
    r"hromium|smtpweb_server|fresh_clone|subprocess|tests\.real|support\.deployed"
)


def pytest_configure() -> None:
    """Spare all tests what none of them is about."""
    url_rules.keep_compiled()
    databases.flush_no_commits()


def pytest_collection() -> None:
    """Look for no garbage until all tests are collected: none of them is any."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left with one at the end."""
    slow = {
        path: bool(_STARTS_PROGRAMS.search(path.read_text())) for path in {it.path for it in items}
    }
    items.sort(key=lambda item: not slow[item.path])


def pytest_collection_finish() -> None:
    """Spare the garbage collector the thousands of tests, and have it run less often.

    Each test leaves an application with all its cycles; to look for those as often as Python does
    by itself takes as long as to create it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def cannot_run(reason: str) -> NoReturn:
    """Skip, or fail where the whole suite is asked for."""
    if os.environ.get("SMTPWEB_TEST_REQUIRE_ALL"):
        pytest.fail(f"{reason} (SMTPWEB_TEST_REQUIRE_ALL is set)")
    pytest.skip(reason)


def settings_for(url: str, **changes: object) -> Settings:
    """Settings for a test: loopback and all ports may be checked, with short deadlines."""
    values: dict[str, object] = {
        "secret_key": "0123456789abcdef0123456789abcdef",
        "encryption_keys": (KEY,),
        "database_url": url,
        "check_timeout": 5,
        "egress": EgressPolicy.parse("127.0.0.0/8,::1/128", "*"),
        "webhook_egress": EgressPolicy.parse("127.0.0.0/8,::1/128", "*").for_webhooks("*"),
        "ehlo_name": "smtpweb.example",
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]


def migrate(url: str, revision: str = "head") -> None:
    """Bring the database at ``url`` to a revision."""
    app = create_app(settings_for(url))
    with app.app_context():
        migrations.upgrade(MIGRATIONS, revision)
        db.engine.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """A real PostgreSQL; gives a URL with ``{}`` in place of the database's name."""
    try:
        return shared_cluster().url
    except ImportError as error:
        cannot_run(f"no PostgreSQL: {error}")


@pytest.fixture(scope="session", autouse=True)
def _no_server_outlives_the_tests() -> Iterator[None]:
    yield
    postgres_cluster.end()


@pytest.fixture(scope="session", autouse=True)
def _passwords_are_hashed_quickly() -> Iterator[None]:
    """Hash as quickly as Argon2 can; what an installation does is tested in test_hashing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "_hasher", QUICK_HASHER)
        patch.setattr(hashing, "DUMMY_HASH", QUICK_HASHER.hash("of nobody"))
        yield


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> str:
    url = create_database(postgres_server, "smtpweb")
    migrate(url)
    return url


@pytest.fixture(scope="session")
def postgres_emptied(postgres_url: str) -> Iterator[Callable[[], None]]:
    """A function that empties the database at ``postgres_url``.

    It deletes: to truncate so many small tables takes ten times as long. It waits like TRUNCATE
    for all transactions that an earlier test left open.
    """
    tables = [table for table in Base.metadata.sorted_tables if table.name not in _KEPT]
    names = ", ".join(f'"{table.name}"' for table in tables)
    statements = [f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"]
    statements += [f'DELETE FROM "{table.name}"' for table in reversed(tables)]
    engine = create_engine(postgres_url)

    def empty() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("; ".join(statements))

    yield empty
    engine.dispose()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A migrated database without rows, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "smtpweb.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    request.getfixturevalue("postgres_emptied")()
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def settings(database_url: str) -> Settings:
    return settings_for(database_url)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The application, ready to serve. No context stays pushed: see ``inside``."""
    app = create_app(settings)
    app.testing = True
    with app.app_context():
        installation.make_ready()
    yield app
    runner.wait_for_all()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def inside(app: Flask) -> Iterator[None]:
    """An application context, for tests of operations; never together with requests."""
    with app.app_context():
        yield


@pytest.fixture
def alice(app: Flask) -> Person:
    """She owns what the tests are about; an administrator."""
    return make_person(app, "alice", is_admin=True)


@pytest.fixture
def charlie(app: Flask) -> Person:
    """Must see nothing of alice's."""
    return make_person(app, "charlie")


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Nobody: not signed in, without a token."""
    return Visitor(app)


@pytest.fixture
def browser(alice: Person) -> Browser:
    """Alice's, signed in."""
    return signed_in(alice.app, alice)


@pytest.fixture
def idapp(alice: Person) -> str:
    """An app of alice's without SMTPs."""
    made: str = alice.make_app("shop", defaultfromemail="shop@example.com", strategy="PRIORITY")[
        "_id"
    ]
    return made
