"""Fixtures of page tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium

from tests.support.chromium import chromium_browser
from tests.support.fake_smtp import FakeServer, fake_smtp
from tests.support.serving import Program, smtpweb_server


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with chromium_browser() as browser:
        yield browser


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Program]]:
    """A fresh installation that may check loopback."""
    with smtpweb_server(
        tmp_path, SMTPWEB_EGRESS_ALLOW="127.0.0.0/8", SMTPWEB_EGRESS_PORTS="*"
    ) as server:
        yield server


@pytest.fixture
def smtp() -> Iterator[FakeServer]:
    with fake_smtp(login=("shop", "s3cret")) as server:
        yield server
