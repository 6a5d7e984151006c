"""The tables of fields: what cannot read them is held to them; a new field appears everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from smtpweb.config import ROOT
from smtpweb.database.models import App, Smtp
from smtpweb.registry import fields
from smtpweb.registry.apps import AppChanges
from smtpweb.registry.destination import Fate, fate_of_password, moves
from smtpweb.registry.smtps import SmtpChanges
from tests.support.databases import DATABASES

TABLES = [(fields.SMTP, SmtpChanges, Smtp), (fields.APP, AppChanges, App)]


@pytest.mark.parametrize(("table", "changes", "model"), TABLES, ids=["smtp", "app"])
def test_types_and_columns_are_those_of_the_table(
    table: Mapping[str, fields.Field], changes: Any, model: Any
) -> None:
    assert set(changes.__annotations__) == set(table)
    columns = model.__table__.columns
    stored = [field for field in table.values() if not field.secret]
    assert {field.name for field in stored} <= set(columns.keys())
    for field in stored:
        default = columns[field.name].default
        assert field.default is None or default is None or default.arg == field.default, field.name
        is_filled = field.required or field.default is not None or field.name == "testemail"
        assert columns[field.name].nullable is not is_filled, field.name


# --- must the password be typed again ------------------------------------------------------------

STORED = {
    "priority": 10, "host": "mail.example.net", "port": 587, "username": "shop", "auth": True,
    "starttls": True, "ssltls": False, "debug": False, "defaultfromemail": None,
    "defaultfromname": None, "name": None, "note": None, "tags": None, "passwordexpires": None,
    "mechanism": None, "ehloname": None, "envelopefrom": None, "sourceaddress": None,
    "cacertificates": None, "certificatepin": None, "clientcertificate": None,
}  # fmt: skip
OTHER = {
    "priority": 3, "host": "evil.example", "port": 25, "username": "other", "auth": False,
    "starttls": False, "ssltls": True, "debug": True, "defaultfromemail": "a@b.example",
    "defaultfromname": "Shop", "name": "Relay", "note": "of Ana", "tags": "EU",
    "passwordexpires": datetime(2027, 1, 31, tzinfo=UTC), "mechanism": "LOGIN",
    "ehloname": "app.example.com", "envelopefrom": "b@b.example", "sourceaddress": "192.0.2.1",
    "cacertificates": "PEM", "certificatepin": "A=", "clientcertificate": "PEM",
}  # fmt: skip


def test_values_of_these_tests_cover_every_field() -> None:
    assert set(STORED) == set(OTHER) == set(fields.SMTP) - {"password", "clientkey"}


@pytest.mark.parametrize("name", STORED)
def test_password_is_needed_again_if_a_field_that_binds_it_changes(name: str) -> None:
    smtp = Smtp(**STORED, password_sealed="v1.x.y")
    assert fate_of_password(smtp, {name: STORED[name]}) is Fate.KEPT
    bound = fields.SMTP[name].binds_password
    assert moves(smtp, {name: OTHER[name]}) is bound
    fate = fate_of_password(smtp, {name: OTHER[name]})
    if name == "auth":
        assert fate is Fate.FORGOTTEN
    else:
        assert fate is (Fate.NEEDED_AGAIN if bound else Fate.KEPT)
    assert fate_of_password(smtp, {name: OTHER[name], "password": "typed"}) is Fate.GIVEN


@pytest.mark.parametrize(
    ("stored", "changes", "fate"),
    [
        ({}, {"password": None}, Fate.LACKING),
        ({}, {"password": ""}, Fate.LACKING),
        ({}, {"password": None, "auth": False}, Fate.GIVEN),
        ({"auth": False}, {"auth": True}, Fate.NEEDED_AGAIN),
        ({"auth": False}, {"port": 25}, Fate.FORGOTTEN),
        ({"password_sealed": None}, {}, Fate.LACKING),
        ({"password_sealed": None, "auth": False}, {"port": 25}, Fate.KEPT),
        ({"password_sealed": None, "auth": False}, {"auth": True}, Fate.LACKING),
        # Hosts of before version 0.2 are stored as they were typed
        ({"host": "MAIL.example.net."}, {"host": "mail.example.net"}, Fate.KEPT),
        ({"username": None, "auth": False}, {"username": None, "auth": False}, Fate.KEPT),
    ],
)
def test_fate_of_a_password(stored: Any, changes: Any, fate: Fate) -> None:
    smtp = Smtp(**(STORED | {"password_sealed": "v1.x.y"} | stored))
    assert fate_of_password(smtp, changes) is fate


# --- a new field ---------------------------------------------------------------------------------

_IN_THE_COPY = '''
"""A field that was added to the table alone (and to the database) works everywhere."""

from smtpweb.registry import export_import, fields
from tests.support.factories import SAVE
from smtpweb.web.presentation import labels


def test_it(alice, browser, idapp, app):
    given = {"auth": "true", "username": "shop", "password": "s3cret"}
    smtp = alice.make_smtp(idapp, comment="first", **given)
    assert (smtp["remark"], smtp["loud"]) == ("first", False)
    assert alice.smtps(idapp)[0] == smtp
    twice = {"idapp": idapp, "idsmtp": smtp["_id"], "host": "mail.example.net", "port": 25}
    reply = alice.post("/private/smtps/save", **twice, remark="x" * 201, loud="perhaps")
    assert [fault["parameter"] for fault in reply.json["errors"]] == ["remark", "loud"]
    reply = alice.post("/private/smtps/save", **twice, remark="moved")
    assert [fault["parameter"] for fault in reply.json["errors"]] == ["password"]

    page = browser.get(f"/smtps/{smtp['_id']}/edit")
    assert "A remark" in page.text
    assert page.form().value("remark") == "first"
    page = browser.send(page, page.form().fill(remark="second"), SAVE)
    assert list(page.errors()) == ["smtp_secret"]
    filled = page.form().fill(smtp_secret="s3cret", loud=True)
    page = browser.send(page, filled, SAVE)
    assert page.status == 200, page.text
    saved = alice.smtp(smtp["_id"])
    assert (saved["remark"], saved["loud"]) == ("second", True)

    page = browser.get(f"/apps/{idapp}/edit")
    assert page.form().value("purpose") == ""
    browser.send(page, page.form().fill(purpose="orders"), "Save")
    assert alice.get("/private/apps/findById", idapp=idapp).json["purpose"] == "orders"

    with app.app_context():
        document = export_import.dump(with_passwords=True)
        renamed = document.replace('"shop",\\n          "testemail"', '"copy", "testemail"')
        export_import.load(renamed)
    found = alice.get("/private/apps/findAll", page=0, size=10).json["content"]
    copied = next(one for one in found if one["name"] == "copy")
    assert copied["purpose"] == "orders"
    (again,) = alice.smtps(copied["_id"])
    assert (again["remark"], again["loud"], again["password"]) == ("second", True, "s3cret")
'''
_MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9999", {head!r}
def upgrade():
    op.add_column("smtp", sa.Column("remark", sa.String(200)))
    op.add_column("smtp", sa.Column("loud", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("app", sa.Column("purpose", sa.String(200)))
"""
_ADDED = {
    "smtpweb/registry/fields.py": [
        (
            '    Field("debug",',
            '    Field("remark", validators.display_name, Sentence("A remark"),'
            ' spellings=("comment",), binds_password=True),\n'
            '    Field("loud", validators.flag, Sentence("Loud"), False),\n    Field("debug",',
        ),
        (
            '    Field("timebetweenemails",',
            '    Field("purpose", validators.display_name, Sentence("Purpose")),\n'
            '    Field("timebetweenemails",',
        ),
    ],
    "smtpweb/database/models/registry.py": [
        (
            "    debug: Mapped[bool]",
            "    remark: Mapped[Name | None]\n"
            "    loud: Mapped[bool] = mapped_column(default=False)\n    debug: Mapped[bool]",
        ),
        (
            "    strategy: Mapped[str]",
            "    purpose: Mapped[Name | None]\n    strategy: Mapped[str]",
        ),
    ],
    "smtpweb/database/rows.py": [
        (
            "    defaultfromname: str | None\n    name: str | None",
            "    defaultfromname: str | None\n    remark: str | None\n    loud: bool\n"
            "    name: str | None",
        ),
        (
            "    defaultfromname: str | None\n    strategy: str",
            "    defaultfromname: str | None\n    purpose: str | None\n    strategy: str",
        ),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree where fields were added to the tables, the models and the schema."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("smtpweb", "templates", "static", "translations", "migrations", "tests"):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", copy)
    for path, changes in _ADDED.items():
        text = (copy / path).read_text()
        for before, after in changes:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        (copy / path).write_text(text)
    head = ScriptDirectory(str(copy / "migrations")).get_current_head()
    (copy / "migrations/versions/9999_copy.py").write_text(_MIGRATION.format(head=head))
    (copy / "tests/web/test_the_copy.py").write_text(_IN_THE_COPY)
    return copy


def run_in(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    return subprocess.run(
        command, cwd=copy, env=environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True
    )


def test_field_added_to_the_table_works_in_api_form_export_and_import(copy: Path) -> None:
    ran = run_in(copy, "tests/web/test_the_copy.py", "-k", DATABASES[0])
    assert ran.returncode == 0, ran.stdout
    assert "1 passed" in ran.stdout


def test_field_added_to_the_table_is_missed_where_it_was_not_written_down(copy: Path) -> None:
    ran = run_in(
        copy, "tests/web/api/test_openapi.py", "tests/registry/test_fields.py", "-k", "of_the_table"
    )
    failed = {line.partition(" - ")[0] for line in ran.stdout.splitlines() if "FAILED" in line}
    names = {line.rpartition("::")[2] for line in failed}
    assert {
        f"test_names_and_spellings_are_those_of_the_table[{one}]" for one in ("smtp", "app")
    } <= names
    assert "'remark'" in ran.stdout and "'purpose'" in ran.stdout
