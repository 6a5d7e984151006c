"""Set up Flask-Migrate only where the schema is looked at: Alembic is a tenth of all imports."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from flask import Flask, current_app
from sqlalchemy import inspect, literal_column, select, table

from .session import db, fetch


def init_app(app: Flask, folder: Path) -> None:
    """Set up the extension for the commands ``flask db``."""
    from flask_migrate import Migrate

    Migrate(app, db, directory=str(folder), compare_type=True)


def upgrade(folder: Path, revision: str = "head") -> None:
    """Bring the database of the current application to a revision."""
    from flask_migrate import upgrade

    init_app(current_app._get_current_object(), folder)  # type: ignore[attr-defined]
    upgrade(revision=revision)


def current_revision() -> str | None:
    """The revision of the database; None if it has none."""
    if not inspect(db.engine).has_table("alembic_version"):
        return None
    rows = fetch(select(literal_column("version_num")).select_from(table("alembic_version")))
    return str(rows[0][0]) if rows else None


@cache
def newest_revision(folder: Path) -> str | None:
    """The revision that this version needs."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(folder)).get_current_head()
