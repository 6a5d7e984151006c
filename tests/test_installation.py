"""What must hold before the first request, and the rotation of keys."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, select

from smtpweb import installation
from smtpweb.accounts import users
from smtpweb.app import create_app
from smtpweb.config import Settings
from smtpweb.database.models import Installation, Smtp
from smtpweb.database.secret_box import new_key
from smtpweb.database.session import db
from smtpweb.errors import ConfigError, CredentialsNotValid, SecretUnreadable
from smtpweb.registry import apps, smtps
from tests.conftest import KEY, settings_for
from tests.support.people import PASSWORD, Person


def restart(settings: Settings, **changes: object) -> None:
    app = create_app(dataclasses.replace(settings, **changes))  # type: ignore[arg-type]
    with app.app_context():
        try:
            installation.make_ready()
        finally:
            db.session.remove()
            db.engine.dispose()


def test_restart_with_the_same_keys_is_fine(alice: Person, settings: Settings) -> None:
    restart(settings)


def test_restart_with_other_keys_is_refused(alice: Person, settings: Settings) -> None:
    with pytest.raises(ConfigError, match="SMTPWEB_ENCRYPTION_KEYS has no key that opens"):
        restart(settings, encryption_keys=(new_key(),))
    restart(settings, encryption_keys=(new_key(), KEY))


def test_database_without_tables_is_refused_with_the_command(tmp_path: Path) -> None:
    settings = settings_for(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(ConfigError, match="db upgrade"):
        restart(settings)


def test_first_account_is_needed_until_there_is_one(app: Flask, inside: None) -> None:
    assert installation.needs_first_account()
    users.create_first_user("Ana", "ana@example.com", PASSWORD)
    assert not installation.needs_first_account()
    with pytest.raises(CredentialsNotValid):
        users.create_first_user("Eve", "eve@example.com", PASSWORD)


def test_set_up_code_is_the_same_in_every_worker(app: Flask, inside: None) -> None:
    code = installation.set_up_code()
    assert len(code) == 14
    assert code == installation.set_up_code()


def make_smtps(app: object, count: int) -> list[str]:
    user = users.create_user("ana", "ana@example.com", PASSWORD)
    owner = apps.save(user.id, {"name": "shop"})
    return [
        smtps.save(user.id, owner.id, {"host": "h", "port": 25, "password": f"secret {number}"}).id
        for number in range(count)
    ]


def test_rotation_seals_everything_again_and_can_be_repeated(
    settings: Settings,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation, "_BATCH", 2)
    with app.app_context():
        ids = make_smtps(app, 5)
        before = dict(iter(db.session.execute(select(Smtp.id, Smtp.password_sealed))))
    newer = new_key()
    app = create_app(dataclasses.replace(settings, encryption_keys=(newer, KEY)))
    with app.app_context():
        assert installation.count_stale_seals() == 6  # five passwords and the canary
        assert sum(done for done, _ in installation.rotate_keys()) == 6
        assert installation.count_stale_seals() == 0
        assert list(installation.rotate_keys()) == []
        db.session.remove()
        db.engine.dispose()
    restart(settings, encryption_keys=(newer,))
    app = create_app(dataclasses.replace(settings, encryption_keys=(newer,)))
    with app.app_context():
        for number, smtp_id in enumerate(ids):
            smtp = db.session.get_one(Smtp, smtp_id)
            assert smtp.password_sealed != before[smtp_id]
            assert smtps.open_password(smtp) == f"secret {number}"
        db.session.remove()
        db.engine.dispose()


def test_rotation_goes_on_past_what_it_cannot_read(
    settings: Settings,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(installation, "_BATCH", 2)
    with app.app_context():
        ids = make_smtps(app, 3)
        broken = db.session.get_one(Smtp, sorted(ids)[0])
        broken.password_sealed = "v1.00000000.lost"
        db.session.commit()
    app = create_app(dataclasses.replace(settings, encryption_keys=(new_key(), KEY)))
    with app.app_context():
        batches = list(installation.rotate_keys())
        assert sum(done for done, _ in batches) == 3  # two passwords and the canary
        assert sum(unreadable for _, unreadable in batches) == 1
        with pytest.raises(SecretUnreadable):
            smtps.open_password(db.session.get_one(Smtp, sorted(ids)[0]))
        db.session.remove()
        db.engine.dispose()


def test_first_starts_at_once_agree_on_one_canary(app: Flask, inside: None) -> None:
    installation.make_ready()
    assert len(db.session.scalars(select(Installation)).all()) == 1
    db.session.execute(delete(Installation))
    db.session.commit()
    installation.make_ready()
    assert len(db.session.scalars(select(Installation)).all()) == 1
