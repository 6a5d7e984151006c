"""Resolve every lock file for the oldest and the newest supported Python: `make wheels`.

Wheels only: users without a compiler must be able to install the locked packages. It needs the
package index, so it is a step of CI and not a test.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".venv" / "lock" / "bin" / "uv"


def promised() -> list[str]:
    """Return the Python versions listed in pyproject.toml, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))


def main() -> None:
    failed = False
    versions = promised()
    for lock in sorted((ROOT / "requirements").glob("*.lock")):
        for version in (versions[0], versions[-1]):
            command = [
                str(UV), "pip", "compile", "--quiet", "--no-deps", "--only-binary", ":all:",
                "--python-version", version, "--no-header", str(lock),
            ]  # fmt: skip
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            print(f"{lock.name} on Python {version}: {'no' if told.returncode else 'yes'}")
            if told.returncode:
                failed = True
                print(told.stderr, file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
