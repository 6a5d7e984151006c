"""What a check found out beside its verdict: facts for the catalogue, and warnings."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from ..core.failure import Failure
from ..core.invisible import first_invisible
from ..core.recorder import Recorder
from ..core.redaction import cleaned
from ..core.types import CONNECTED, GIVEN_UP, NOT_TRIED, AddressOutcome, Target, TlsFacts

if TYPE_CHECKING:
    from ..protocol.smtp import Session

EXPIRY_WARNING = 21  # days

PIPELINING_WARNING = (
    "The server offers PIPELINING but loses commands that come together; it was checked again"
    " with one command at a time. Mailers that believe the offer will fail."
)
EXPIRES = "The server's certificate expires on {day}, in {days} days."
IN_CLEAR = "Login and password went over the network without encryption."
STARTTLS_UNUSED = "The server offers STARTTLS, but it is not switched on here."
HELO_ONLY = "The server does not know EHLO and was greeted with HELO."
NO_ANSWER = "The address {address} did not answer: {outcome}."
WARNINGS = (
    PIPELINING_WARNING, EXPIRES, IN_CLEAR, STARTTLS_UNUSED, HELO_ONLY, NO_ANSWER,
)  # fmt: skip


def basic_facts(target: Target) -> dict[str, Any]:
    """What is known of any check."""
    return {
        "host": cleaned(target.host),
        "port": target.port,
        "mail_from": cleaned(target.mail_from),
        "rcpt_to": cleaned(target.rcpt_to),
    }


def facts_of_failure(
    failure: Failure,
    record: Recorder,
    target: Target,
    session: Session | None,
    shown: TlsFacts | None,
) -> dict[str, Any]:
    """What the catalogue may match on or name when a check failed."""
    facts = basic_facts(target) | {
        "encryption": str(target.encryption),
        "username": record.said(target.username),
        "timeout": f"{target.timeout:g}",
        "own_name": socket.gethostname(),
        "other_mode": False,
    }
    if session is not None:
        facts |= {
            "banner": record.said(session.banner),
            "ehlo": session.ehlo_name,
            "local": str(session.local),
            "authenticated": session.authenticated,
            "masked": _is_masked(session),
            "foreign": greets_as_another(session),
        }
    if target.auth:
        facts |= _invisible_facts(target)
    if shown is not None:
        facts |= {
            "names": ", ".join(shown.names[:8]) or shown.subject,
            "subject": shown.subject,
            "issuer": shown.issuer,
            "expires": shown.not_after[:10],
        }
    for name, value in failure.facts.items():
        facts[name] = record.said(value) if isinstance(value, str) else value
    return facts


def warnings_of(
    target: Target,
    session: Session,
    shown: TlsFacts | None,
    addresses: tuple[AddressOutcome, ...],
) -> list[str]:
    """What is not wrong yet, or only with luck, although the mail was accepted."""
    found = []
    if shown is not None and shown.days_left is not None and shown.days_left < EXPIRY_WARNING:
        day = shown.not_after[:10]
        found.append(EXPIRES.format(day=day, days=shown.days_left))
    if shown is None and target.auth:
        found.append(IN_CLEAR)
    if shown is None and "STARTTLS" in session.keywords:
        found.append(STARTTLS_UNUSED)
    if session.used_helo:
        found.append(HELO_ONLY)
    found.extend(
        NO_ANSWER.format(address=one.address, outcome=one.outcome)
        for one in addresses
        if one.outcome not in (CONNECTED, NOT_TRIED, GIVEN_UP)
    )
    return found


def _is_masked(session: Session) -> bool:
    """A middle box overwrote what the server said (Cisco's "fixup" writes asterisks and X)."""
    return "*****" in session.banner or any(word.startswith("XXXX") for word in session.keywords)


def greets_as_another(session: Session) -> bool:
    """The banner names a host of another domain than the one asked for."""
    name = session.banner.split(" ", 1)[0].lower().strip("[]")
    if session.host.address is not None or "." not in name or "." not in session.host.name:
        return False
    return _organisation(name) != _organisation(session.host.name.lower())


def _organisation(name: str) -> str:
    labels = name.rstrip(".").split(".")
    # co.uk, com.au: a short label before the last one is no organisation yet
    length = 3 if len(labels) > 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-length:])


def _invisible_facts(target: Target) -> dict[str, Any]:
    for field, value in (("login", target.username), ("password", target.password)):
        if position := _position_of_copied(value):
            return {"invisible": True, "field": field, "position": position}
    return {"invisible": False}


def _position_of_copied(value: str) -> int:
    """Where something stands that came with copying, from 1: unseen, or a blank at an end; or 0."""
    found = first_invisible(value)
    if value.startswith(" "):
        return 1
    if found:
        return found.position
    return len(value) if value.endswith(" ") else 0
