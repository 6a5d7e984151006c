"""Real servers for tests: smtpweb under gunicorn, and other programs, always stopped afterwards."""

from __future__ import annotations

import functools
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine

from smtpweb.__main__ import gunicorn
from smtpweb.config import ROOT
from smtpweb.database import secret_box
from smtpweb.database.models import Installation
from smtpweb.database.session import Base
from tests.support.databases import DATABASES
from tests.support.postgres_cluster import shared_cluster

_NUMBERS = itertools.count()
PATIENCE = 60  # seconds, for a program to start or to exit on a busy machine


# Below the ports that the kernel assigns to clients and to port 0, which could take them from a
# server that is only about to start; and each is used only once.
_PORTS = iter(random.SystemRandom().sample(range(12000, 32000), 20000))


def free_port() -> int:
    """Return a loopback port that nothing listens on, and that is not returned again."""
    for port in _PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no port is left")


def clean_environment(home: Path, **settings: str) -> dict[str, str]:
    """Return a new user's shell environment plus these settings; nothing from the test runner's."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        **settings,
    }


@functools.cache
def database_of(folder: Path) -> str:
    """Return the URL of the database of the installation in ``folder``, which may still be empty.

    It is a file there, unless the tests run on PostgreSQL alone.
    """
    if "sqlite" in DATABASES:
        return f"sqlite:///{folder / 'smtpweb.db'}"
    return shared_cluster().create_database(f"installation{next(_NUMBERS)}")


def installation_settings(folder: Path) -> dict[str, str]:
    """Return the settings of a separate installation, with a database of its own."""
    return {
        "SMTPWEB_DATABASE_URL": database_of(folder),
        "SMTPWEB_SECRET_KEY": "a secret key of a test",
        "SMTPWEB_ENCRYPTION_KEYS": secret_box.new_key(),
        "SMTPWEB_EHLO_NAME": "smtpweb.example",
    }


@dataclass
class Program:
    """A program running in its own process group; its output goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_for(self, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE
        while not ready():
            assert self.process.poll() is None, f"ended too early:\n{self.output}"
            assert time.monotonic() < until, f"not ready in time:\n{self.output}"
            time.sleep(0.05)

    def interrupt(self) -> int:
        """Do what Ctrl-C does: signal the whole group, and wait until the program has exited."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def program(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path = ROOT,
    at_once: bool = False,
) -> Iterator[Program]:
    """Run a program; finally kill its whole group, whatever happened.

    ``at_once``: without a chance to end by itself, which takes gunicorn seconds.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        _end(process, (signal.SIGKILL,) if at_once else (signal.SIGTERM, signal.SIGKILL))


def _end(process: subprocess.Popen[bytes], signals: Sequence[signal.Signals]) -> None:
    for number in signals:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
    process.wait(PATIENCE)


@contextmanager
def smtpweb_server(folder: Path, **settings: str) -> Iterator[tuple[str, Program]]:
    """Run smtpweb under gunicorn as deployed, migrated and ready; yield its URL and program."""
    port = free_port()
    env = clean_environment(folder, PORT=str(port), **(installation_settings(folder) | settings))
    if "SMTPWEB_DATABASE_URL" in settings:
        flask(env, "db", "upgrade")
    else:
        migrate(folder, env)
    log = folder / "smtpweb.log"
    with program(gunicorn(), env=env, log=log, at_once=True) as served:
        served.wait_for(lambda: "smtpweb is ready" in served.output)
        yield f"http://127.0.0.1:{port}", served


def migrate(folder: Path, env: Mapping[str, str]) -> None:
    """Create the tables of the installation in ``folder``, which has no database yet."""
    if "sqlite" in DATABASES:
        (folder / "smtpweb.db").write_bytes(_migrated())
    else:
        flask(env, "db", "upgrade")


def empty(folder: Path) -> None:
    """Make the installation in ``folder`` as it was at its first start, while it serves."""
    engine = create_engine(database_of(folder))
    with engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            if table is not Installation.__table__:  # the canary of its keys
                connection.execute(table.delete())
    engine.dispose()


@functools.cache
def _migrated() -> bytes:
    """Return a migrated, empty SQLite database; created once, as its process takes seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flask(clean_environment(folder, **installation_settings(folder)), "db", "upgrade")
        assert [path.name for path in folder.iterdir()] == ["smtpweb.db"]  # no other files
        return (folder / "smtpweb.db").read_bytes()


def flask(
    env: Mapping[str, str], *words: str, given: str = "", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a ``flask`` command as a real process; it must succeed."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *words]
    return subprocess.run(
        command, cwd=cwd, env=dict(env), input=given, capture_output=True, text=True, check=True
    )


def fresh_clone(folder: Path) -> Path:
    """Return a copy of the project as it would be cloned, with our packages as its .venv."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    clone = folder / "clone"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    venv = clone / ".venv"
    venv.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if not entry.name.endswith(".stamp"):
            (venv / entry.name).symlink_to(entry)
    for lock in ("run", "demo", "dev"):  # all packages in the lock files are installed
        (venv / f"{lock}.stamp").touch()
    return clone
