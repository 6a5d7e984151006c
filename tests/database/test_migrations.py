"""Migrations: one head, forward only, whole or not at all, on both databases."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import create_engine, inspect, select, text

from smtpweb.app import create_app
from smtpweb.config import MIGRATIONS, ROOT
from smtpweb.database import migrations
from smtpweb.database.models import Smtp
from smtpweb.database.session import Base, db
from smtpweb.mailcheck.core import trust
from tests.conftest import KEY, migrate, settings_for
from tests.support.databases import DATABASES
from tests.support.fake_certificates import client_pair
from tests.support.postgres_cluster import create_database


@pytest.fixture(params=DATABASES)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return create_database(request.getfixturevalue("postgres_server"), "empty")


@pytest.fixture
def empty_app(empty_url: str) -> Iterator[Flask]:
    app = create_app(settings_for(empty_url))
    yield app
    with app.app_context():
        db.engine.dispose()


def scripts() -> ScriptDirectory:
    return ScriptDirectory(str(ROOT / "migrations"))


def test_migrations_have_one_head_and_one_path() -> None:
    assert len(scripts().get_heads()) == 1
    revisions = list(scripts().walk_revisions())
    assert [revision.revision for revision in revisions] == sorted(
        (revision.revision for revision in revisions), reverse=True
    )


def test_migrations_make_what_the_models_say(empty_url: str, empty_app: Flask) -> None:
    migrate(empty_url)
    with empty_app.app_context(), db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_database_is_readable_for_us_only_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    before = os.umask(0o022)
    try:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
        environ = os.environ | {
            "SMTPWEB_DATABASE_URL": f"sqlite:///{path}",
            "SMTPWEB_SECRET_KEY": "x" * 32,
            "SMTPWEB_ENCRYPTION_KEYS": KEY,
        }
        subprocess.run(command, env=environ, cwd=ROOT, check=True, capture_output=True)
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE x (y)"))
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        engine.dispose()
    finally:
        os.umask(before)
    assert modes == {"new.db": 0o600, "new.db-wal": 0o600, "new.db-shm": 0o600}


@pytest.mark.parametrize(("mode", "after"), [(0o644, 0o640), (0o640, 0o640), (0o600, 0o600)])
def test_database_that_everybody_can_read_is_closed(tmp_path: Path, mode: int, after: int) -> None:
    path = tmp_path / "old.db"
    path.touch()
    path.chmod(mode)
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect():
        assert stat.S_IMODE(path.stat().st_mode) == after
    engine.dispose()


def test_database_in_memory_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with create_engine("sqlite://").connect():
        assert not list(tmp_path.iterdir())


def test_second_upgrade_changes_nothing(empty_url: str) -> None:
    migrate(empty_url)
    migrate(empty_url)


def test_migrations_since_the_first_release_keep_the_data(empty_url: str) -> None:
    """Rows written under each revision are there under the next ones."""
    revisions = [revision.revision for revision in reversed(list(scripts().walk_revisions()))]
    migrate(empty_url, revisions[0])
    engine = create_engine(empty_url)
    user, app = "a" * 24, "b" * 24
    moment = "2026-01-02 03:04:05"
    with engine.begin() as connection:
        connection.execute(
            text(
                'INSERT INTO "user" (id, name, name_key, email, password_hash, is_admin,'
                " created, modified) VALUES (:id, 'Ana', 'ana', 'a@b.example', 'x', :no, :at, :at)"
            ),
            {"id": user, "no": False, "at": moment},
        )
        connection.execute(
            text(
                "INSERT INTO app (id, user_id, name, testemail, strategy, version, created,"
                " modified) VALUES (:id, :user, 'shop', 't@b.example', 'PRIORITY', 1, :at, :at)"
            ),
            {"id": app, "user": user, "at": moment},
        )
        connection.execute(
            text(
                "INSERT INTO smtp (id, app_id, priority, host, port, auth, starttls, ssltls, debug,"
                " enabled, numerrors, version, created, modified) VALUES (:id, :app, 10, 'h', 25,"
                " :no, :no, :no, :no, :no, 3, 1, :at, :at)"
            ),
            {"id": "c" * 24, "app": app, "no": False, "at": moment},
        )
        connection.execute(
            text(
                'INSERT INTO "check" (id, smtp_id, user_id, smtp_version, started, ends_by,'
                " finished, accepted, applied, stage) VALUES (:id, :smtp, :user, 1, :at, :at, :at,"
                " :no, :no, 'auth')"
            ),
            {"id": "d" * 24, "smtp": "c" * 24, "user": user, "no": False, "at": moment},
        )
    for revision in revisions[1:] or ["head"]:
        migrate(empty_url, revision)
        with engine.connect() as connection:
            assert connection.execute(text("SELECT host, numerrors FROM smtp")).all() == [("h", 3)]
            assert connection.execute(text('SELECT stage FROM "check"')).all() == [("auth",)]
    engine.dispose()


def test_stored_client_certificates_get_the_time_of_their_expiry(empty_url: str) -> None:
    migrate(empty_url, "0015")
    engine = create_engine(empty_url)
    moment, pem = "2026-01-02 03:04:05", client_pair()[0]
    off = dict.fromkeys(("auth", "starttls", "ssltls", "debug", "enabled"), False)
    smtp = {
        "app_id": "b" * 24,
        "priority": 1,
        "host": "h",
        "port": 25,
        "numerrors": 0,
        "version": 1,
    }
    rows: list[tuple[str, dict[str, object]]] = [
        ("user", {"id": "a" * 24, "name": "Ana", "name_key": "ana", "email": "a@b.example",
                  "password_hash": "x", "is_admin": False}),
        ("app", {"id": "b" * 24, "user_id": "a" * 24, "name": "shop", "version": 1,
                 "testemail": "t@b.example", "strategy": "PRIORITY"}),
        ("smtp", {"id": "1" * 24, "clientcertificate": pem, **smtp, **off}),
        ("smtp", {"id": "2" * 24, **smtp, **off}),
    ]  # fmt: skip
    with engine.begin() as connection:
        for table, row in rows:
            values = row | {"created": moment, "modified": moment}
            names, given = ", ".join(values), ", ".join(f":{name}" for name in values)
            connection.execute(text(f'INSERT INTO "{table}" ({names}) VALUES ({given})'), values)
    migrate(empty_url, "head")
    app = create_app(settings_for(empty_url))
    with app.app_context():
        found = db.session.scalars(select(Smtp.clientcertificate_expires).order_by(Smtp.id)).all()
        db.session.remove()
        db.engine.dispose()
    engine.dispose()
    assert found == [trust.expires(pem), None]


def test_names_of_accounts_are_compared_anew_and_nobody_is_locked_out(empty_url: str) -> None:
    migrate(empty_url, "0002")
    names = {
        "1": "Ana",
        "2": "ａｎａ",
        "3": "ﬁona",
        "4": "b\u200bob",
        "5": "ＥＶＥ",
        "6": "ｅｖｅ²",
    }
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        for number, name in names.items():
            connection.execute(
                text(
                    'INSERT INTO "user" (id, name, name_key, email, password_hash, is_admin,'
                    " created, modified) VALUES (:id, :name, :key, 'a@b.example', 'x', :no,"
                    " :at, :at)"
                ),
                {"id": number * 24, "name": name, "key": name.casefold(), "no": False,
                 "at": "2026-01-02 03:04:05"},
            )  # fmt: skip
    migrate(empty_url, "head")
    with engine.connect() as connection:
        keys = connection.execute(text('SELECT name_key FROM "user" ORDER BY id')).scalars().all()
    engine.dispose()
    # The second is left as it was: the first has the name that it would get
    assert keys == ["ana", "ａｎａ", "fiona", "b\u200bob", "eve", "eve2"]


def test_starters_at_the_same_time_migrate_once(empty_url: str) -> None:
    """Processes: Alembic keeps its context in a global."""
    environ = os.environ | {
        "SMTPWEB_DATABASE_URL": empty_url,
        "SMTPWEB_SECRET_KEY": "x" * 32,
        "SMTPWEB_ENCRYPTION_KEYS": KEY,
    }
    starters = [
        subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"],
            env=environ,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(2)
    ]
    for starter in starters:
        told, _ = starter.communicate(timeout=60)
        assert starter.returncode == 0, told.decode()


def test_revision_that_fails_leaves_nothing_behind(
    empty_url: str, empty_app: Flask, tmp_path: Path
) -> None:
    """Also on SQLite, whose driver would commit each CREATE TABLE by itself."""
    migrate(empty_url)
    extra = tmp_path / "versions"
    extra.mkdir()
    head = scripts().get_current_head()
    (extra / "9999_broken.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '9999', '{head}', None, None\n"
        "def upgrade():\n"
        "    op.create_table('half', sa.Column('id', sa.Integer(), primary_key=True))\n"
        "    op.execute('SELECT * FROM no_such_table')\n"
    )
    with empty_app.app_context():
        migrations.init_app(empty_app, MIGRATIONS)
        config = empty_app.extensions["migrate"].migrate.get_config()
        config.set_main_option("version_locations", f"{ROOT}/migrations/versions;{extra}")
        config.set_main_option("path_separator", ";")
        with pytest.raises(Exception, match="no_such_table"):
            command.upgrade(config, "9999")
        assert "half" not in inspect(db.engine).get_table_names()
        with db.engine.connect() as connection:
            assert MigrationContext.configure(connection).get_current_revision() == head
