"""One check through the API: the time of a request beyond the conversation with the server.

smtpweb runs under gunicorn as deployed, with SQLite; the client keeps its connection. The
conversation's own time is in the report that the check left in the database.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlencode, urlsplit

from tests.support.serving import (
    clean_environment,
    flask,
    installation_settings,
    smtpweb_server,
)

from .link import FAR
from .server import PASSWORD, USER
from .testbed import PORTS, Testbed

ACCOUNTS = ("ana", "bea")  # each may ask for 30 checks in ten minutes
SECRET = "correct horse battery staple"


@dataclass(frozen=True)
class ApiTimes:
    """Medians in milliseconds."""

    whole: float
    conversation: float
    beyond: float
    worst_beyond: float
    count: int


class _Caller:
    def __init__(self, url: str):
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self.connection.connect()
        self.token = ""

    def post(self, path: str, **parameters: object) -> bytes:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        self.connection.request("POST", path, urlencode(parameters), headers)
        reply = self.connection.getresponse()
        body = reply.read()
        if reply.status != 200:
            raise SystemExit(f"{path} answered {reply.status}: {body.decode()}")
        return body


def api_times(testbed: Testbed, count: int) -> ApiTimes:
    """``count`` checks for each account, one after the other, at a server without delay."""
    with tempfile.TemporaryDirectory(prefix="bench-check-") as name:
        folder = Path(name)
        settings = installation_settings(folder) | {
            "SMTPWEB_CA_FILE": str(testbed.authority),
            "SMTPWEB_EGRESS_ALLOW": f"{FAR}/32",
        }
        with smtpweb_server(folder, **settings) as (url, _):
            walls = [
                wall
                for account in ACCOUNTS
                for wall in _checks(url, account, count, folder, settings)
            ]
        with closing(sqlite3.connect(folder / "smtpweb.db")) as database:
            reports = 'SELECT report FROM "check" ORDER BY started'
            rows = database.execute(reports).fetchall()
    testbed.stories()
    own = [json.loads(row[0])["milliseconds"] for row in rows]
    assert len(own) == len(walls)
    # Each account's first one is the first in its worker, which fills caches
    pairs = [(w, o) for i, (w, o) in enumerate(zip(walls, own, strict=True)) if i % count > 3]
    beyond = [wall - conversation for wall, conversation in pairs]
    return ApiTimes(
        median(wall for wall, _ in pairs),
        median(conversation for _, conversation in pairs),
        median(beyond),
        max(beyond),
        len(pairs),
    )


def _checks(
    url: str, account: str, count: int, folder: Path, settings: dict[str, str]
) -> list[float]:
    flask(
        clean_environment(folder, **settings),
        "users", "create", account, "--email", f"{account}@bench.example", "--password-stdin",
        given=SECRET,
    )  # fmt: skip
    caller = _Caller(url)
    caller.token = json.loads(caller.post("/auth/login", username=account, password=SECRET))[
        "token"
    ]
    app = json.loads(caller.post("/private/apps/save", name="shop", testemail="test@bench.example"))
    smtp = json.loads(
        caller.post(
            "/private/smtps/save", idapp=app["_id"], host=FAR, port=PORTS["starttls"],
            auth="true", starttls="true", username=USER, password=PASSWORD,
            defaultfromemail="api@bench.example",
        )
    )  # fmt: skip
    walls = []
    for _ in range(count):
        began = time.perf_counter()
        caller.post("/private/smtps/check", idsmtp=smtp["_id"])
        walls.append((time.perf_counter() - began) * 1000)
    caller.connection.close()
    return walls
