"""The wheel runs from an empty directory, with all that a checkout has beside the package."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from smtpweb.config import ROOT
from tests.support.serving import clean_environment, free_port, program

PASSWORD = "four plain words here"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel unpacked as pip installs it; its dependencies are those of .venv."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *build], check=True)
    (wheel,) = folder.glob("smtpweb-*.whl")
    target = folder / "site"
    install = ["install", "--no-deps", "--no-index", "--target", str(target), str(wheel)]
    subprocess.run([*pip, *install], check=True)
    return target


def test_wheel_serves_pages_static_files_and_translations(installed: Path, tmp_path: Path) -> None:
    home = tmp_path / "empty"
    home.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = clean_environment(tmp_path, PORT=str(port), PYTHONPATH=str(installed))
    serve = [sys.executable, "-m", "smtpweb"]
    with program(serve, env=env, cwd=home, log=tmp_path / "log") as served:
        served.wait_for(lambda: "enter the code" in served.output)
        assert (home / "instance" / "smtpweb.db").exists()
        spanish = urllib.request.Request(f"{url}/setup", headers={"Accept-Language": "es"})
        with urllib.request.urlopen(spanish) as page:
            assert 'lang="es"' in page.read().decode()
        with urllib.request.urlopen(f"{url}/static/smtpweb.css") as style:
            assert style.status == 200
    create = ["users", "create", "ana", "--email", "ana@example.com", "--password-stdin"]
    subprocess.run([*serve, *create], env=env, cwd=home, input=PASSWORD, text=True, check=True)


def test_wheel_is_typed(installed: Path) -> None:
    assert (installed / "smtpweb" / "py.typed").exists()
