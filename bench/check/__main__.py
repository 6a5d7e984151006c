"""``make bench``: measure the check and its peers, print a Markdown report."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import signal
import ssl
import sys
from pathlib import Path

from . import report
from .api import api_times
from .crowd import crowd
from .hostile import endings
from .link import NoLink
from .place import Client, NotInstalled, Place, place
from .real import SERVERS, walls
from .report import Figures
from .trips import cost, trips

DOCUMENT = Path(__file__).parents[2] / "docs" / "bench.md"
PARTS = ("trips", "cost", "crowd", "hostile", "api", "real")
ONE_BY_ONE = (
    "floor-epoll", "floor-asyncio", "smtpweb-blocking", "smtpweb-asyncio", "smtplib-shared",
    "smtplib-documented", "aiosmtplib-shared", "aiosmtplib-documented", "nodemailer",
    "swaks-pipeline", "swaks",
)  # fmt: skip
AT_ONCE = tuple(name for name in ONE_BY_ONE if not name.startswith("swaks"))
AT_REAL_SERVERS = (
    "floor-epoll", "smtpweb-blocking", "smtpweb-asyncio", "smtplib-shared", "aiosmtplib-shared",
    "nodemailer",
)  # fmt: skip
FLOOR = "floor-asyncio"


def main() -> None:
    """Measure what is asked for; the report goes to stdout, and to docs/ with ``--write``."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended from outside"))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    figures = Figures(
        when=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python"
        f" {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        load=os.getloadavg()[0],
        at_once=given.at_once,
    )
    try:
        with place() as where:
            _measure(where, given, figures)
    except NoLink as error:
        sys.exit(f"bench: this machine cannot emulate a link: {error}")
    text = report.written(figures)
    print(text)
    if given.write:
        report.write_into(DOCUMENT, text)


def _measure(where: Place, given: argparse.Namespace, figures: Figures) -> None:
    quick = given.quick
    clients: dict[str, Client] = {}
    for name in ONE_BY_ONE:
        try:
            clients[name] = Client(name)
        except NotInstalled as error:
            figures.missing[name] = str(error)
    if "trips" in given.only:
        for tls in ("starttls", "implicit"):
            _tell(f"round trips, {tls}")
            figures.trips[tls] = trips(where, clients, tls, 2 if quick else 7)
    if "cost" in given.only:
        _tell("CPU, one by one")
        figures.cost = cost(where, clients, FLOOR, *((2, 10) if quick else (7, 40)))
    if "real" in given.only:
        chosen = {name: clients[name] for name in AT_REAL_SERVERS if name in clients}
        for name, start in SERVERS.items():
            _tell(f"real {name}")
            try:
                with start(where, given.exim) as server:
                    figures.real[name] = walls(where, server, chosen, 3 if quick else 7)
            except NotInstalled as error:
                figures.missing[name] = str(error)
    for client in clients.values():
        client.close()
    if "crowd" in given.only:
        names = [name for name in AT_ONCE if name in clients]
        _tell(f"{given.at_once} at once")
        figures.crowd = crowd(where, names, FLOOR, given.at_once, 1 if quick else 5)
    if "api" in given.only:
        _tell("one check by the API")
        figures.api = api_times(where, 8 if quick else 28)
    if "hostile" in given.only:
        _tell("any server behaviour")
        figures.endings = endings(only_plain=quick)


def _tell(what: str) -> None:
    print(f"bench: {what} ...", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions, to see that it runs")
    parser.add_argument("--write", action="store_true", help=f"put the report into {DOCUMENT.name}")
    parser.add_argument("--at-once", type=int, default=500, metavar="N", help="default: 500")
    parser.add_argument("--exim", metavar="PATH", help="an Exim that is not installed")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="some parts instead of all"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
