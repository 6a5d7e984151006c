"""The driver for thousands of concurrent checks in one asyncio loop.

It uses plain sockets and callbacks: no task, stream or transport per check, and each round trip
of the conversation is one read, one step of the core and one write. It requires a loop with
``add_reader``, which all have except the default on Windows.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any

from ..core.effects import (
    Asks,
    Connect,
    Connected,
    Exchange,
    Glance,
    HangUp,
    Lost,
    Need,
    NotConnected,
    NotResolved,
    Resolve,
    Silent,
    Together,
)
from ..core.egress import Address
from ..core.failure import Symptom
from ..core.recorder import Watch
from ..core.types import Report, Target
from ..flow.check import course
from ..net import sockets
from ..net.happy_eyeballs import Race
from ..net.resolver import RESOLVER, Found


async def check_async(target: Target, watch: Watch | None = None) -> Report:
    """As :func:`check`, inside a running loop. Cancelling it closes everything it opened."""
    loop = asyncio.get_running_loop()
    run = _Run(loop, course(target, watch=watch, clock=time.monotonic))
    try:
        report: Report = await run.result
        return report
    finally:
        run.close()


async def check_many(targets: Iterable[Target], at_once: int = 500) -> list[Report]:
    """Check many servers, at most ``at_once`` at a time; the reports in the targets' order."""
    slots = asyncio.Semaphore(at_once)

    async def one(target: Target) -> Report:
        async with slots:
            return await check_async(target)

    return list(await asyncio.gather(*map(one, targets)))


