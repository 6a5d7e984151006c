"""Misbehaving servers: when the check ends, what it costs, and what it leaves behind.

The servers are those of ``tests/support/fake_smtp.py``, each in plain text and, unless it uses TLS
anyway, inside TLS. Server and check are separate processes.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtpweb.mailcheck import EgressPolicy, Encryption, Report, Target, check, check_async

DEADLINE = 1.0  # seconds
DRIVERS = ("blocking", "asyncio")
GOOD = "nothing: takes the mail"


@dataclass(frozen=True)
class Ending:
    """How one check of one server ended."""

    driver: str
    misbehaviour: str
    tls: str
    code: str
    seconds: float
    memory: int  # KiB: peak minus start
    sockets: int  # more than before, a second later
    threads: int


def endings(only_plain: bool = False) -> list[Ending]:
    """Every misbehaviour, under both drivers."""
    found = []
    with _program("serve") as server, _program("check") as checker:
        names = _ask(server, {"list": True})["names"]
        for tls in ("",) if only_plain else ("", "implicit"):
            for name in [GOOD, *names]:
                measured = _ask(server, {"name": name, "tls": tls})
                if measured["tls"] != tls and tls:
                    continue  # it has TLS of its own, and had its turn
                for driver in DRIVERS:
                    end = _ask(checker, {"driver": driver, **measured})
                    found.append(Ending(driver, name, measured["tls"], **end))
    return [one for one in found if one.misbehaviour != GOOD]


@contextlib.contextmanager
def _program(part: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.check.hostile", part],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield process


def _ask(process: subprocess.Popen[str], question: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def _serve() -> None:
    """Run one server after the other, as asked."""
    from tests.support.fake_smtp import MISBEHAVIOURS, fake_smtp

    # A flood goes on after the check has hung up, and asyncio would log each of its writes
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    with contextlib.ExitStack() as running:
        for line in sys.stdin:
            asked = json.loads(line)
            if "list" in asked:
                print(json.dumps({"names": list(MISBEHAVIOURS)}), flush=True)
                continue
            running.close()
            name = None if asked["name"] == GOOD else asked["name"]
            knobs = {"tls": MISBEHAVIOURS.get(name or "", {}).get("tls", asked["tls"])}
            server = running.enter_context(fake_smtp(name, **knobs))
            measured = {"port": server.port, "tls": knobs["tls"], "ca": str(server.ca_file)}
            print(json.dumps(measured), flush=True)


def _check() -> None:
    """Check one server after the other, as asked."""
    import asyncio

    for line in sys.stdin:
        asked = json.loads(line)
        target = Target(
            host="127.0.0.1",
            port=asked["port"],
            mail_from="app@example.com",
            rcpt_to="test@example.com",
            encryption=Encryption(asked["tls"] or "none"),
            timeout=DEADLINE,
            ehlo_name="[127.0.0.1]",
            policy=EgressPolicy.parse("127.0.0.0/8", "*"),
            ca_file=Path(asked["ca"]),
        )

        def run(target: Target = target, driver: str = asked["driver"]) -> Report:
            return check(target) if driver == "blocking" else asyncio.run(check_async(target))

        gc.collect()
        sockets, threads = _sockets(), threading.active_count()
        Path("/proc/self/clear_refs").write_text("5")
        memory = _memory("VmRSS")
        began = time.monotonic()
        report = run()
        seconds = time.monotonic() - began
        peak = _memory("VmHWM") - memory
        measured = {"code": report.code, "seconds": seconds, "memory": peak}
        del report
        until = time.monotonic() + 1.0
        while _sockets() > sockets or threading.active_count() > threads:
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        measured["sockets"] = _sockets() - sockets
        measured["threads"] = threading.active_count() - threads
        print(json.dumps(measured), flush=True)


def _sockets() -> int:
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that lists the others is gone by now
            count += str(entry.readlink()).startswith("socket:")
    return count


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise AssertionError(name)


if __name__ == "__main__":
    {"serve": _serve, "check": _check}[sys.argv[1]]()
