"""``python -m bench.bulkhead``: reads, 25 a second, while 200 clients wait for checks that hang.

Reads are sent by the clock, not when the last one is answered: a service that stalls cannot hide
it by being asked less. The SMTP server accepts connections and never speaks.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlencode

from bench.load import report
from bench.load.client import Client, signed_in
from smtpweb.database.secret_box import new_key
from tests.support.serving import smtpweb_server

CLIENTS = 200
PER_SECOND = 25
TIMEOUT = 20  # seconds that a check may take


def main() -> None:
    """Measure; print the report, and write it to docs/ with ``--write``."""
    parser = argparse.ArgumentParser(prog="python -m bench.bulkhead", description=__doc__)
    parser.add_argument("--seconds", type=int, default=15, metavar="S", help="default: 15")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    assert options.seconds < TIMEOUT, f"checks hang for {TIMEOUT} seconds only"
    text = "\n\n".join([report.origin(), _measured(options.seconds)])
    print(text)
    if options.write:
        report.write_into("bulkhead", text)


def _measured(seconds: int) -> str:
    settings = {
        "SMTPWEB_EGRESS_ALLOW": "127.0.0.0/8", "SMTPWEB_EGRESS_PORTS": "*",
        "SMTPWEB_CHECK_TIMEOUT": str(TIMEOUT), "SMTPWEB_CHECKS_PER_USER": "0",
        "SMTPWEB_CHECKS_AT_ONCE": "0", "SMTPWEB_ENCRYPTION_KEYS": new_key(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="smtpweb-bench-") as name, _silent() as port:
        folder = Path(name)
        with smtpweb_server(folder, **settings) as (url, _):
            client = signed_in(url, folder, settings)
            app = client.post("/private/apps/save", name="shop", testemail="a@example.com")["_id"]
            smtps = [
                client.post(
                    "/private/smtps/save", idapp=app, host="127.0.0.1", port=port,
                    defaultfromemail="shop@example.com",
                )["_id"]
                for _ in range(CLIENTS)
            ]  # fmt: skip
            read = f"/private/smtps/findById?idsmtp={smtps[0]}"
            quiet = _reads(client, read, seconds)
            checks = _Checks(client, smtps)
            checks.begin()
            during = _reads(client, read, seconds)
            checks.end()
    rows = [
        [what, str(len(times)), f"{_percentile(times, 50):.0f}", f"{_percentile(times, 99):.0f}",
         str(len([one for one in times if one is None]))]
        for what, times in (("quiet", quiet), ("while checks hang", during))
    ]  # fmt: skip
    refused = sorted(took for status, took in checks.answers if status == 503)
    answers = ", ".join(f"{count} x {status}" for status, count in sorted(checks.statuses.items()))
    return "\n\n".join(
        [
            report.table(("reads", "sent", "median ms", "p99 ms", "failed"), rows),
            f"{CLIENTS} checks at once: {answers}. The refusals (503) took"
            f" {refused[len(refused) // 2]:.0f} ms (median), {refused[-1]:.0f} ms (worst)"
            " from the moment that all clients began together.",
        ]
    )


class _Checks:
    def __init__(self, client: Client, smtps: list[str]) -> None:
        self.answers: list[tuple[int, float]] = []
        self._client = client
        self._start = threading.Barrier(len(smtps) + 1)
        self._threads = [threading.Thread(target=self._check, args=(smtp,)) for smtp in smtps]
        for thread in self._threads:
            thread.start()

    @property
    def statuses(self) -> Counter[int]:
        return Counter(status for status, _ in self.answers)

    def begin(self) -> None:
        self._start.wait()
        time.sleep(1)  # until the refusals are out

    def end(self) -> None:
        for thread in self._threads:
            thread.join()

    def _check(self, smtp: str) -> None:
        form = urlencode({"idsmtp": smtp}).encode()
        request = urllib.request.Request(
            f"{self._client.url}/private/smtps/check", form, self._client.headers
        )
        self._start.wait()
        began = time.perf_counter()
        try:
            status = urllib.request.urlopen(request, timeout=60).status
        except urllib.error.HTTPError as error:
            status = error.code
        self.answers.append((status, (time.perf_counter() - began) * 1000))


def _reads(client: Client, path: str, seconds: int) -> list[float | None]:
    """Return the milliseconds of each read from when it was due; None if it failed."""
    times: list[float | None] = []

    def read(due: float) -> None:
        try:
            client.get(path)
        except OSError:
            times.append(None)
        else:
            times.append((time.perf_counter() - due) * 1000)

    threads = []
    began = time.perf_counter()
    for number in range(seconds * PER_SECOND):
        due = began + number / PER_SECOND
        time.sleep(max(0.0, due - time.perf_counter()))
        threads.append(threading.Thread(target=read, args=(due,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return times


def _percentile(times: list[float | None], percent: int) -> float:
    return quantiles([one for one in times if one is not None], n=100)[percent - 1]


@contextmanager
def _silent() -> Iterator[int]:
    """An SMTP server on loopback that accepts connections and never speaks; yields its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=CLIENTS) as server:
        yield server.getsockname()[1]


if __name__ == "__main__":
    main()
