"""Fixtures of page tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from tests.support.chromium import chromium_browser
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.serving import Program, empty, smtpweb_server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with chromium_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def _serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Program]]:
    """An installation that may check loopback: its folder, its URL and its program."""
    folder = tmp_path_factory.mktemp("served")
    with smtpweb_server(folder, SMTPWEB_EGRESS_ALLOW="127.0.0.0/8", SMTPWEB_EGRESS_PORTS="*") as (
        url,
        program,
    ):
        yield folder, url, program


@pytest.fixture
def served(_serving: tuple[Path, str, Program]) -> tuple[str, Program]:
    """The installation of this module, without what an earlier test has left in its database."""
    folder, url, program = _serving
    assert program.process.poll() is None, f"an earlier test has ended it:\n{program.output}"
    empty(folder)
    return url, program


@pytest.fixture
def served_folder(_serving: tuple[Path, str, Program]) -> Path:
    """The folder of the installation that is served."""
    return _serving[0]


@pytest.fixture
def smtp() -> Iterator[FakeServer]:
    with fake_smtp(login=("shop", "s3cret")) as server:
        yield server
