"""The driver for one check in a request or a command; blocks, but not past the deadline."""

from __future__ import annotations

import contextlib
import select
import selectors
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, TypeVar

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
from ..core.failure import Stopped, Symptom
from ..core.recorder import Watch
from ..core.types import Report, Target
from ..flow.check import course
from ..net import sockets
from ..net.happy_eyeballs import Race
from ..net.resolver import RESOLVER


class Stop:
    """Ends a check from another thread, whatever it is waiting for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._is_set = False

    def set(self) -> None:
        """Stop: :func:`check` raises :class:`Stopped` soon, and sends nothing more."""
        with self._lock:
            self._is_set = True
            for sock in self._sockets:
                with contextlib.suppress(OSError):  # the server was faster
                    sock.shutdown(socket.SHUT_RDWR)

    def refuse(self) -> None:
        """Raise :class:`Stopped` if it is set."""
        if self._is_set:
            raise Stopped

    def watch(self, sock: socket.socket) -> None:
        """Shut this socket down when it is set."""
        with self._lock:
            self._sockets.add(sock)
        self.refuse()

    def forget(self, sock: socket.socket) -> None:
        """Forget a socket that is about to be closed."""
        with self._lock:
            self._sockets.discard(sock)


def check(target: Target, watch: Watch | None = None, stop: Stop | None = None) -> Report:
    """Check one SMTP server by sending a test email.

    Returns within ``target.timeout`` plus a little. ``watch`` is called with each :class:`Step`
    as it starts (``UNDER_WAY``) and ends; a stage may be reported again if the conversation
    started over. Whatever the server does or the target contains, the result is a report;
    nothing is raised but :class:`Stopped`, and only after ``stop`` was set.
    """
    return drive(course(target, watch=watch), stop)


T = TypeVar("T")

_PACE = 0.25  # seconds between two looks at whether to stop, where no socket can say so


def drive(steps: Asks[T], stop: Stop | None = None) -> T:
    """Carry out the requests of ``steps`` one after the other."""
    return _Blocking(stop or Stop()).run(steps)


class _Blocking:
    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._open: set[socket.socket] = set()

    def run(self, steps: Asks[T]) -> T:
        try:
            need = next(steps)
            while True:
                self._stop.refuse()
                try:
                    answer = self._carry_out(need)
                except Exception as error:  # the core handles the ones it expects
                    need = steps.throw(error)
                else:
                    need = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            for sock in self._open:
                self._stop.forget(sock)
                sock.close()

    def _carry_out(self, need: Need) -> object:
        match need:
            case Exchange():
                return _exchange(need.handle, need.data, need.until)
            case Glance():
                return sockets.glance(need.handle)
            case Resolve():
                return self._resolve(need)
            case Connect():
                return self._connect(need)
            case HangUp():
                sockets.send_at_once(need.handle, need.data)
                self._open.discard(need.handle)
                self._stop.forget(need.handle)
                need.handle.close()
                return None
            case Together():
                return self._together(need)

    def _connect(self, need: Connect) -> Connected:
        race = Race(need.addresses, time.monotonic(), need.until, need.each)
        attempts: dict[Address, socket.socket] = {}
        # poll() needs no descriptor of its own: there may be none left
        with selectors.PollSelector() as selector:
            try:
                while True:
                    self._start_due(race, need, selector, attempts)
                    if race.is_over:
                        break  # all failed immediately: nothing left to wait for
                    self._stop.refuse()
                    wait = min(max(0.0, race.wake() - time.monotonic()), _PACE)
                    for key, _ in selector.select(wait):
                        address: Address = key.data
                        word = sockets.outcome(attempts[address], address)
                        if word is None:
                            return self._won(race, address, attempts)
                        selector.unregister(attempts[address])
                        attempts.pop(address).close()
                        race.failed(address, word, time.monotonic())
                    for address in race.expired(time.monotonic()):
                        selector.unregister(attempts[address])
                        attempts.pop(address).close()
            finally:
                for sock in attempts.values():
                    sock.close()
        raise NotConnected(race.outcomes())

    @staticmethod
    def _start_due(
        race: Race,
        need: Connect,
        selector: selectors.BaseSelector,
        attempts: dict[Address, socket.socket],
    ) -> None:
        while (address := race.due(time.monotonic())) is not None:
            started = sockets.begin_connect(address, need.port, need.source)
            if isinstance(started, str):
                race.failed(address, started, time.monotonic())
            else:
                attempts[address] = started
                selector.register(started, selectors.EVENT_WRITE, address)

    def _won(
        self, race: Race, address: Address, attempts: dict[Address, socket.socket]
    ) -> Connected:
        sock = attempts.pop(address)
        self._open.add(sock)
        self._stop.watch(sock)
        race.won(address, time.monotonic())
        return Connected(sock, address, sockets.own_address(sock), race.outcomes())

    def _together(self, need: Together) -> tuple[Any, ...]:
        with ThreadPoolExecutor(len(need.courses), "smtpweb") as threads:
            return tuple(threads.map(lambda steps: drive(steps, self._stop), need.courses))

    def _resolve(self, need: Resolve) -> tuple[Address, ...]:
        future = RESOLVER.look_up(need.host, need.until)
        while True:
            self._stop.refuse()
            left = max(0.0, need.until - time.monotonic())
            try:
                return future.result(min(left, _PACE))
            except NotYet:
                if not left:
                    raise NotResolved(Symptom.RESOLVER_SLOW) from None


def _exchange(sock: socket.socket, data: bytes, until: float) -> bytes:
    broken = False
    while data and not broken:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            _wait(sock, select.POLLOUT, until)
        except OSError:
            broken = True  # data that the server sent before may still be readable
    sockets.acknowledge_at_once(sock)
    while True:
        try:
            return sock.recv(sockets.CHUNK)
        except BlockingIOError:
            if broken:
                raise Lost("reset") from None
            _wait(sock, select.POLLIN, until)
        except OSError:
            raise Lost("reset") from None


def _wait(sock: socket.socket, event: int, until: float) -> None:
    left = until - time.monotonic()
    poll = select.poll()
    poll.register(sock, event)
    if left <= 0 or not poll.poll(left * 1000):
        raise Silent
