"""Look up records: found, absent, or unknown because DNS did not say."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import Sentence
from ...mailcheck.core.redaction import cleaned, cut

if TYPE_CHECKING:
    from dns.resolver import Resolver

ONE_QUERY = 1.5  # seconds
MAX_TEXT = 2000  # characters of a record


class State(enum.StrEnum):
    """What a finding means for email from the domain."""

    GOOD = "good"
    NOTE = "note"  # may be intended
    BAD = "bad"
    UNKNOWN = "unknown"  # DNS did not answer, or nothing can be said


@dataclass(frozen=True, slots=True)
class Finding:
    """One subject such as "spf", with the record that it is about, if there is one."""

    subject: str
    state: State
    text: Sentence
    record: str = ""


NO_ANSWER = Sentence("DNS gave no answer, so nothing can be said.")


class Unknown(Exception):
    """DNS did not answer, or answered with an error."""


class Lookup:
    """A resolver with a deadline for all queries. Nothing is cached."""

    def __init__(self, resolver: Resolver, seconds: float) -> None:
        self._resolver, self._until = resolver, time.monotonic() + seconds

    def texts(self, name: str) -> list[str]:
        """Return the TXT records of a name; [] if there are none. Raises :class:`Unknown`."""
        return [
            cut(cleaned(b"".join(record.strings).decode("utf-8", "replace")), MAX_TEXT)
            for record in self._records(name, "TXT")
        ]

    def exchanges(self, name: str) -> list[str]:
        """Return the MX hosts, best first; "" for a null MX. Raises :class:`Unknown`."""
        found = sorted(self._records(name, "MX"), key=lambda record: record.preference)
        return [record.exchange.to_text(omit_final_dot=True).rstrip(".") for record in found]

    def addresses(self, name: str) -> list[str]:
        """Return the IPv4 and IPv6 addresses of a name. Raises :class:`Unknown`."""
        return [
            str(record.address) for kind in ("A", "AAAA") for record in self._records(name, kind)
        ]

    def pointers(self, address: str) -> list[str]:
        """Return the names of an address (PTR). Raises :class:`Unknown`."""
        import dns.reversename  # loaded on first use, see smtpweb/deferred.py

        name = dns.reversename.from_address(address).to_text()
        found = self._records(name, "PTR")
        return [record.target.to_text(omit_final_dot=True).lower() for record in found]

    def _records(self, name: str, kind: str) -> list[Any]:
        import dns.resolver  # likewise

        left = self._until - time.monotonic()
        if left <= 0:
            raise Unknown
        try:
            answer = self._resolver.resolve(
                f"{name.rstrip('.')}.", kind, lifetime=min(left, ONE_QUERY), search=False
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer, dns.resolver.YXDOMAIN):
            return []
        except (dns.exception.DNSException, OSError, UnicodeError):
            raise Unknown from None
        return list(answer)
