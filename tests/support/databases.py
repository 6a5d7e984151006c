"""The databases that the tests run on, and marks for tests that need only one of them.

``SMTPWEB_TEST_DATABASE`` limits the suite to "sqlite" or "postgresql"; by default most tests run
on both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event

_KNOWN = ("sqlite", "postgresql")
_CHOSEN = os.environ.get("SMTPWEB_TEST_DATABASE")
if _CHOSEN not in (None, "", *_KNOWN):
    raise ValueError(f"SMTPWEB_TEST_DATABASE must be one of {', '.join(_KNOWN)}, not {_CHOSEN!r}")
DATABASES = (_CHOSEN,) if _CHOSEN else _KNOWN


def on(kind: str, reason: str) -> pytest.MarkDecorator:
    """Return a mark for tests of what only this database does; ``reason`` names it."""
    if kind in DATABASES:
        return pytest.mark.parametrize("database_url", [kind], indirect=True)
    return pytest.mark.skip(reason=f"only on {kind}: {reason}")


# For tests in which the database makes no difference, such as input that a form refuses before
# it reaches any: once is enough.
ONE_DATABASE = pytest.mark.parametrize("database_url", [DATABASES[0]], indirect=True)
ON_SQLITE = on("sqlite", "its one writer, its file, its pragmas or its plans")
ON_POSTGRESQL = on("postgresql", "its row locks or its lost connections")


def flush_no_commits() -> None:
    """Let SQLite not wait for the disk; no test is about a machine that loses its power."""
    event.listen(Engine, "connect", _flush_nothing)


@contextmanager
def flushed_commits() -> Iterator[None]:
    """Meanwhile, open SQLite databases as installations do."""
    event.remove(Engine, "connect", _flush_nothing)
    yield
    flush_no_commits()


def _flush_nothing(connection: Any, _record: Any) -> None:
    if type(connection).__module__.startswith("sqlite3"):
        connection.execute("PRAGMA synchronous=OFF")
