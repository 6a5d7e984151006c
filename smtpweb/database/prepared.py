"""SELECT statements of frequent API calls: compiled once, then executed by the driver itself.

To execute a small statement through SQLAlchemy takes four times as long as SQLite needs for it. The
rows and the errors are the same.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError

from .session import AnySelect, db, fetch

Row = Sequence[Any]
_Converters = Sequence[tuple[Any, Callable[[Any], Any]]]  # by name or by place


class Compiled(NamedTuple):
    """A statement in the SQL of one database, with the conversions that its types need there."""

    sql: str
    values: dict[str, Any]  # the literals of the statement
    order: Sequence[str] | None  # of the values; None: they are passed by name
    send: _Converters
    receive: _Converters
    driver_error: type[Any]

    def parameters(self, given: Mapping[str, object]) -> Any:
        """Return the values as the driver takes them."""
        values = {**self.values, **given}
        for name, convert in self.send:
            values[name] = convert(values[name])
        return values if self.order is None else [values[name] for name in self.order]

    def converted(self, row: Row) -> Row:
        """Return a row of the driver with the values that SQLAlchemy would return."""
        values = list(row)
        for place, convert in self.receive:
            if (value := values[place]) is not None:
                values[place] = convert(value)
        return values


class PreparedSelect:
    """A SELECT that takes its values as bind parameters, none of them a list."""

    def __init__(self, statement: AnySelect) -> None:
        self._statement = statement
        self._compiled = functools.lru_cache(4)(self._compile)  # a process of tests has several

    def rows(self, values: Mapping[str, object]) -> Sequence[Row]:
        """Return the rows of the statement, and raise the errors, of :func:`.session.fetch`."""
        dialect = db.engine.dialect
        compiled = self._compiled(dialect)
        try:
            # In autocommit mode, as all connections are between uses
            with contextlib.closing(db.engine.raw_connection()) as connection:
                cursor = connection.cursor()
                try:
                    cursor.execute(compiled.sql, compiled.parameters(values))
                    found = cursor.fetchall()
                except compiled.driver_error as error:
                    if not dialect.is_disconnect(error, connection, cursor):
                        raise
                    found = None
                finally:
                    cursor.close()
        except compiled.driver_error as error:
            # Not tried again: a locked database has been waited for already
            raise _as_sqlalchemy(error, compiled, dialect) from error
        if found is None:  # SQLAlchemy replaces lost connections
            return fetch(self._statement, values)
        return [compiled.converted(row) for row in found]

    def _compile(self, dialect: Dialect) -> Compiled:
        compiled = self._statement.compile(dialect=dialect)
        send = (
            (name, bound.type.dialect_impl(dialect).bind_processor(dialect))
            for name, bound in compiled.binds.items()
        )
        receive = (
            (place, column.type.dialect_impl(dialect).result_processor(dialect, None))
            for place, column in enumerate(self._statement.selected_columns)
        )
        return Compiled(
            str(compiled),
            dict(compiled.params),
            compiled.positiontup,
            [(name, convert) for name, convert in send if convert],
            [(place, convert) for place, convert in receive if convert],
            dialect.loaded_dbapi.Error,
        )


def _as_sqlalchemy(error: Exception, compiled: Compiled, dialect: Dialect) -> BaseException:
    """Return an error of the driver as SQLAlchemy raises it, without the values."""
    return DBAPIError.instance(
        compiled.sql, None, error, compiled.driver_error, hide_parameters=True, dialect=dialect
    )
