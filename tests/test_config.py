"""Settings from the environment."""

from __future__ import annotations

import base64
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from smtpweb import config, installation
from smtpweb.app import create_app
from smtpweb.database import secret_box
from smtpweb.errors import ConfigError

# Fixed, because it is part of test names.
KEY = base64.urlsafe_b64encode(b"k" * 32).decode()


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    config.make_first_keys(tmp_path / "instance")
    return tmp_path / "instance"


def test_defaults_are_those_of_the_contract(instance: Path) -> None:
    settings = config.load({}, instance)
    assert settings.database_url == f"sqlite:///{instance / 'smtpweb.db'}"
    assert (settings.check_slots, settings.check_timeout) == (16, 25)
    assert (settings.checks_per_user, settings.checks_minutes, settings.checks_at_once) == (
        30,
        10,
        2,
    )
    assert (settings.stream_slots, settings.streams_per_user) == (8, 4)
    cores = os.cpu_count() or 1
    assert (settings.hash_slots, settings.hash_queue) == (cores + 1, 4 * (cores + 1))
    assert settings.trusted_proxies == 0
    assert not settings.production
    assert settings.redis_url is None
    assert settings.ca_file is None
    assert settings.ehlo_name is None
    assert settings.base_url is None
    assert settings.keep_checks == 90
    assert (settings.max_apps, settings.max_smtps) == (0, 0)


def test_first_keys_are_made_once_and_readable_for_us_only(instance: Path) -> None:
    before = {path.name: path.read_bytes() for path in instance.iterdir()}
    assert set(before) == {"secret_key", "encryption_keys"}
    for path in instance.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(instance.stat().st_mode) == 0o700
    config.make_first_keys(instance)
    assert {path.name: path.read_bytes() for path in instance.iterdir()} == before


def test_starters_at_once_agree_on_the_keys(tmp_path: Path) -> None:
    seen = set()

    def start() -> None:
        config.make_first_keys(tmp_path)
        seen.add(config.load({}, tmp_path).encryption_keys)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"secret_key", "encryption_keys"}


