"""``python -m bench.start``: imports, time to the first answer, memory of an idle worker."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

from bench.load import report
from bench.load.processes import members, pss
from smtpweb.config import ROOT
from tests.support.serving import clean_environment, installation_settings, smtpweb_server

LIBRARIES = "import flask, flask_sqlalchemy, flask_login, flask_wtf"
OURS = "import wsgi"
SERVER = f"{OURS}; from smtpweb import deferred; deferred.load()"


def main() -> None:
    """Measure; print the report, and write it to docs/ with ``--write``."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="default: 9")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    libraries, ours, ratio, server = _imports(options.rounds)
    first, workers = _server()
    rows = [
        ["import of the libraries, CPU s", f"{libraries:.2f}", ""],
        ["import of smtpweb (`wsgi`), CPU s", f"{ours:.2f}", ""],
        ["ratio", f"{ratio:.2f}", "2"],
        ["the same with what only servers import, CPU s", f"{server:.2f}", ""],
        ["gunicorn to the first answer, s", f"{first:.1f}", ""],
        ["PSS of an idle worker, MiB", f"{median(workers):.0f}", "70"],
    ]
    text = "\n\n".join([report.origin(), report.table(("figure", "measured", "goal"), rows)])
    print(text)
    if options.write:
        report.write_into("start", text)


def _imports(rounds: int) -> tuple[float, float, float, float]:
    """Return the median CPU seconds of a process that imports, and the median of their ratios."""
    with tempfile.TemporaryDirectory(prefix="smtpweb-bench-") as name:
        env = clean_environment(Path(name), **installation_settings(Path(name)))
        measured = [
            [_cpu_of(code, env) for code in ("pass", LIBRARIES, OURS, SERVER)]
            for _ in range(rounds)
        ]
    return (
        median(libraries - bare for bare, libraries, _, _ in measured),
        median(ours - bare for bare, _, ours, _ in measured),
        median((ours - bare) / (libraries - bare) for bare, libraries, ours, _ in measured),
        median(server - bare for bare, _, _, server in measured),
    )


def _cpu_of(code: str, env: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _server() -> tuple[float, list[float]]:
    with tempfile.TemporaryDirectory(prefix="smtpweb-bench-") as name:
        began = time.perf_counter()
        with smtpweb_server(Path(name)) as (url, served):
            urllib.request.urlopen(f"{url}/healthz").read()
            first = time.perf_counter() - began
            time.sleep(2)
            group = served.process.pid
            workers = [pss(pid) for pid in members(group) if pid != group]
    return first, workers


if __name__ == "__main__":
    assert os.path.exists("/proc/self/smaps_rollup"), "needs Linux"
    main()
