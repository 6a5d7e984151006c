"""The database is recognised as our own however its URL names it."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest

from smtpweb import config
from smtpweb.database import servers

ELSEWHERE = "10.0.0.25"

URLS = {
    "postgresql+psycopg://u:p@10.0.0.25/d": 5432,
    "postgresql+psycopg://u:p@10.0.0.25:5433/d": 5433,
    "postgresql+psycopg:///d?host=10.0.0.25": 5432,
    "postgresql+psycopg:///d?host=10.0.0.25&port=587": 587,
    "postgresql+psycopg:///d?host=10.0.0.25:587": 587,
    "postgresql+psycopg:///d?host=10.0.0.7:25&host=10.0.0.25:587": 587,
    "postgresql+psycopg:///d?host=10.0.0.7,10.0.0.25&port=25,587": 587,
    "postgresql+psycopg:///d?host=10.0.0.7,10.0.0.25&port=587": 587,
    "postgresql+psycopg://db.example/d?hostaddr=10.0.0.25": 5432,
    "postgresql+psycopg:///d?hostaddr=10.0.0.7,10.0.0.25&port=25,587": 587,
    "postgresql+psycopg://[::ffff:10.0.0.25]:587/d": 587,
    "postgresql+psycopg://db.example:587/d": 587,
    "postgresql+psycopg:///d?host=db.example": 5432,
    "postgresql+psycopg:///d?service=mine": 587,
}


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A service file, and a name server that knows one name."""
    path = tmp_path / "services"
    path.write_text("[other]\nhost=10.9.9.9\n[mine]\nhost=10.0.0.25\nport=587\npassword=100%\n")

    def resolve(host: str, port: int, **_options: Any) -> list[Any]:
        if host != "db.example":
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ELSEWHERE, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return {"PGSERVICEFILE": str(path)}


def policy(environ: dict[str, str], url: str, tmp_path: Path) -> Any:
    config.make_first_keys(tmp_path)
    given = {
        "SMTPWEB_DATABASE_URL": url,
        "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8,::1/128,10.0.0.0/8,fd00::/8",
        "SMTPWEB_EGRESS_PORTS": "*",
    }
    return config.load(environ | given, tmp_path).egress


@pytest.mark.parametrize("url", URLS)
def test_database_elsewhere_is_our_own(url: str, environ: dict[str, str], tmp_path: Path) -> None:
    egress, port = policy(environ, url, tmp_path), URLS[url]
    for spelling in (ELSEWHERE, f"::ffff:{ELSEWHERE}"):
        refusal = egress.refuses(ipaddress.ip_address(spelling), port)
        assert refusal is not None
        assert refusal.kind == "own"
    assert egress.refuses(ipaddress.ip_address(ELSEWHERE), port + 1) is None
    assert egress.refuses(ipaddress.ip_address("10.0.0.99"), port) is None


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg:///d",
        "postgresql+psycopg:///d?host=/var/run/postgresql",
        "postgresql+psycopg://localhost/d",
        "postgresql+psycopg:///d?host=[::1]",
        "postgresql+psycopg://[::1]/d",
        "postgresql+psycopg://[0:0:0:0:0:0:0:1]/d",
        "postgresql+psycopg:///d?host=10.0.0.7,/tmp",
    ],
)
def test_database_on_this_machine_is_our_own(
    url: str, environ: dict[str, str], tmp_path: Path
) -> None:
    egress = policy(environ, url, tmp_path)
    loopback = "::1" if ":1]" in url else "127.0.0.1"
    refusal = egress.refuses(ipaddress.ip_address(loopback), 5432)
    assert refusal is not None
    assert refusal.kind == "own"
    assert egress.refuses(ipaddress.ip_address(loopback), 5433) is None


def test_url_parts_that_are_absent_come_from_the_environment(environ: dict[str, str]) -> None:
    given = environ | {"PGHOST": ELSEWHERE, "PGPORT": "587"}
    assert servers.of_database("postgresql+psycopg:///d", given) == {(ELSEWHERE, 587)}
    by_service = environ | {"PGSERVICE": "mine"}
    assert servers.of_database("postgresql+psycopg:///d", by_service) == {(ELSEWHERE, 587)}


def test_sqlite_listens_nowhere() -> None:
    assert servers.of_database("sqlite:////tmp/x.db") == frozenset()


def test_redis_is_our_own(environ: dict[str, str]) -> None:
    assert (ELSEWHERE, 6379) in servers.of_redis("redis://db.example")
    assert servers.of_redis("unix:///run/redis.sock") == frozenset()
