"""Name the fault behind a failed token request, from the answer's codes and words.

The rules stand in ``token_faults.toml``. Microsoft's numbers decide first: they are more stable
than its words. Then the first rule in file order whose conditions all hold.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.once import once
from .providers import named

if TYPE_CHECKING:
    from .token import TokenFailure

ASSERTION_TOLERANCE = 240  # seconds that a clock may be off; five minutes are usual

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions for one fault; empty ones always hold. Texts are compared in lowercase."""

    fault: str
    error: frozenset[str] = frozenset()  # RFC 6749 5.2 and providers' own
    suberror: frozenset[str] = frozenset()
    says: tuple[str, ...] = ()  # one of them is part of the description
    provider: frozenset[str] = frozenset()  # ids or groups
    grant: frozenset[str] = frozenset()
    status: tuple[str, ...] = ()  # "429", "5xx"

    def fits(self, failure: TokenFailure, ids: frozenset[str]) -> bool:
        """Check whether all conditions hold for ``failure``."""
        words = failure.error_description.lower()
        status = str(failure.status or "")
        return (
            (not self.error or failure.error.lower() in self.error)
            and (not self.suberror or failure.suberror.lower() in self.suberror)
            and (not self.says or any(phrase in words for phrase in self.says))
            and (not self.provider or bool(self.provider & ids))
            and (not self.grant or str(failure.grant) in self.grant)
            and (not self.status or any(_fits(status, pattern) for pattern in self.status))
        )


def fault_of(failure: TokenFailure, *, pasted_id: bool) -> tuple[str, int | None]:
    """Return the fault, and Microsoft's number that decided it, if one did.

    ``pasted_id``: the secret that was sent has the form of a secret's ID.
    """
    # The page of a proxy for an overloaded server is no JSON either, and passes
    is_busy = failure.status is not None and (failure.status == 429 or failure.status >= 500)
    if failure.network and not (is_busy and failure.network == "not json"):
        return str(failure.network), None
    for number in failure.error_codes:
        fault = numbers().get(number)
        if fault is not None:
            return _refined(fault, failure, pasted_id=pasted_id), number
    first = failure.error_codes[0] if failure.error_codes else None
    provider = named(failure.provider)
    ids = frozenset() if provider is None else provider.ids
    for rule in rules():
        if rule.fits(failure, ids):
            return _refined(rule.fault, failure, pasted_id=pasted_id), first
    return "refused", first


def _refined(fault: str, failure: TokenFailure, *, pasted_id: bool) -> str:
    if fault == "secret wrong" and pasted_id:
        return "secret id"
    if fault in _UNSAID and _signed_at_a_wrong_time(failure):
        return "clock wrong"
    if failure.rotation_lost and fault in _ENDED:
        return "rotation lost"
    return fault


def _signed_at_a_wrong_time(failure: TokenFailure) -> bool:
    """Check whether we signed an assertion whose time the endpoint cannot accept."""
    return failure.grant == "jwt_bearer" and abs(failure.clock_skew or 0) >= ASSERTION_TOLERANCE


# The endpoint refused an assertion, and not for its key, account or scope
_UNSAID = frozenset({"grant refused", "grant expired", "request invalid", "client refused"})
_ENDED = frozenset({"grant refused", "grant revoked", "grant expired", "google grant"})


@once
def rules() -> tuple[Rule, ...]:
    """Return the rules, in file order."""
    return tuple(
        Rule(
            fault=entry["fault"],
            error=frozenset(entry.get("error", ())),
            suberror=frozenset(entry.get("suberror", ())),
            says=tuple(entry.get("says", ())),
            provider=frozenset(entry.get("provider", ())),
            grant=frozenset(entry.get("grant", ())),
            status=tuple(entry.get("status", ())),
        )
        for entry in _load()["rule"]
    )


@once
def numbers() -> dict[int, str]:
    """Return the faults by Microsoft's AADSTS number."""
    return {number: fault for fault, listed in _load()["aadsts"].items() for number in listed}


def faults() -> frozenset[str]:
    """Return every fault that a rule or a number names."""
    return frozenset(rule.fault for rule in rules()) | frozenset(numbers().values())


@once
def _load() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _fits(status: str, pattern: str) -> bool:
    return status[:1] == pattern[0] if pattern.endswith("xx") else status == pattern
