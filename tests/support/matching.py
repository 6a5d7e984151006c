"""Look-ups that fail the test if they find nothing."""

from __future__ import annotations

import re
from typing import TypeVar

T = TypeVar("T")


def search(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in {text}"
    return found


def not_none(value: T | None) -> T:
    assert value is not None
    return value
