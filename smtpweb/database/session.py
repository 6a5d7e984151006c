"""Open, read and write SQLite and PostgreSQL.

There are four ways to use the database: :func:`fetch` reads plain rows in one autocommitted
statement (for frequent API calls), ``db.session`` reads entities for pages, :func:`writing` is one
write transaction, and :func:`note` is a small write after a read, skipped if it would have to wait.
"""

from __future__ import annotations

import functools
import logging
import os
import select as select_module
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.session import Session
from sqlalchemy import DateTime, Dialect, Engine, MetaData, Row, Select, String, Update, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, scoped_session
from sqlalchemy.pool import Pool
from sqlalchemy.types import TypeDecorator

log = logging.getLogger(__name__)

AnySelect = Select[*tuple[Any, ...]]
AnyRow = Row[*tuple[Any, ...]]

# How long a transaction waits for another writer, and a request for a connection. A request has at
# most two write transactions, so it ends within 10 seconds even if the database stays locked.
BUSY_SECONDS = 4
_WRITER_PAUSE = 0.001  # seconds between two attempts to become the writer of SQLite
_NOTE_SECONDS = 0.05  # on PostgreSQL, where only a change of the same row has to be waited for
# Execution option: how the next transaction of this connection begins. "transaction": with BEGIN;
# "read": not at all, each statement is autocommitted; a number: to write, after waiting at most
# that many seconds for another writer of SQLite. None, on an engine of others: like its driver.
_BEGIN = "smtpweb_begin"


class Base(DeclarativeBase):
    """All constraints have names, so that later migrations can drop them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


# Objects stay readable after a commit: reading an attribute must not open a new transaction,
# least of all while we wait for an SMTP server.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})

_sqlite_writer = threading.Lock()

_SUFFIXES = ("-wal", "-shm", "-journal")  # of the files that SQLite keeps beside the database
_OTHERS = stat.S_IRWXO


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time in whole milliseconds; SQLite by itself would return naive ones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Store UTC; raise :class:`ValueError` for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return value.astimezone(UTC)

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None] | None:
        """Return aware UTC times from both databases."""
        if dialect.name == "sqlite":  # text without a time zone, which is converted only once so
            return _utc_of_text
        found: Callable[[Any], datetime | None] | None = super().result_processor(dialect, coltype)
        return found

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return an aware UTC time."""
        return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)


def _utc_of_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


class Sealed(TypeDecorator[str]):
    """A secret sealed for its row's primary key (``secret_box``); ``keys rotate`` finds these."""

    impl = String
    cache_ok = True

    def __init__(self, length: int = 8192) -> None:
        """Allow for sealed values of at most ``length`` characters."""
        super().__init__(length)


