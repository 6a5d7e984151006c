"""A Redis of our own for tests: on a free port, with its own folder, always ended afterwards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.serving import Program, clean_environment, free_port, program

PROGRAM = shutil.which("redis-server")


@contextmanager
def redis_server(folder: Path, port: int | None = None) -> Iterator[tuple[str, Program]]:
    """Serve without persistence; gives its URL."""
    assert PROGRAM is not None
    port = port or free_port()
    command = [
        PROGRAM, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
        "--appendonly", "no",
    ]  # fmt: skip
    with program(command, env=clean_environment(folder), log=folder / "redis.log") as served:
        client = redis.Redis(port=port)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

        served.wait_for(answers)
        client.close()
        yield f"redis://127.0.0.1:{port}/0", served
