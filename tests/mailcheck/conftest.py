"""Both drivers run every conversation test."""

from __future__ import annotations

import pytest

from tests.support import drivers


@pytest.fixture(params=["blocking", "looped"])
def check(request: pytest.FixtureRequest) -> drivers.Check:
    """``check(target, watch=None)`` by one driver, then by the other."""
    return drivers.blocking if request.param == "blocking" else drivers.looped
