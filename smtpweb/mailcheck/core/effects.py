"""The effects that a check requests from its driver, and the driver's answers.

The core never touches a socket. It is a generator that yields one of these requests and is sent
the answer; a driver carries them out, blocking or not. I/O errors are thrown into the generator
as one of the exceptions below, and as nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from .egress import Address
from .types import AddressOutcome

T = TypeVar("T")


@dataclass(slots=True)
class Resolve:
    """Look up ``host``; the answer is a tuple of addresses. Raises :class:`NotResolved`."""

    host: str
    until: float


@dataclass(slots=True)
class Connect:
    """Open TCP to the first of ``addresses`` that answers; the answer is :class:`Connected`.

    Raises :class:`NotConnected`. No attempt takes longer than ``each`` seconds. ``source`` is the
    address of ours to connect from; None lets the system choose.
    """

    addresses: tuple[Address, ...]
    port: int
    until: float
    each: float
    source: Address | None = None


@dataclass(slots=True)
class Exchange:
    """Send ``data`` and wait for bytes; the answer is at most 16 KiB, or b"" at the end.

    Raises :class:`Silent` if nothing arrived by ``until``, :class:`Lost` on a reset.
    """

    handle: Any
    data: bytes
    until: float


@dataclass(slots=True)
class Glance:
    """Read bytes that have already arrived, without waiting: None if none, b"" at the end."""

    handle: Any


@dataclass(slots=True)
class HangUp:
    """Send ``data`` if the kernel accepts it immediately, and close; the answer is None."""

    handle: Any
    data: bytes


@dataclass(slots=True)
class Together:
    """Run several generators concurrently; the answer is the tuple of their return values.

    They must not raise, and must keep to their own deadlines.
    """

    courses: tuple[Generator[Any, Any, Any], ...]


Need: TypeAlias = Resolve | Connect | Exchange | Glance | HangUp | Together
Asks: TypeAlias = Generator[Need, Any, T]


@dataclass(slots=True)
class Connected:
    """An open connection. ``local`` is our address on it."""

    handle: Any
    address: Address
    local: Address
    outcomes: tuple[AddressOutcome, ...]


class NotResolved(Exception):
    """The name has no addresses; ``why`` is a :class:`~.failure.Symptom`."""

    def __init__(self, why: str):
        super().__init__(why)
        self.why = why


class NotConnected(Exception):
    """No address answered."""

    def __init__(self, outcomes: tuple[AddressOutcome, ...]):
        super().__init__("; ".join(f"{one.address}: {one.outcome}" for one in outcomes))
        self.outcomes = outcomes


class Silent(Exception):
    """Nothing arrived in time."""


class Lost(Exception):
    """The connection broke; the message says how."""
