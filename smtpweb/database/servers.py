"""Where the database listens: what a check must never connect to, however its URL names it."""

from __future__ import annotations

import configparser
import ipaddress
import os
import socket
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path

from sqlalchemy.engine import make_url

_POSTGRESQL = "5432"
_REDIS = 6379
_SERVICE_FILE = "pg_service.conf"


def of_database(url: str, environ: Mapping[str, str] = os.environ) -> frozenset[tuple[str, int]]:
    """The (host or address, port) pairs of a database URL; none for SQLite.

    libpq takes them from the URL's authority, its query, a service file and the environment, in
    this order, and each may be a list. A server that is reached by a Unix socket is taken to
    listen on loopback too, as it does by default.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return frozenset()
    given = _service(_text(parsed.query.get("service")) or environ.get("PGSERVICE", ""), environ)

    def value(name: str, variable: str, in_authority: object = None) -> str:
        return (
            _text(parsed.query.get(name))
            or (str(in_authority) if in_authority else "")
            or given.get(name, "")
            or environ.get(variable, "")
        )

    hosts = value("host", "PGHOST", parsed.host).split(",")
    addresses = value("hostaddr", "PGHOSTADDR").split(",")
    ports = value("port", "PGPORT", parsed.port).split(",")
    if len(ports) == 1:
        ports *= max(len(hosts), len(addresses))
    return frozenset(_pairs(hosts, addresses, ports))


def of_redis(url: str) -> frozenset[tuple[str, int]]:
    """The same for a Redis URL; none for a Unix socket."""
    parsed = make_url(url)
    if not parsed.host:
        return frozenset()
    return frozenset(_with_addresses(parsed.host, parsed.port or _REDIS))


def _pairs(hosts: list[str], addresses: list[str], ports: list[str]) -> Iterator[tuple[str, int]]:
    for host, address, port in zip_longest(hosts, addresses, ports, fillvalue=""):
        # SQLAlchemy also takes "host:port" in a list of hosts
        name, colon, behind = host.rpartition(":")
        if colon and behind.isdecimal() and (":" not in name or name.endswith("]")):
            host, port = name, behind
        number = int(port) if port.isdecimal() else int(_POSTGRESQL)
        for one in {host.strip(), address.strip()} if address else {host.strip()}:
            if not one or one.startswith(("/", "@")):
                yield "localhost", number
            else:
                yield from _with_addresses(one.strip("[]"), number)


def _with_addresses(host: str, port: int) -> Iterator[tuple[str, int]]:
    """The name and what it means now: a check may name its address, or another name of it."""
    yield host, port
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if host.lower() == "localhost":
            return
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # the start will say so, when it connects
            return
        for *_, place in found:
            yield str(place[0]).partition("%")[0], port


def _text(value: str | tuple[str, ...] | None) -> str:
    """A value of the query; one that is given several times is a list (SQLAlchemy's way)."""
    return value or "" if isinstance(value, str | None) else ",".join(value)


def _service(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The values of a connection service (PostgreSQL manual, "The Connection Service File")."""
    if not name:
        return {}
    own = environ.get("PGSERVICEFILE") or str(
        Path(environ.get("HOME") or "~").expanduser() / f".{_SERVICE_FILE}"
    )
    system = Path(environ.get("PGSYSCONFDIR") or "/etc/postgresql-common") / _SERVICE_FILE
    for path in (Path(own), system):
        parser = configparser.ConfigParser(interpolation=None, strict=False, delimiters=("=",))
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):  # libpq will refuse it, too
            continue
        if parser.has_section(name):
            return dict(parser.items(name))
    return {}
