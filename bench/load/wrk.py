"""Run wrk, the HTTP load generator, for some seconds (https://github.com/wg/wrk)."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

_COUNTS = re.compile(
    r"^COUNTS (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE
)
_SCRIPT = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("COUNTS %d %d %f %f %d %d %d %d %d\\n", summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99), e.connect, e.read, e.write,
    e.status, e.timeout))
end
"""


@dataclass(frozen=True)
class Load:
    """What wrk counted. ``refused``: statuses of 400 and more; times in milliseconds."""

    requests: int
    seconds: float
    median: float
    p99: float
    failures: int
    refused: int

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True)
class Call:
    """A request that is sent again and again; ``form``: that of a POST."""

    path: str
    headers: Mapping[str, str]
    form: Mapping[str, object] | None = None


def load(url: str, call: Call, *, seconds: int, connections: int = 16) -> Load:
    """Send ``call`` on some connections at once, each as soon as the last one is answered."""
    if not shutil.which("wrk"):
        sys.exit("bench: wrk is not installed (on Debian: apt install wrk).")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.lua")
        script.write_text(_SCRIPT + (_post(call.form) if call.form else ""))
        headers = [
            word for name, value in call.headers.items() for word in ("-H", f"{name}: {value}")
        ]
        finished = subprocess.run(
            [
                "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s",
                "-s", str(script), *headers, url + call.path,
            ],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    found = _COUNTS.search(finished.stdout)
    assert found, finished.stdout
    requests, duration, median, p99, *errors = map(float, found.groups())
    connect, read, write, status, timeout = map(int, errors)
    return Load(
        int(requests), duration / 1e6, median / 1000, p99 / 1000,
        connect + read + write + timeout, status,
    )  # fmt: skip


def _post(form: Mapping[str, object]) -> str:
    body = urlencode(form)
    kind = "application/x-www-form-urlencoded"
    return f"""
wrk.method = "POST"
wrk.body = "{body}"
wrk.headers["Content-Type"] = "{kind}"
"""
