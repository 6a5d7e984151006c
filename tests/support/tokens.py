"""Access tokens for tests: opaque ones of any length, and JWTs with chosen claims."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from typing import Any

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def bearer(length: int) -> str:
    """Return an opaque token of ``length`` characters, the same for the same length."""
    chosen = random.Random(length)
    return "".join(chosen.choice(_LETTERS) for _ in range(length))


def jwt(claims: Mapping[str, Any], signature: int = 342) -> str:
    """Return a token with ``claims`` and a signature that is none."""
    header = {"typ": "JWT", "alg": "RS256", "kid": "key"}
    return f"{_part(header)}.{_part(claims)}.{bearer(signature)}"


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
