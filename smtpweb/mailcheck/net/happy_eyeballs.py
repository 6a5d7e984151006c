"""Happy Eyeballs (RFC 8305) without sockets: which address to try when, and the outcomes."""

from __future__ import annotations

import errno
from collections import deque

from ..core.egress import Address
from ..core.types import (
    CONNECTED,
    GIVEN_UP,
    NO_ROUTE,
    NO_SOCKET,
    NO_SOURCE,
    NOT_PERMITTED,
    NOT_TRIED,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    AddressOutcome,
)

STAGGER = 0.25  # seconds; RFC 8305 5, "Connection Attempt Delay"

_WORDS = {
    errno.ECONNREFUSED: REFUSED,
    errno.ECONNRESET: "reset",
    errno.ETIMEDOUT: TIMED_OUT,
    errno.ENETUNREACH: NO_ROUTE,
    errno.EHOSTUNREACH: NO_ROUTE,
    errno.EADDRNOTAVAIL: NO_ROUTE,
    errno.EAFNOSUPPORT: NO_ROUTE,
    errno.ENETDOWN: NO_ROUTE,
    errno.EACCES: NOT_PERMITTED,
    errno.EPERM: NOT_PERMITTED,
    errno.EMFILE: NO_SOCKET,
    errno.ENFILE: NO_SOCKET,
    errno.ENOBUFS: NO_SOCKET,
    errno.ENOMEM: NO_SOCKET,
}
# An error in response to a packet comes from a router or the server's firewall, such as Red Hat's
# (icmp-host-prohibited), and does not mean that we lack a route
_ANSWERS = {errno.EHOSTUNREACH: UNREACHABLE, errno.ENETUNREACH: UNREACHABLE}
WORDS = (*dict.fromkeys(_WORDS.values()), UNREACHABLE, NO_SOURCE, CONNECTED, NOT_TRIED, GIVEN_UP)


def word_for(number: int, *, sent: bool = False) -> str:
    """Return the report's name for an errno of connect(); ``sent`` if a packet was sent."""
    answer = _ANSWERS.get(number) if sent else None
    return answer or _WORDS.get(number) or errno.errorcode.get(number, f"error {number}")


class Race:
    """A race between the addresses of a host. All times are monotonic, in seconds."""

    def __init__(self, addresses: tuple[Address, ...], now: float, until: float, each: float):
        self._waiting = deque(_alternating(addresses))
        self._order = tuple(self._waiting)
        self._under_way: dict[Address, float] = {}
        self._ended: dict[Address, AddressOutcome] = {}
        self._next_start = now
        self._until = until
        self._each = each

    @property
    def is_over(self) -> bool:
        """Whether no attempt is running and no address is left to try."""
        return not self._waiting and not self._under_way

    def due(self, now: float) -> Address | None:
        """Return the address to try now, if any; call repeatedly until None."""
        if not self._waiting or now >= self._until:
            return None
        if self._under_way and now < self._next_start:
            return None
        address = self._waiting.popleft()
        self._under_way[address] = now
        self._next_start = now + STAGGER
        return address

    def wake(self) -> float:
        """Return when to check again, if no socket becomes ready before."""
        moments = [started + self._each for started in self._under_way.values()]
        if self._waiting:
            moments.append(self._next_start)
        return min([*moments, self._until])

    def failed(self, address: Address, word: str, now: float) -> None:
        """Record a failed attempt; the next one need not wait (RFC 8305 5)."""
        self._end(address, word, now)
        self._next_start = now

    def expired(self, now: float) -> list[Address]:
        """Return the attempts whose time is over, and record them as timed out."""
        late = [
            address
            for address, started in self._under_way.items()
            if now >= min(started + self._each, self._until)
        ]
        for address in late:
            self.failed(address, TIMED_OUT, now)
        if now >= self._until:
            self._waiting.clear()
        return late

    def won(self, address: Address, now: float) -> None:
        """Record that ``address`` is connected, which ends the race."""
        self._end(address, CONNECTED, now)
        for other in list(self._under_way):
            self._end(other, GIVEN_UP, now)
        self._waiting.clear()

    def outcomes(self) -> tuple[AddressOutcome, ...]:
        """Return the outcome of every address, in the order tried."""
        return tuple(
            self._ended.get(address) or AddressOutcome(str(address), NOT_TRIED)
            for address in self._order
        )

    def _end(self, address: Address, word: str, now: float) -> None:
        took = round((now - self._under_way.pop(address)) * 1000, 1)
        self._ended[address] = AddressOutcome(str(address), word, took)


def _alternating(addresses: tuple[Address, ...]) -> list[Address]:
    """Return the resolver's order with alternating address families (RFC 8305 4)."""
    if not addresses:
        return []
    first = [one for one in addresses if one.version == addresses[0].version]
    second = [one for one in addresses if one.version != addresses[0].version]
    mixed: list[Address] = []
    while first or second:
        mixed += first[:1] + second[:1]
        first, second = first[1:], second[1:]
    return mixed
