"""Count statements and connections of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.pool import QueuePool

from smtpweb.database import prepared
from smtpweb.database.session import db


@contextmanager
def statements() -> Iterator[list[str]]:
    """Yield a list of the statements that are executed in the block, on any engine."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):  # ours, and only on SQLite
            seen.append(statement)

    def execute(compiled: Any, values: Any) -> Any:
        seen.append(compiled.sql)
        return parameters(compiled, values)

    parameters = prepared.Compiled.parameters  # taken once each time the driver executes one
    event.listen(Engine, "before_cursor_execute", note)
    prepared.Compiled.parameters = execute  # type: ignore[method-assign, assignment]
    try:
        yield seen
    finally:
        prepared.Compiled.parameters = parameters  # type: ignore[method-assign]
        event.remove(Engine, "before_cursor_execute", note)


def connections_in_use() -> int:
    """Return the number of connections checked out of the pool; needs an application context."""
    pool = db.engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()
