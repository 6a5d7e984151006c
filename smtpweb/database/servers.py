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
    listen on loopback too, which is the default.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() != "postgresql":
        return frozenset()
    service = _service(_text(parsed.query.get("service")) or environ.get("PGSERVICE", ""), environ)

    def value(name: str, variable: str, in_authority: object = None) -> str:
        return (
            _text(parsed.query.get(name))
            or (str(in_authority) if in_authority else "")
            or service.get(name, "")
            or environ.get(variable, "")
        )

    hosts = value("host", "PGHOST", parsed.host).split(",")
    addresses = value("hostaddr", "PGHOSTADDR").split(",")
    ports = value("port", "PGPORT", parsed.port).split(",")
    if len(ports) == 1:
        ports *= max(len(hosts), len(addresses))
    return frozenset(_pairs(hosts, addresses, ports))


def of_redis(url: str) -> frozenset[tuple[str, int]]:
    """The (host or address, port) pairs of a Redis URL; none for a Unix socket."""
    parsed = make_url(url)
    if not parsed.host:
        return frozenset()
    return frozenset(_with_addresses(parsed.host, parsed.port or _REDIS))


def _pairs(hosts: list[str], addresses: list[str], ports: list[str]) -> Iterator[tuple[str, int]]:
    for host, address, port in zip_longest(hosts, addresses, ports, fillvalue=""):
        # SQLAlchemy also accepts "host:port" in a list of hosts
        name, colon, suffix = host.rpartition(":")
        if colon and suffix.isdecimal() and (":" not in name or name.endswith("]")):
            host, port = name, suffix
        number = int(port) if port.isdecimal() else int(_POSTGRESQL)
        for target in {host.strip(), address.strip()} if address else {host.strip()}:
            if not target or target.startswith(("/", "@")):  # a Unix socket
                yield "localhost", number
            else:
                yield from _with_addresses(target.strip("[]"), number)


def _with_addresses(host: str, port: int) -> Iterator[tuple[str, int]]:
    """The host and its current addresses: a check may use an address, or another name of it."""
    yield host, port
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        if host.lower() == "localhost":
            return
        try:
            resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):  # connecting to it will report the error
            return
        for *_, address in resolved:
            yield str(address[0]).partition("%")[0], port


def _text(value: str | tuple[str, ...] | None) -> str:
    """A value of the query; SQLAlchemy gives a tuple if a name is repeated."""
    return value or "" if isinstance(value, str | None) else ",".join(value)


def _service(name: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The values of a connection service (PostgreSQL manual, 32.17)."""
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
        except (configparser.Error, UnicodeDecodeError):  # libpq refuses it, too
            continue
        if parser.has_section(name):
            return dict(parser.items(name))
    return {}
