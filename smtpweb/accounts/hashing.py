"""Hash the passwords of accounts: few at a time, whoever asks, and nothing kept afterwards."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ..errors import Sentence, TooMany

T = TypeVar("T")

# A hash takes a core and 46 MiB: more at once than cores only makes all of them late.
PLACES = (os.cpu_count() or 1) + 1
WAITING = 4 * PLACES  # less than a second of work; whoever comes next is refused at once

# One of the equal choices of OWASP's Password Storage Cheat Sheet for Argon2id. This one because
# glibc gives a block of more than 32 MiB back to the system when it is freed, always: a smaller
# one stays in the arena of the thread (mallopt(3), M_MMAP_THRESHOLD).
_hasher = PasswordHasher(time_cost=1, memory_cost=47104, parallelism=1)

# Verified where the user is unknown, so that the answer takes as long as for a known one.
DUMMY_HASH = _hasher.hash(secrets.token_urlsafe(16))

# Its threads start with the first hash, which is after gunicorn's fork.
_pool = ThreadPoolExecutor(PLACES, "hash")
_places = threading.BoundedSemaphore(PLACES + WAITING)


def hash_of(password: str) -> str:
    """The Argon2id hash of a password; raises :class:`TooMany` where too many are hashed."""
    return _in_pool(lambda: _hasher.hash(password))


def matches(hashed: str, password: str) -> bool:
    """Whether this is the password; raises :class:`TooMany` where too many are hashed."""
    return _in_pool(lambda: _verify(hashed, password.encode(errors="surrogatepass")))


def is_outdated(hashed: str) -> bool:
    """Whether a hash was made with other parameters than new ones are."""
    return _hasher.check_needs_rehash(hashed)


def _verify(hashed: str, password: bytes) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _in_pool(work: Callable[[], T]) -> T:
    if not _places.acquire(blocking=False):
        raise TooMany(
            Sentence("Too many people are signing in right now. Try again in a moment."),
            retry_after=2,
        )
    try:
        return _pool.submit(work).result()
    finally:
        _places.release()