def now() -> datetime:
    """The current UTC time in whole milliseconds, as the API shows it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def engine_options(url: str) -> dict[str, Any]:
    """Options for ``create_engine``: a connection for each thread of a worker, bounded waits.

    PostgreSQL permits 100 by default, so that two workers leave it a third.
    """
    options: dict[str, Any] = {
        "pool_size": 16,
        "max_overflow": 16,
        "pool_timeout": BUSY_SECONDS,
        "hide_parameters": True,  # a logged error must not contain the values
        "execution_options": {_BEGIN: "transaction"},
    }
    if make_url(url).get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": BUSY_SECONDS}
    else:
        options["connect_args"] = {
            # Transactions begin with our own BEGIN, so that a read needs none: to switch this for
            # each read would cost more than the read.
            "autocommit": True,
            "connect_timeout": 5,
            # A machine that has lost its power closes no connection: without these, whoever waits
            # for its answer waits for a quarter of an hour.
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            "options": f"-c lock_timeout={BUSY_SECONDS}s -c statement_timeout=30s -c timezone=UTC",
        }
    return options


@event.listens_for(Engine, "do_connect")
def _before_connect(
    dialect: Dialect, _record: Any, arguments: tuple[Any, ...], _options: dict[str, Any]
) -> None:
    """Make an SQLite database private: it holds digests and addresses."""
    name = str(arguments[0]) if dialect.name == "sqlite" else ""
    if name and not name.startswith((":memory:", "file:")):
        make_private(Path(name))


def make_private(path: Path) -> None:
    """Make an SQLite file private, whatever the umask, and create it if there is none.

    SQLite gives the files beside it (-wal, -shm, -journal) the mode of the database.
    """
    with suppress(OSError):  # no such folder, or not our file: connecting will report it
        # Only a new file is opened here. Closing a file drops all POSIX locks of this process on
        # it; another process could then remove SQLite's log while we write to it.
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for file in (path, *(path.with_name(path.name + suffix) for suffix in _SUFFIXES)):
            if file.exists() and (mode := stat.S_IMODE(file.stat().st_mode)) & _OTHERS:
                file.chmod(mode & ~_OTHERS)


@event.listens_for(Engine, "connect")
def _on_connect(dbapi_connection: Any, _record: Any) -> None:
    if not type(dbapi_connection).__module__.startswith("sqlite3"):
        return
    # Otherwise the driver begins transactions by its own rules: none for DDL, so that a failed
    # migration would stay half applied, and deferred ones for writes.
    dbapi_connection.isolation_level = None
    # SQLite's own lower() knows only ASCII: searching and sorting would tell "Ä" from "ä".
    dbapi_connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # WAL with NORMAL can lose commits at power loss
    cursor.close()


@event.listens_for(Pool, "checkout")
def _on_checkout(dbapi_connection: Any, _record: Any, _proxy: Any) -> None:
    """Renew the pool if the server has closed this connection while it was idle.

    Nothing is sent, unlike by SQLAlchemy's "pre-ping": PostgreSQL says goodbye before it closes, so
    there is something to read. Otherwise the first request after a restart would fail.
    """
    if type(dbapi_connection).__module__.startswith("sqlite3"):
        return
    if dbapi_connection.closed or _is_readable(dbapi_connection.fileno()):
        raise InvalidatePoolError("the server has closed the connection")


def _is_readable(descriptor: int) -> bool:
    poll = select_module.poll()
    poll.register(descriptor, select_module.POLLIN)
    return bool(poll.poll(0))


def _lower(value: object) -> str | None:
    return None if value is None else str(value).lower()


@event.listens_for(Engine, "begin")
def _on_begin(connection: Connection) -> None:
    begin = connection.get_execution_options().get(_BEGIN)
    if begin == "read":
        return
    if connection.dialect.name != "sqlite":
        if begin is not None:
            connection.exec_driver_sql("BEGIN")
        return
    if begin is None or begin == "transaction":
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + begin
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        # SQLite itself would sleep for up to 100 ms between two attempts, while the lock is free.
        while time.monotonic() < until:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    break  # it is raised below, as SQLAlchemy does
                time.sleep(_WRITER_PAUSE)
            else:
                return
        # A deferred transaction that reads and then writes fails at once with "database is
        # locked" instead of waiting; an immediate one waits for the lock.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def write_option(seconds: float) -> dict[str, float]:
    """The execution option of a connection whose next transaction will write.

    ``seconds``: how long it may wait for another writer of SQLite.
    """
    return {_BEGIN: seconds}


@contextmanager
def writing() -> Iterator[scoped_session[Session]]:
    """A write transaction: committed at the end, rolled back if anything is raised.

    Rows that were read before it may be stale: read them again inside, ``FOR UPDATE`` if they will
    be written. Nested in another one it is part of that, so that operations can be combined, as an
    import does.
    """
    if db.session.info.get("writing"):
        yield db.session
        return
    if db.session.registry().in_transaction():
        db.session.commit()  # ends the read transaction, which could not be upgraded on SQLite
    with _sqlite_lock(BUSY_SECONDS) as seconds_left:
        try:
            db.session.info["writing"] = True
            db.session.connection(execution_options=write_option(seconds_left))
            yield db.session
            db.session.commit()
        except BaseException:
            db.session.rollback()
            raise
        finally:
            db.session.info.pop("writing", None)


@contextmanager
def _sqlite_lock(seconds: float) -> Iterator[float]:
    """Wait for the other SQLite writers of this process; yields how many seconds are left."""
    if db.engine.dialect.name != "sqlite":
        yield seconds
        return
    # One writer at a time per process: a lock is fairer than SQLite's busy polling, and cuts the
    # time of the slowest saves to a quarter.
    deadline = time.monotonic() + seconds
    if not _sqlite_writer.acquire(timeout=seconds):
        raise PoolTimeout("other writes of this process take too long")
    try:
        yield max(0.0, deadline - time.monotonic())
    finally:
        _sqlite_writer.release()


def note(statement: Update) -> None:
    """Run a small write that follows a read, such as the time of a token's last use.

    The read must neither fail nor wait for it: if the database is busy, full or read-only, the
    write is skipped, and the next read tries again.
    """
    sqlite = db.engine.dialect.name == "sqlite"
    try:
        with (
            _sqlite_lock(0),
            db.engine.connect().execution_options(**write_option(0)) as connection,
        ):
            if not sqlite:
                milliseconds = int(_NOTE_SECONDS * 1000)
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
            connection.execute(statement)
            connection.commit()
    except SQLAlchemyError as error:
        log.info("a time of last use was not noted: %s", cause(error))


def cause(error: Exception) -> str:
    """The first line of the database's own message, without the statement."""
    message = str(getattr(error, "orig", None) or error) or type(error).__name__
    return message.splitlines()[0]


@functools.lru_cache(4)  # a process has one engine; tests have several
def _reader(engine: Engine) -> Engine:
    """The same engine and pool, for connections that begin no transaction."""
    return engine.execution_options(**{_BEGIN: "read"})


def fetch(statement: AnySelect, parameters: Mapping[str, object] | None = None) -> Sequence[AnyRow]:
    """The rows of one statement, on an autocommitted connection that is released immediately.

    A frequent statement is built once, at module level, and takes its values as ``parameters``.
    """
    reader = _reader(db.engine)
    for last_try in (False, True):
        try:
            with reader.connect() as connection:
                return connection.execute(statement, parameters).all()
        except DBAPIError as error:
            # The pool does not ping, so a connection that died while idle fails here. SQLAlchemy
            # has renewed the whole pool by then, and a read can safely be repeated once.
            if last_try or not error.connection_invalidated:
                raise
    raise AssertionError("unreachable")
