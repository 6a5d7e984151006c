"""Run work in several threads, and wait for what another thread does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Row = TypeVar("Row")


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Return the results of ``count`` threads that start at the same time."""
    answers: list[Any] = []
    gate = threading.Barrier(count)

    def one(number: int) -> None:
        gate.wait()
        answers.append(work(number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def each_of(rows: Mapping[str, Row], prove: Callable[[Row], None]) -> None:
    """Prove all rows at the same time, for those that wait for seconds; name all that fail."""
    with ThreadPoolExecutor(len(rows)) as pool:
        begun = {name: pool.submit(prove, row) for name, row in rows.items()}
    errors = {name: one.exception() for name, one in begun.items()}
    failed = [f"{name}: {error!r}" for name, error in errors.items() if error]
    assert not failed, "\n\n".join(failed)


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Return a thread that runs ``work``, and the list that will hold its result."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


def until(condition: Callable[[], Any]) -> None:
    """Wait some seconds for the condition."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")
