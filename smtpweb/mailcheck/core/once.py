"""Compute a value once per process, however many threads ask for it at the same time."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def once(compute: Callable[[], T]) -> Callable[[], T]:
    """Decorate a function without parameters so that it runs once and its result is kept.

    Other threads wait for the first one. With ``functools.cache`` they would compute the same
    value side by side: the first requests after a start, all at once, would take that many times
    as long. If ``compute`` raises, the next call tries again.
    """
    lock = threading.RLock()
    found: list[T] = []

    @functools.wraps(compute)
    def value() -> T:
        if not found:
            with lock:
                if not found:
                    found.append(compute())
        return found[0]

    return value
