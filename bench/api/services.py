"""The three services that are compared, each with two worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load.client import app_with, signed_in
from bench.load.databases import Database
from bench.load.processes import cpu_of_group
from smtpweb.config import ROOT
from smtpweb.database.secret_box import new_key
from tests.support.serving import clean_environment, free_port, program, smtpweb_server

HERE = Path(__file__).parent
PEER = ROOT / ".venv" / "bench-api"
LOCK = ROOT / "requirements" / "bench-api.lock"
COUNTS = (2, 20)  # SMTP servers of an app


@dataclass
class Service:
    """A running service. ``apps``: ids of the apps by their number of SMTP servers."""

    url: str
    group: int
    token: str = ""
    apps: dict[int, str] | None = None

    @property
    def cpu(self) -> float:
        return cpu_of_group(self.group)

    def app(self, servers: int) -> str:
        assert self.apps
        return self.apps[servers]


@contextmanager
def smtpweb(database: Database, folder: Path) -> Iterator[Service]:
    """Run smtpweb as deployed, with an app of 2 and one of 20 SMTP servers."""
    settings = {
        "SMTPWEB_DATABASE_URL": database.url("smtpweb"),
        "SMTPWEB_ENCRYPTION_KEYS": new_key(),
    }
    with smtpweb_server(folder, **settings) as (url, served):
        client = signed_in(url, folder, settings)
        apps = {count: app_with(client, count) for count in COUNTS}
        yield Service(url, served.process.pid, client.token, apps)


@contextmanager
def baseline(folder: Path, bodies: dict[str, bytes]) -> Iterator[Service]:
    """Run a bare Flask application under the same server, which returns these bodies."""
    kept = folder / "bodies"
    kept.mkdir()
    for name, body in bodies.items():
        (kept / name).write_bytes(body)
    port = free_port()
    command = [
        sys.executable, "-m", "gunicorn", "--config", os.devnull,  # not that of smtpweb
        "--bind", f"127.0.0.1:{port}", "--workers", "2",
        "--worker-class", "gthread", "--threads", "24", "--keep-alive", "75", "--preload",
        "--no-control-socket", "bench.api.baseline:app",
    ]  # fmt: skip
    env = clean_environment(folder, BENCH_BODIES=str(kept))
    with _running(command, env, folder / "baseline.log", f"http://127.0.0.1:{port}") as service:
        yield service


@contextmanager
def peer(database: Database, folder: Path) -> Iterator[Service]:
    """Run the FastAPI service with the same two apps."""
    python = PEER / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", LOCK], check=True
        )
    port = free_port()
    url = database.url("peer")
    env = clean_environment(folder, BENCH_PEER_URL=url, BENCH_PEER_KEY=new_key())
    seeded = subprocess.run(
        [python, "-m", "bench.api.peer"],
        cwd=ROOT, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    token, *apps = seeded.stdout.split()
    command = [
        str(python), "-m", "uvicorn", "bench.api.peer:app", "--port", str(port), "--workers", "2",
        "--log-level", "warning", "--no-access-log",
    ]  # fmt: skip
    with _running(command, env, folder / "peer.log", f"http://127.0.0.1:{port}") as service:
        service.token, service.apps = token, dict(zip(COUNTS, apps, strict=True))
        yield service


@contextmanager
def _running(command: list[str], env: dict[str, str], log: Path, url: str) -> Iterator[Service]:
    with program(command, env=env, log=log) as started:
        started.wait_for(lambda: _answers(url))
        yield Service(url, started.process.pid)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
