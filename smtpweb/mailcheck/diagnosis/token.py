"""Diagnose why an OAuth 2.0 access token could not be obtained.

The caller makes the token request and describes how it failed as a :class:`TokenFailure`. Here,
the failure gets a name (:class:`~.token_faults.Fault`), for which the catalogue has the cause.
The texts of the authorization server are hostile input: cleaned, scrubbed and cut.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from dataclasses import dataclass, field
from typing import Any

from ..core.failure import Symptom
from ..core.redaction import Secrets, cleaned, cut
from ..core.types import Stage
from . import token_faults
from .matcher import Diagnosis, Seen, diagnose

__all__ = ["Grant", "NetworkFault", "TokenFailure", "diagnose_token_error"]

_MAX_READ = 2000  # characters of a text, of which MAX_WORDS are shown
MAX_WORDS = 300  # characters of the endpoint's own description
CLOCK_TOLERANCE = 120  # seconds; assertions are accepted with about five minutes of skew

_AADSTS = re.compile(r"\bAADSTS([0-9]{4,9})\b")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class Grant(enum.StrEnum):
    """How the token was requested."""

    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a name of RFC 6749
    AUTHORIZATION_CODE = "authorization_code"
    DEVICE_CODE = "device_code"
    JWT_BEARER = "jwt_bearer"
    GIVEN = "given"  # the caller brought the token


class NetworkFault(enum.StrEnum):
    """Why the endpoint gave no usable answer; NONE if it answered with JSON."""

    NONE = ""
    POLICY = "policy"  # the egress policy refuses its address or port; nothing was sent
    URL_INVALID = "url invalid"  # not https, no host, or a user name in it
    NAME_UNKNOWN = "name unknown"
    RESOLVER_FAILED = "resolver failed"  # our own DNS gave no answer
    UNREACHABLE = "unreachable"  # no route, or a router says so
    CONNECTION_REFUSED = "connection refused"
    CONNECTION_LOST = "connection lost"  # closed or reset before the answer was complete
    TIMEOUT = "timeout"
    TLS = "tls"  # the handshake failed, or the certificate is not trusted
    REDIRECT = "redirect"  # a 3xx answer; it is not followed
    NOT_JSON = "not json"
    TOO_LARGE = "too large"
    NO_TOKEN = "no token"  # noqa: S105 - JSON, status 200, but no access token in it
    TOKEN_UNUSABLE = "token unusable"  # noqa: S105 - too long, or not of RFC 6750 2.1's characters


@dataclass(frozen=True, slots=True)
class TokenFailure:
    """How a token request failed.

    ``status``, ``error``, ``error_description`` and ``error_codes`` are those of the answer
    (RFC 6749 5.2; ``error_codes`` are Microsoft's, ``suberror`` is its "suberror" or Google's
    "error_subtype"), as received. ``clock_skew``
    is our clock minus that of the answer's Date header, in seconds; None if unknown.
    ``secrets`` are the values sent with the request (client secret, refresh token, assertion,
    code): they are hidden wherever the endpoint repeats them.
    """

    provider: str = ""  # an id of providers.toml such as "microsoft" or "gmail"; "" if unknown
    grant: Grant = Grant.CLIENT_CREDENTIALS
    host: str = ""  # of the token endpoint
    status: int | None = None
    error: str = field(default="", repr=False)
    error_description: str = field(default="", repr=False)
    error_codes: tuple[int, ...] = ()
    suberror: str = field(default="", repr=False)
    network: NetworkFault = NetworkFault.NONE
    network_words: str = field(
        default="", repr=False
    )  # such as OpenSSL's reason, the denied range, the redirect's host
    setting: str = ""  # with POLICY: the setting that would allow it
    clock_skew: float | None = None
    client_id: str = ""
    tenant: str = ""
    scope: str = ""
    username: str = ""
    timeout: float | None = None  # seconds that the request had
    rotation_lost: bool = False  # a rotated refresh token was possibly never stored
    secrets: tuple[str, ...] = field(default=(), repr=False)


def diagnose_token_error(failure: TokenFailure) -> Diagnosis:
    """Return the diagnosis of a failed token request, at the stage ``token``."""
    return diagnose(Seen(Stage.TOKEN, Symptom.TOKEN_REFUSED, None, facts_of(failure)))


def facts_of(failure: TokenFailure) -> dict[str, Any]:
    """Return the facts of a failed token request, safe to store and show."""
    hidden = [Secrets("", "", secret) for secret in failure.secrets if secret]

    def said(text: str) -> str:
        text = cleaned(text[:_MAX_READ])
        for secret in hidden:
            text = secret.scrubbed(text)
        return cut(text.strip(), MAX_WORDS)

    codes = _codes(failure)
    known = dataclasses.replace(
        failure, error_codes=codes, error_description=cleaned(failure.error_description)
    )
    fault, number = token_faults.fault_of(known, pasted_id=_has_uuid(failure))
    skew = failure.clock_skew or 0.0
    facts: dict[str, Any] = {
        "fault": fault,
        "provider": failure.provider,
        "grant": str(failure.grant),
        "token_host": said(failure.host),
        "token_error": said(failure.error),
        "token_words": said(failure.error_description.partition("Trace ID:")[0]),
        "words": said(failure.network_words),
        "setting": failure.setting,
        "client_id": said(failure.client_id),
        "tenant": said(failure.tenant),
        "scope": said(failure.scope),
        "username": said(failure.username),
        "status": "" if failure.status is None else str(failure.status),
        "timeout": "" if failure.timeout is None else f"{failure.timeout:g}",
        "aadsts": str(number or ""),
    }
    if abs(skew) >= CLOCK_TOLERANCE:
        facts["clock_minutes"] = str(round(abs(skew) / 60))
        facts["clock_direction"] = "fast" if skew > 0 else "slow"
    return facts


def _codes(failure: TokenFailure) -> tuple[int, ...]:
    """Return Microsoft's error numbers, from its description if the answer has no list."""
    if failure.error_codes:
        return failure.error_codes[:8]
    return tuple(int(found) for found in _AADSTS.findall(failure.error_description)[:8])


def _has_uuid(failure: TokenFailure) -> bool:
    """Check whether a secret is a UUID, as the IDs of Microsoft's secrets are, not their values."""
    return any(_UUID.fullmatch(secret.strip()) for secret in failure.secrets)
