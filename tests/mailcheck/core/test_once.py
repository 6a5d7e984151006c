"""A value that is computed once, however many threads ask for it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from smtpweb.mailcheck.core.once import once
from tests.support.threads import at_once


def test_value_is_computed_once_for_all_threads() -> None:
    computed = []

    @once
    def value() -> object:
        computed.append(1)
        time.sleep(0.1)  # so that all others arrive meanwhile
        return object()

    assert len(set(at_once(8, lambda _: value()))) == 1
    assert len(computed) == 1


def test_failure_is_not_kept() -> None:
    outcomes: Iterator[OSError | str] = iter([OSError("no such file"), "read"])

    @once
    def value() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    with pytest.raises(OSError, match="no such file"):
        value()
    assert value() == value() == "read"


def test_value_may_be_none() -> None:
    computed: list[int] = []

    @once
    def value() -> None:
        computed.append(1)

    for _ in range(2):
        value()
    assert computed == [1]


def test_values_may_need_each_other() -> None:
    @once
    def inner() -> int:
        return 1

    @once
    def outer() -> int:
        return inner() + 1

    assert sorted(at_once(8, lambda number: (outer, inner)[number % 2]())) == [1] * 4 + [2] * 4
