"""Tables in Markdown, and where they stand in docs/performance.md."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from smtpweb.config import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
_PACKAGES = ("flask", "sqlalchemy", "gunicorn", "psycopg", "orjson", "cryptography")


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def origin() -> str:
    """Return when and on what something is measured."""
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Measured {when} at commit {_commit()}: {os.cpu_count()} cores, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}, {packages};"
        f" load average before: {os.getloadavg()[0]:.1f}."
    )


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.stdout.strip() or "unknown"


def write_into(name: str, text: str, document: Path = DOCUMENT) -> None:
    """Replace what stands between the marks of this name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head, found, rest = document.read_text().partition(begin)
    _, ended, tail = rest.partition(end)
    assert found, f"{document} has lost its mark {begin}"
    assert ended, f"{document} has lost its mark {end}"
    document.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}")