class _Run:
    """One running check. Exactly one request is open at any time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, steps: Asks[Any]):
        self.result: asyncio.Future[Any] = loop.create_future()
        self._loop = loop
        self._steps = steps
        self._open: set[socket.socket] = set()
        # Registered by number: to look up a socket object the loop uses repr(), with system calls
        self._reading: set[int] = set()
        self._writing: set[int] = set()
        self._need: Any = None
        self._race: Race | None = None
        self._attempts: dict[Address, socket.socket] = {}
        self._unsent = b""
        self._broken = False
        self._until = 0.0
        self._rings_at = 0.0
        self._parts: list[_Run] = []
        self._timer: asyncio.TimerHandle | None = None
        self._advance(None)

    def close(self) -> None:
        """Release everything: sockets, timers and callbacks."""
        self._need = None
        if self._timer is not None:
            self._timer.cancel()
        for sock in [*self._attempts.values(), *self._open]:
            self._drop(sock)
        self._attempts.clear()
        self._open.clear()
        for part in self._parts:
            part.close()
        self._steps.close()

    # -- requests from the core

    def _advance(self, answer: object, error: Exception | None = None) -> None:
        """Step the core until it requests something that takes time."""
        self._need = None
        while True:
            try:
                need = self._steps.send(answer) if error is None else self._steps.throw(error)
            except StopIteration as stop:
                if not self.result.done():
                    self.result.set_result(stop.value)
                return
            except Exception as bug:  # the core raises none; do not hide one as a hang
                if not self.result.done():
                    self.result.set_exception(bug)
                return
            answer = error = None
            try:
                answer, waits = self._carry_out(need)
            except Exception as raised:  # the core handles the ones it expects
                self._need, error, waits = None, raised, False
            if waits:
                return

    def _carry_out(self, need: Need) -> tuple[object, bool]:
        """Return the answer, or arrange for :meth:`_advance` to be called with it."""
        match need:
            case Exchange():
                self._exchange(need)
            case Resolve():
                self._resolve(need)
            case Connect():
                self._need = need
                self._race = Race(need.addresses, time.monotonic(), need.until, need.each)
                self._loop.call_soon(self._run_race)
            case Glance():
                return sockets.glance(need.handle), False
            case HangUp():
                if need.handle in self._open:
                    sockets.send_at_once(need.handle, need.data)
                    self._open.discard(need.handle)
                    self._drop(need.handle)
                return None, False
            case Together():
                self._together(need)
        return None, True

    def _together(self, need: Together) -> None:
        self._need = need
        self._parts = [_Run(self._loop, steps) for steps in need.courses]
        # Done callbacks run in a later iteration of the loop, so none runs before the last is added
        for part in self._parts:
            part.result.add_done_callback(lambda _: self._part_ended(need))

    def _part_ended(self, need: Together) -> None:
        if self._need is not need or not all(part.result.done() for part in self._parts):
            return
        ended, self._parts = self._parts, []
        for part in ended:
            part.close()
        self._advance(tuple(part.result.result() for part in ended))

    def _drop(self, sock: socket.socket) -> None:
        number = sock.fileno()
        if number in self._reading:
            self._stop_reading(number)
        if number in self._writing:
            self._stop_writing(number)
        sock.close()

    def _stop_reading(self, number: int) -> None:
        self._loop.remove_reader(number)
        self._reading.discard(number)

    def _start_writing(self, sock: socket.socket, then: Callable[[Any], None], value: Any) -> None:
        number = sock.fileno()
        self._writing.add(number)
        self._loop.add_writer(number, then, value)

    def _stop_writing(self, number: int) -> None:
        self._loop.remove_writer(number)
        self._writing.discard(number)

    # -- time

    def _wait_until(self, until: float) -> None:
        """Schedule a wake-up at ``until``."""
        # A timer that fires too early is rescheduled: cheaper than a new one for each round trip
        self._until = until
        if self._timer is None or self._rings_at > until:
            if self._timer is not None:
                self._timer.cancel()
            self._rings_at = until
            self._timer = self._loop.call_later(until - time.monotonic(), self._rung)

    def _rung(self) -> None:
        self._timer = None
        if self._need is None:
            return
        if time.monotonic() < self._until:
            self._wait_until(self._until)
        elif isinstance(self._need, Exchange):
            number = self._need.handle.fileno()
            if number in self._writing:
                self._stop_writing(number)
            self._advance(None, Silent())
        elif isinstance(self._need, Resolve):
            self._advance(None, NotResolved(Symptom.RESOLVER_SLOW))
        else:
            self._run_race()

    # -- bytes

    def _exchange(self, need: Exchange) -> None:
        self._need = need
        self._unsent, self._broken = need.data, False
        self._wait_until(need.until)
        if self._unsent:
            self._send()
        sockets.acknowledge_at_once(need.handle)
        number = need.handle.fileno()
        if number not in self._reading:
            self._reading.add(number)
            self._loop.add_reader(number, self._readable, need.handle)

    def _send(self) -> None:
        sock = self._need.handle
        try:
            self._unsent = self._unsent[sock.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            # Data that the server sent before may still be readable
            self._unsent, self._broken = b"", True
        if self._unsent:
            self._start_writing(sock, self._writable, sock)

    def _writable(self, sock: socket.socket) -> None:
        self._stop_writing(sock.fileno())
        if isinstance(self._need, Exchange) and self._need.handle is sock:
            self._send()

    def _readable(self, sock: socket.socket) -> None:
        if not isinstance(self._need, Exchange) or self._need.handle is not sock:
            # Nobody is waiting for data; it stays in the kernel until needed
            self._stop_reading(sock.fileno())
            return
        try:
            data = sock.recv(sockets.CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._advance(None, Lost("reset"))
            return
        if not data and self._broken:
            self._advance(None, Lost("reset"))
            return
        self._advance(data)

    # -- names and connections

    def _resolve(self, need: Resolve) -> None:
        self._need = need
        self._wait_until(need.until)

        def found(future: Future[Found]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
                self._loop.call_soon_threadsafe(self._found, need, future)

        RESOLVER.look_up(need.host, need.until).add_done_callback(found)

    def _found(self, need: Resolve, future: Future[Found]) -> None:
        if self._need is not need:
            return
        error = future.exception()
        if isinstance(error, Exception):
            self._advance(None, error)
        else:
            self._advance(future.result())

    def _run_race(self) -> None:
        race, now = self._race, time.monotonic()
        if race is None or not isinstance(self._need, Connect):
            return  # the check is already over
        for address in race.expired(now):
            self._drop(self._attempts.pop(address))
        while (due := race.due(now)) is not None:
            started = sockets.begin_connect(due, self._need.port, self._need.source)
            if isinstance(started, str):
                race.failed(due, started, now)
            else:
                self._attempts[due] = started
                self._start_writing(started, self._connected, due)
        if race.is_over:
            self._advance(None, NotConnected(race.outcomes()))
        else:
            self._wait_until(race.wake())

    def _connected(self, address: Address) -> None:
        race, sock = self._race, self._attempts.pop(address)
        assert race is not None  # noqa: S101 - attempts belong to a race
        self._stop_writing(sock.fileno())
        word = sockets.outcome(sock, address)
        if word is not None:
            sock.close()
            race.failed(address, word, time.monotonic())
            self._run_race()
            return
        race.won(address, time.monotonic())
        for other in self._attempts.values():
            self._drop(other)
        self._attempts.clear()
        self._open.add(sock)
        self._advance(Connected(sock, address, sockets.own_address(sock), race.outcomes()))
