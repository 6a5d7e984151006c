"""A search that fails the test if it finds nothing."""

from __future__ import annotations

import re


def search(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in {text}"
    return found
