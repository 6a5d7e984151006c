"""PostgreSQL and Redis really stop and start again under a running worker and web process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from smtpweb.database.models import Check, Due, Smtp, StatusChange, Worker
from smtpweb.database.session import db
from tests.conftest import cannot_run
from tests.support.deployed import Installation, get, until
from tests.support.fake_smtp import Slowly, fake_smtp
from tests.support.postgres_cluster import PostgresCluster, postgres_cluster

SERVERS = 16
APPS = "/private/apps/findAll?page=0&size=10"


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
        checked = select(func.count(Check.smtp_id.distinct())).where(Check.accepted)
        assert db.session.scalar(checked) == servers
        changes = db.session.scalars(select(StatusChange.smtp_id)).all()
        assert len(changes) == len(set(changes)) == servers
    assert installed.count(Due, Due.lease_until.is_not(None)) == 0
    assert installed.count(Due, Due.next_at.is_(None)) == 0
    assert installed.count(Smtp, Smtp.checking_until.is_not(None)) == 0


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_postgresql_restarts_under_worker_and_web(
    cluster: PostgresCluster, installed: Installation, mode: str
) -> None:
    with (
        fake_smtp(host="0.0.0.0", replies={"EHLO": Slowly(1.5, "250 slow")}) as server,
        installed.web() as (url, web),
        installed.worker() as worker,
    ):
        assert get(url + APPS, installed.owner.token).status == 200
        installed.add_due(server, SERVERS, hosts=SERVERS // 2)
        until(lambda: server.connections >= SERVERS // 2)  # checks are under way
        cluster.stop(mode)
        try:
            for path, kind in ((APPS, "application/problem+json"), ("/login", "text/html")):
                for _ in range(4):  # both processes of the web server, with all their connections
                    answer = get(url + path, installed.owner.token)
                    if path == APPS:
                        assert answer.status == 503
                        assert answer.headers["Retry-After"]
                        assert answer.json["code"] == "STORAGE"
                    assert answer.status in (200, 503)
                    assert answer.headers["Content-Type"].startswith(kind)
                    assert "Traceback" not in answer.text
            assert get(f"{url}/readyz").status == 503
            assert get(f"{url}/healthz").status == 200
            time.sleep(2.5)  # results come while there is nowhere to store them
        finally:
            cluster.start()
        for _ in range(8):
            assert get(url + APPS, installed.owner.token).status == 200
        until(lambda: installed.count(Smtp, Smtp.judged) == SERVERS)
        until(lambda: installed.count(Due, Due.lease_until.is_not(None)) == 0)
        assert get(f"{url}/readyz").status == 200
        assert worker.process.poll() is web.process.poll() is None
        assert_nothing_lost(installed, SERVERS)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(30) == 0
    for output in (worker.output, web.output):
        assert "Traceback" not in output


def test_worker_registers_again_if_its_row_is_gone(installed: Installation) -> None:
    """As after the restore of a backup; otherwise nobody would see that it is alive."""
    with installed.worker():
        with installed.app.app_context():
            db.session.query(Worker).delete()
            db.session.commit()
        until(lambda: installed.count(Worker) == 1)
