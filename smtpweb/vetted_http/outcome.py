"""What became of a request: a response, or the reason why there is none."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime


class Obstacle(enum.StrEnum):
    """Why there is no response."""

    POLICY = "policy"
    NAME_UNKNOWN = "name unknown"
    RESOLVER_FAILED = "resolver failed"
    UNREACHABLE = "unreachable"
    CONNECTION_REFUSED = "connection refused"
    CONNECTION_LOST = "connection lost"
    TIMEOUT = "timeout"
    TLS = "tls"
    NOT_HTTP = "not http"
    TOO_LARGE = "too large"


class NoResponse(Exception):
    """No usable response; the text says why, in one line without any secret.

    ``words`` is the specific part: a denied range, or what OpenSSL or the system said.
    ``setting`` would allow it, if the policy refused.
    """

    def __init__(self, obstacle: Obstacle, text: str, words: str = "", setting: str = "") -> None:
        super().__init__(text)
        self.obstacle, self.words, self.setting = obstacle, words, setting


@dataclass(frozen=True, slots=True)
class Response:
    """A response. ``headers`` have lower-case names; ``body`` is complete, or cut if allowed."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def clock(self) -> float | None:
        """The time in the Date header as seconds since the epoch; None if absent or invalid."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return None
