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
from .concurrency import concurrency
from .hostile import endings
from .link import NoLink
from .real import SERVERS, walls
from .report import Figures
from .testbed import Client, NotInstalled, Testbed, testbed
from .trips import cost, trips

DOCUMENT = Path(__file__).parents[2] / "docs" / "bench.md"
PARTS = ("trips", "cost", "concurrency", "hostile", "api", "real")
ONE_BY_ONE = (
    "baseline-epoll", "baseline-asyncio", "smtpweb-blocking", "smtpweb-asyncio", "smtplib-shared",
    "smtplib-documented", "aiosmtplib-shared", "aiosmtplib-documented", "nodemailer",
    "swaks-pipeline", "swaks",
)  # fmt: skip
AT_ONCE = tuple(name for name in ONE_BY_ONE if not name.startswith("swaks"))
AT_REAL_SERVERS = (
    "baseline-epoll", "smtpweb-blocking", "smtpweb-asyncio", "smtplib-shared", "aiosmtplib-shared",
    "nodemailer",
)  # fmt: skip
BASELINE = "baseline-asyncio"


def main() -> None:
    """Run the chosen measurements; print the report, and write it to docs/ with ``--write``."""
    options = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    figures = Figures(
        when=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python"
        f" {platform.python_version()}, {ssl.OPENSSL_VERSION}",
        load=os.getloadavg()[0],
        at_once=options.at_once,
    )
    try:
        with testbed() as bed:
            _measure(bed, options, figures)
    except NoLink as error:
        sys.exit(f"bench: this machine cannot emulate a link: {error}")
    text = report.written(figures)
    print(text)
    if options.write:
        report.write_into(DOCUMENT, text)


def _measure(bed: Testbed, options: argparse.Namespace, figures: Figures) -> None:
    quick = options.quick
    clients: dict[str, Client] = {}
    for name in ONE_BY_ONE:
        try:
            clients[name] = Client(name)
        except NotInstalled as error:
            figures.missing[name] = str(error)
    if "trips" in options.only:
        for tls in ("starttls", "implicit"):
            _log(f"round trips, {tls}")
            figures.trips[tls] = trips(bed, clients, tls, 2 if quick else 7)
    if "cost" in options.only:
        _log("CPU, one by one")
        figures.cost = cost(bed, clients, BASELINE, *((2, 10) if quick else (7, 40)))
    if "real" in options.only:
        chosen = {name: clients[name] for name in AT_REAL_SERVERS if name in clients}
        for name, start in SERVERS.items():
            _log(f"real {name}")
            try:
                with start(bed, options.exim) as server:
                    figures.real[name] = walls(bed, server, chosen, 3 if quick else 7)
            except NotInstalled as error:
                figures.missing[name] = str(error)
    for client in clients.values():
        client.close()
    if "concurrency" in options.only:
        names = [name for name in AT_ONCE if name in clients]
        _log(f"{options.at_once} at once")
        figures.concurrency = concurrency(bed, names, BASELINE, options.at_once, 1 if quick else 5)
    if "api" in options.only:
        _log("one check by the API")
        figures.api = api_times(bed, 8 if quick else 28)
    if "hostile" in options.only:
        _log("any server behaviour")
        figures.endings = endings(only_plain=quick)


def _log(what: str) -> None:
    print(f"bench: {what} ...", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions, to try it out")
    parser.add_argument(
        "--write", action="store_true", help=f"write the report into {DOCUMENT.name}"
    )
    parser.add_argument("--at-once", type=int, default=500, metavar="N", help="default: 500")
    parser.add_argument("--exim", metavar="PATH", help="path of an Exim that is not in PATH")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="run only these parts"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
