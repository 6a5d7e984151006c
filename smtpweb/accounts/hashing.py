"""Hash account passwords: a few at a time, with a short queue, keeping no memory afterwards."""

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

# A hash takes a core and 46 MiB: more threads than cores only slow each other down.
THREADS = (os.cpu_count() or 1) + 1
QUEUE = 4 * THREADS  # less than a second of work; beyond it, requests are refused at once

# One of the equivalent settings for Argon2id in OWASP's Password Storage Cheat Sheet. glibc always
# returns a block of more than 32 MiB to the system when it is freed, while a smaller one stays in
# the arena of its thread (mallopt(3), M_MMAP_THRESHOLD).
_hasher = PasswordHasher(time_cost=1, memory_cost=47104, parallelism=1)

# Verified when the user is unknown, so that the answer takes as long as for a known one.
DUMMY_HASH = _hasher.hash(secrets.token_urlsafe(16))

# Its threads start with the first hash, which is after gunicorn's fork.
_pool = ThreadPoolExecutor(THREADS, "hash")
_slots = threading.BoundedSemaphore(THREADS + QUEUE)


def hash_of(password: str) -> str:
    """The Argon2id hash of a password; raises :class:`TooMany` if the queue is full."""
    return _in_pool(lambda: _hasher.hash(password))


def matches(hashed: str, password: str) -> bool:
    """Whether the password matches the hash; raises :class:`TooMany` if the queue is full."""
    return _in_pool(lambda: _verify(hashed, password.encode(errors="surrogatepass")))


def is_outdated(hashed: str) -> bool:
    """Whether a hash has other parameters than new hashes get."""
    return _hasher.check_needs_rehash(hashed)


def _verify(hashed: str, password: bytes) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _in_pool(work: Callable[[], T]) -> T:
    if not _slots.acquire(blocking=False):
        raise TooMany(
            Sentence("Too many people are signing in right now. Try again in a moment."),
            retry_after=2,
        )
    try:
        return _pool.submit(work).result()
    finally:
        _slots.release()
