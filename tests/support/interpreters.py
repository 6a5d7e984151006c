"""The interpreters and parsers of other languages, to read what was written for them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

from tests.conftest import cannot_run

_LITERALS = Path(__file__).with_name("Literals.java")


def run(*command: str, stdin: str = "", **variables: str) -> str:
    """Run a program, which must succeed, and return its output; skip where it is missing."""
    if shutil.which(command[0]) is None:
        cannot_run(f"{command[0]} is not installed")
    done = subprocess.run(
        command,
        input=stdin.encode(),
        capture_output=True,
        env=os.environ | {"LC_ALL": "C.UTF-8"} | variables,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout.decode()} {done.stderr.decode()}"
    return done.stdout.decode()


def javascript_values(literals: list[str]) -> list[str]:
    """Return what Node.js reads in these literals."""
    return _strings(run("node", stdin=f"console.log(JSON.stringify([{','.join(literals)}]))"))


def php_values(literals: list[str]) -> list[str]:
    """Return what PHP reads in these literals."""
    return _strings(run("php", stdin=f"<?php echo json_encode([{','.join(literals)}]);"))


def ruby_values(literals: list[str]) -> list[str]:
    """Return what Ruby reads in these literals."""
    return _strings(
        run("ruby", "-rjson", stdin=f"# encoding: utf-8\nputs [{','.join(literals)}].to_json")
    )


def java_values(literals: list[str]) -> list[str]:
    """Return what the Java compiler reads in these literals."""
    return java_literals(f"class A {{ String[] all = {{{','.join(literals)}}}; }}")


def java_literals(source: str) -> list[str]:
    """Return the string literals of a Java source, which must have no syntax error."""
    return _decoded(run("java", str(_LITERALS), "source", stdin=source))


def properties(text: str) -> dict[str, str]:
    """Return the properties that Java reads in this file."""
    found = _decoded(run("java", str(_LITERALS), "properties", stdin=text))
    return dict(line.split("=", 1) for line in found)


def shell_values(words: list[str]) -> list[str]:
    """Return what a POSIX shell reads in these words."""
    shown = run("sh", "-c", f"printf '%s\\n' {' '.join(words)}")
    return shown.split("\n")[:-1]


def msmtp_settings(text: str, folder: Path) -> dict[str, str]:
    """Return the settings that msmtp reads in its configuration file."""
    file = folder / "msmtprc"
    file.write_text(text)
    file.chmod(0o600)
    shown = run("msmtp", "-C", str(file), "-P", "to@example.com", SMTP_PASSWORD="s3cret")
    pairs = (line.partition(" = ") for line in shown.split("\n"))
    return {name: value for name, equals, value in pairs if equals}


def _strings(text: str) -> list[str]:
    found = json.loads(text)
    assert isinstance(found, list)
    return [str(value) for value in found]


def _decoded(text: str) -> list[str]:
    return [base64.b64decode(line).decode() for line in text.split("\n")[:-1]]
