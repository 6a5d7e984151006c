"""Read an SPF record (RFC 7208): what it includes, and how many look-ups it costs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .lookup import Lookup

MAX_LOOKUPS = 10  # RFC 7208 4.6.4
_MAX_RECORDS = 40  # that we read of one domain, whatever it includes

_RECORD = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_TERM = re.compile(
    r"(?P<sign>[+?~-]?)(?P<name>include|a|mx|ptr|exists|all|ip4|ip6|redirect|exp)"
    r"(?:[:=](?P<value>[^/ ]+))?(?:/\S*)?",
    re.IGNORECASE,
)
_COSTS = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
_FOLLOWED = frozenset({"include", "redirect"})


@dataclass
class Spf:
    """The record of a domain with all that it includes."""

    record: str
    lookups: int = 0
    includes: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)  # included domains without one SPF record
    all: str = ""  # the sign of "all": "-", "~", "?" or "+"


def records(texts: list[str]) -> list[str]:
    """Return those TXT records that are SPF."""
    return [text for text in texts if _RECORD.match(text)]


def read(domain: str, record: str, lookup: Lookup) -> Spf:
    """Follow a record; raise :class:`.Unknown` if DNS does not say what it includes."""
    found = Spf(record)
    waiting, seen = [(domain, record, True)], {domain.lower()}
    while waiting and len(seen) <= _MAX_RECORDS:
        _here, text, is_own = waiting.pop(0)
        for term in text.split()[1:]:
            parsed = _TERM.fullmatch(term)
            if parsed is None:
                continue
            name, value = parsed["name"].lower(), (parsed["value"] or "").lower().rstrip(".")
            if name == "all" and (is_own or not found.all):
                found.all = parsed["sign"] or "+"
            if name not in _COSTS:
                continue
            found.lookups += 1
            if name not in _FOLLOWED or not value or "%" in value:
                continue
            found.includes.add(value)
            if value in seen:
                continue
            seen.add(value)
            inner = records(lookup.texts(value))
            if len(inner) != 1:
                found.broken.add(value)
            else:
                waiting.append((value, inner[0], name == "redirect" and is_own))
    return found
