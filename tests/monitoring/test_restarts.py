"""PostgreSQL and Redis really stop and start again under a running worker and web process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import func, select

from smtpweb.config import ROOT
from smtpweb.database.models import Check, Due, Smtp, StatusChange, Worker
from smtpweb.database.session import db, writing
from tests.conftest import cannot_run
from tests.support import redis_server as redis_support
from tests.support.deployed import Installation, until
from tests.support.fake_smtp import Slowly, fake_smtp
from tests.support.guest import Guest
from tests.support.people import PASSWORD
from tests.support.postgres_cluster import PostgresCluster, postgres_cluster
from tests.support.serving import clean_environment, free_port

SERVERS = 16


@pytest.fixture
def cluster() -> Iterator[PostgresCluster]:
    try:
        with postgres_cluster() as running:
            yield running
    except ImportError as error:
        cannot_run(f"no PostgreSQL: {error}")


@pytest.fixture
def installed(cluster: PostgresCluster, tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, SMTPWEB_DATABASE_URL=cluster.create_database("restarts"))
    yield installation
    installation.close()


def assert_nothing_lost(installed: Installation, servers: int) -> None:
    """Every server has been checked, its state changed once, and none is claimed any more."""
    with installed.app.app_context():
        checked = select(func.count(Check.smtp_id.distinct())).where(Check.accepted.is_(True))
        assert db.session.scalar(checked) == servers
        changes = db.session.scalars(select(StatusChange.smtp_id)).all()
        assert len(changes) == len(set(changes)) == servers
    assert installed.count(Due, Due.lease_until.is_not(None)) == 0
    assert installed.count(Due, Due.next_at.is_(None)) == 0
    assert installed.count(Smtp, Smtp.checking_until.is_not(None)) == 0


class Client:
    """The owner of an installation, with a browser and with the API."""

    def __init__(self, installed: Installation, url: str) -> None:
        self._api, self._browser = Guest(url), Guest(url)
        self._api.token = installed.owner.token
        self._browser.send("/login", name=installed.owner.name, password=PASSWORD)

    def answers(self) -> list[int]:
        """Return the statuses of a call and a page, which are problems in their own formats."""
        with self._api.open("GET", "/private/apps/findAll?page=0&size=10") as reply:
            body, status = json.loads(reply.read()), reply.status
            if status != 200:
                assert (status, body["code"]) == (503, "STORAGE")
                assert reply.headers["Content-Type"] == "application/problem+json"
                assert reply.headers["Retry-After"]
        with self._browser.open("GET", "/apps") as page:
            if page.status != 200:
                assert "Database unavailable" in page.read().decode()
            return [status, page.status]

    def status(self, path: str) -> int:
        with self._api.open("GET", path) as reply:
            return reply.status


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_postgresql_restarts_under_worker_and_web(
    cluster: PostgresCluster, installed: Installation, mode: str
) -> None:
    with (
        fake_smtp(host="0.0.0.0", replies={"EHLO": Slowly(1.5, "250 slow")}) as server,
        installed.web() as (url, web),
        installed.worker() as worker,
    ):
        client = Client(installed, url)
        assert client.answers() == [200, 200]
        installed.add_due(server, SERVERS, hosts=SERVERS // 2)
        until(lambda: server.connections >= SERVERS // 2)  # checks are under way
        cluster.stop(mode)
        try:
            for _ in range(4):  # both processes of the web server, with all their connections
                assert client.answers() == [503, 503]
            assert [client.status(f"/{name}") for name in ("readyz", "healthz")] == [503, 200]
            time.sleep(2.5)  # results come while there is nowhere to store them
        finally:
            cluster.start()
        for _ in range(8):  # no process answers with an error once more
            assert client.answers() == [200, 200]
        until(lambda: installed.count(Smtp, Smtp.judged) == SERVERS)
        until(lambda: installed.count(Due, Due.lease_until.is_not(None)) == 0)
        assert client.status("/readyz") == 200
        assert worker.process.poll() is web.process.poll() is None
        assert_nothing_lost(installed, SERVERS)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(30) == 0
    for output in (worker.output, web.output):
        assert "Traceback" not in output


def test_checks_of_two_workers_are_done_once_though_one_is_killed(installed: Installation) -> None:
    """What the killed one had claimed is checked when its leases end; nothing is told twice."""
    with (
        fake_smtp(host="0.0.0.0", replies={"EHLO": Slowly(1, "250 slow")}) as server,
        installed.worker("first") as first,
        installed.worker("second") as second,
    ):
        until(lambda: installed.count(Worker) == 2)
        installed.add_due(server, SERVERS, hosts=SERVERS)
        until(lambda: server.connections >= SERVERS // 2)
        first.process.kill()
        until(lambda: installed.count(Smtp, Smtp.judged) == SERVERS)
        until(lambda: installed.count(Due, Due.lease_until.is_not(None)) == 0)
        assert_nothing_lost(installed, SERVERS)
        assert second.process.poll() is None
        assert "Traceback" not in second.output


def test_worker_without_its_database_ends_with_a_status_that_restarts_it(
    cluster: PostgresCluster, installed: Installation
) -> None:
    """After status 2, which a wrong setting has, systemd would leave it stopped for ever."""
    cluster.stop("fast")
    ended = worker_that_ends(installed)
    assert ended.returncode == 1
    assert "The database cannot be used" in ended.stderr
    assert "Traceback" not in ended.stderr
    wrong = worker_that_ends(installed, SMTPWEB_DATABASE_URL="nonsense")
    assert wrong.returncode == 2


def worker_that_ends(installed: Installation, **settings: str) -> subprocess.CompletedProcess[str]:
    env = clean_environment(installed.folder, **(installed.settings | settings))
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_worker_registers_again_if_its_row_is_gone(tmp_path: Path) -> None:
    """As after the restore of a backup; otherwise nobody would see that it is alive."""
    installed = Installation(tmp_path)
    with installed.worker():
        with installed.app.app_context(), writing():
            db.session.query(Worker).delete()
        until(lambda: installed.count(Worker) == 1)
    installed.close()


def test_redis_is_killed_and_restarted_empty_under_a_worker(tmp_path: Path) -> None:
    """What Redis knew is lost; the database says what is due, and nothing is checked twice."""
    if redis_support.PROGRAM is None:
        cannot_run("no redis-server")
    port = free_port()
    installed = Installation(tmp_path, SMTPWEB_REDIS_URL=f"redis://127.0.0.1:{port}/0")
    with ExitStack() as stack:
        server = stack.enter_context(
            fake_smtp(host="0.0.0.0", replies={"EHLO": Slowly(1, "250 slow")})
        )
        url, _web = stack.enter_context(installed.web())
        worker = stack.enter_context(installed.worker())  # before there is a Redis
        client = Client(installed, url)
        assert client.status("/readyz") == 503
        installed.add_due(server, SERVERS, hosts=SERVERS // 2)
        with redis_support.redis_server(tmp_path, port) as (_, redis):
            until(lambda: server.connections >= SERVERS // 2)  # checks are under way
            redis.process.kill()
            redis.process.wait()
            assert client.answers() == [200, 200]  # pages do not need it
            assert client.status("/readyz") == 503
            installed.add_due(server, SERVERS, hosts=SERVERS // 2)
        with redis_support.redis_server(tmp_path, port):
            until(lambda: installed.count(Smtp, Smtp.judged) == 2 * SERVERS)
            until(lambda: installed.count(Due, Due.lease_until.is_not(None)) == 0)
            assert client.status("/readyz") == 200
        assert worker.process.poll() is None
        assert_nothing_lost(installed, 2 * SERVERS)
        assert installed.finished() == 2 * SERVERS
    assert "Traceback" not in worker.output
    assert worker.output.count("Redis is unavailable: ConnectionError") == 1
    installed.close()
