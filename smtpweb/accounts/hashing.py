"""Hash account passwords: a few at a time, with a short queue, keeping no memory afterwards."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ..errors import Sentence, TooMany
from ..extensions import services

T = TypeVar("T")

# One of the equivalent settings for Argon2id in OWASP's Password Storage Cheat Sheet. glibc always
# returns a block of more than 32 MiB to the system when it is freed, while a smaller one stays in
# the arena of its thread (mallopt(3), M_MMAP_THRESHOLD).
_hasher = PasswordHasher(time_cost=1, memory_cost=47104, parallelism=1)


def _random(length: int) -> str:
    return b64encode(secrets.token_bytes(length)).decode().rstrip("=")


# Verified when the user is unknown, so that the answer takes as long as for a known one.
# Random bytes instead of a digest, which would take a tenth of the time to import everything.
DUMMY_HASH = (
    f"$argon2id$v=19$m={_hasher.memory_cost},t={_hasher.time_cost},p={_hasher.parallelism}"
    f"${_random(_hasher.salt_len)}${_random(_hasher.hash_len)}"
)


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
    refusal = TooMany(
        Sentence("Too many people are signing in right now. Try again in a moment."), retry_after=2
    )
    return services().limits.hashing.run(work, refusal)
