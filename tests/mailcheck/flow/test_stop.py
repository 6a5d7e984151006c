"""A check that its caller stops, whatever it is waiting for."""

from __future__ import annotations

import time

import pytest

from smtpweb.mailcheck import Stop, Stopped, check
from tests.support.fake_smtp import SILENCE, fake_smtp
from tests.support.threads import in_background, until


@pytest.mark.parametrize("verb", ["connect", "EHLO", "RCPT", "dot"])
def test_stop_ends_a_check_wherever_it_waits(verb: str) -> None:
    with fake_smtp(replies={verb: SILENCE}) as server:
        stop = Stop()

        def ends_by_itself() -> bool:
            try:
                check(server.target(timeout=20.0), stop=stop)
            except Stopped:
                return False
            return True

        thread, answers = in_background(ends_by_itself)
        until(lambda: server.connections > 0)
        time.sleep(0.2)
        stop.set()
        thread.join(5)
        assert answers == [False]


def test_stop_that_was_set_before_lets_nothing_be_sent() -> None:
    stop = Stop()
    stop.set()
    with fake_smtp() as server, pytest.raises(Stopped):
        check(server.target(), stop=stop)
    assert server.connections == 0