BAD = [
    ("SMTPWEB_ENV", "prod"),
    ("SMTPWEB_DATABASE_URL", "mysql://u:secret@h/d"),
    ("SMTPWEB_DATABASE_URL", "sqlite://"),
    ("SMTPWEB_DATABASE_URL", "://"),
    ("SMTPWEB_SECRET_KEY", "short"),
    ("SMTPWEB_ENCRYPTION_KEYS", "not-a-key"),
    ("SMTPWEB_ENCRYPTION_KEYS", f"{KEY},not-a-key"),
    ("SMTPWEB_ENCRYPTION_KEYS", ","),
    ("SMTPWEB_REDIS_URL", "http://h"),
    ("SMTPWEB_CHECK_SLOTS", "0"),
    ("SMTPWEB_CHECK_SLOTS", "many"),
    ("SMTPWEB_CHECK_TIMEOUT", "-1"),
    ("SMTPWEB_KEEP_CHECKS", "-1"),
    ("SMTPWEB_MAX_APPS", "some"),
    ("SMTPWEB_MAX_SMTPS", "1000000"),
    ("SMTPWEB_CHECK_TIMEOUT", "1e2"),
    ("SMTPWEB_EGRESS_ALLOW", "10.0.0.0/33"),
    ("SMTPWEB_EGRESS_ALLOW", "everything"),
    ("SMTPWEB_EGRESS_PORTS", "70000"),
    ("SMTPWEB_CA_FILE", "/nonexistent.pem"),
    ("SMTPWEB_CA_FILE", "/etc/hostname"),
    ("SMTPWEB_EHLO_NAME", "a b"),
    ("SMTPWEB_TRUSTED_PROXIES", "all"),
    ("SMTPWEB_BASE_URL", "smtpweb.example"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_bad_setting_is_refused_in_one_sentence_that_names_it(
    instance: Path, name: str, value: str
) -> None:
    with pytest.raises(ConfigError) as told:
        config.load({name: value}, instance)
    sentence = str(told.value)
    assert name in sentence
    assert "\n" not in sentence
    assert re.search(r"[^.]\.$", sentence)
    assert "secret" not in sentence
    assert KEY not in sentence


def test_bad_setting_stops_the_start_without_a_traceback(instance: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", "import wsgi"],
        env=os.environ
        | {
            "SMTPWEB_SECRET_KEY": "x" * 32,
            "SMTPWEB_ENCRYPTION_KEYS": KEY,
            "SMTPWEB_CHECK_SLOTS": "0",
        },
        capture_output=True,
        text=True,
        cwd=config.ROOT,
    )
    assert told.returncode == 2
    assert told.stderr == (
        "smtpweb: SMTPWEB_CHECK_SLOTS must be a whole number from 1 to 1000, not '0'.\n"
    )


def test_production_needs_its_own_secret_key(instance: Path) -> None:
    with pytest.raises(ConfigError, match="SMTPWEB_SECRET_KEY is required"):
        config.load({"SMTPWEB_ENV": "production"}, instance)
    settings = config.load({"SMTPWEB_ENV": "production", "SMTPWEB_SECRET_KEY": "x" * 32}, instance)
    assert settings.secure_cookies


def test_plain_http_in_production_has_plain_cookies(instance: Path) -> None:
    settings = config.load(
        {
            "SMTPWEB_ENV": "production",
            "SMTPWEB_SECRET_KEY": "x" * 32,
            "SMTPWEB_BASE_URL": "http://intranet:8000/",
        },
        instance,
    )
    assert settings.base_url == "http://intranet:8000"
    assert not settings.secure_cookies


@pytest.mark.parametrize(
    ("given", "secure"),
    [
        ({}, False),
        ({"SMTPWEB_BASE_URL": "https://smtps.example.com"}, True),
        ({"SMTPWEB_TRUSTED_PROXIES": "1"}, True),
        ({"SMTPWEB_BASE_URL": "http://intranet", "SMTPWEB_TRUSTED_PROXIES": "1"}, False),
    ],
)
def test_cookies_are_secure_where_tls_is_to_be_expected(
    instance: Path, given: dict[str, str], secure: bool
) -> None:
    settings = config.load(given, instance)
    assert settings.secure_cookies is secure
    app = create_app(settings)
    assert app.config["SESSION_COOKIE_SECURE"] is secure
    assert app.config["SESSION_COOKIE_NAME"].startswith("__Host-") is secure


def test_missing_keys_are_refused_with_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make run"):
        config.load({}, tmp_path)


def test_setting_may_come_from_a_file(instance: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n")
    settings = config.load({"SMTPWEB_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")}, instance)
    assert settings.encryption_keys == (KEY,)


def test_setting_and_its_file_together_are_refused(instance: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="both set"):
        config.load(
            {"SMTPWEB_SECRET_KEY": "x" * 32, "SMTPWEB_SECRET_KEY_FILE": "/dev/null"}, instance
        )


def test_file_that_cannot_be_read_is_named(instance: Path) -> None:
    with pytest.raises(ConfigError, match=r"SMTPWEB_SECRET_KEY_FILE cannot be read.*/nowhere"):
        config.load({"SMTPWEB_SECRET_KEY_FILE": "/nowhere"}, instance)


def test_relative_sqlite_path_is_taken_from_the_project(instance: Path) -> None:
    settings = config.load({"SMTPWEB_DATABASE_URL": "sqlite:///instance/x.db"}, instance)
    assert settings.database_url == f"sqlite:///{config.ROOT}/instance/x.db"


def test_settings_repr_shows_no_secret(instance: Path) -> None:
    settings = config.load({"SMTPWEB_DATABASE_URL": "postgresql+psycopg://u:pw@h/d"}, instance)
    told = repr(settings)
    for secret in (settings.secret_key, *settings.encryption_keys, "pw@"):
        assert secret not in told


def test_own_services_are_never_mail_servers(instance: Path) -> None:
    settings = config.load(
        {
            "SMTPWEB_DATABASE_URL": "postgresql+psycopg://u:pw@db.internal/d",
            "SMTPWEB_REDIS_URL": "redis://cache.internal:6400/0",
            "PORT": "9000",
        },
        instance,
    )
    assert settings.egress.own == {
        ("db.internal", 5432), ("cache.internal", 6400), ("127.0.0.1", 9000),
    }  # fmt: skip


def test_queue_of_hashes_follows_their_number_unless_it_is_set(instance: Path) -> None:
    settings = config.load({"SMTPWEB_HASH_SLOTS": "3"}, instance)
    assert (settings.hash_slots, settings.hash_queue) == (3, 12)
    settings = config.load({"SMTPWEB_HASH_SLOTS": "3", "SMTPWEB_HASH_QUEUE": "0"}, instance)
    assert (settings.hash_slots, settings.hash_queue) == (3, 0)


def test_keys_are_read_once(instance: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often something is sealed or opened by an application of these settings."""
    made = []

    class Counted(secret_box.SecretBox):
        def __init__(self, keys: tuple[str, ...]) -> None:
            made.append(keys)
            super().__init__(keys)

    monkeypatch.setattr(config, "SecretBox", Counted)
    settings = config.load({}, instance)
    app = create_app(settings)
    with app.app_context():
        assert installation.secret_box() is installation.secret_box()
    assert made == [settings.encryption_keys]
