"""What a check found out beside its verdict: facts for the catalogue, and warnings."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from ..core.environment import invisible
from ..core.failure import Failure
from ..core.recorder import Recorder
from ..core.redaction import cleaned
from ..core.types import CONNECTED, GIVEN_UP, NOT_TRIED, AddressOutcome, Notice, Target, TlsFacts
from . import interceptors
from .providers import provider_of

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
        "auth": target.auth,
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
            "encrypted": session.link.encrypted,
            "masked": _is_masked(session),
            "foreign": _stands_in_for_provider(session),
        }
    if target.auth:
        facts |= _invisible_facts(target)
    if session is not None and session.tls is not None:
        facts["certificate_names"] = session.tls.names[:8]
    if shown is not None:
        facts |= {
            "names": ", ".join(shown.names[:8]) or shown.subject,
            "subject": shown.subject,
            "issuer": shown.issuer,
            "expires": shown.not_after[:10],
            "interceptor": (interceptor := interceptors.named_in(shown.issuer, shown.subject)),
            "intercepted": bool(interceptor),
        }
        if session is not None:
            facts["literal"] = session.host.address is not None
            # A certificate for this host, whoever issued it, is no other server's
            if _fits(shown, session.host.name):
                facts["foreign"] = False
    for name, value in failure.facts.items():
        facts[name] = record.said(value) if isinstance(value, str) else value
    return facts


def warnings_of(
    target: Target,
    session: Session,
    shown: TlsFacts | None,
    addresses: tuple[AddressOutcome, ...],
) -> list[Notice]:
    """What is not wrong yet, or only with luck, although the mail was accepted."""
    found = []
    if shown is not None and shown.days_left is not None and shown.days_left < EXPIRY_WARNING:
        day = shown.not_after[:10]
        found.append(Notice(EXPIRES, {"day": day, "days": str(shown.days_left)}))
    if shown is None and target.auth:
        found.append(Notice(IN_CLEAR))
    if shown is None and "STARTTLS" in session.keywords:
        found.append(Notice(STARTTLS_UNUSED))
    if session.used_helo:
        found.append(Notice(HELO_ONLY))
    found.extend(
        Notice(NO_ANSWER, {"address": one.address, "outcome": one.outcome})
        for one in addresses
        if one.outcome not in (CONNECTED, NOT_TRIED, GIVEN_UP)
    )
    return found


def _is_masked(session: Session) -> bool:
    """A middle box overwrote what the server said (Cisco's "fixup" writes asterisks and X)."""
    return "*****" in session.banner or any(word.startswith("XXXX") for word in session.keywords)


def greets_as_another(session: Session) -> bool:
    """Whether the banner names a host of another domain than the one asked for."""
    name = _greeting_name(session)
    if session.host.address is not None or "." not in name or "." not in session.host.name:
        return False
    return _organisation(name) != _organisation(session.host.name.lower())


def _greeting_name(session: Session) -> str:
    return session.banner.split(" ", 1)[0].lower().strip("[]")


def _stands_in_for_provider(session: Session) -> bool:
    """Whether somebody else answers in the place of a provider that is known by its host.

    Elsewhere another name in the greeting says nothing: hosters greet by the names of their own
    machines. A certificate that was verified proves that it is the host which was asked for.
    """
    name = _greeting_name(session)
    if session.tls is not None or session.host.address is not None or "." not in name:
        return False
    provider = provider_of(session.host.name)
    if provider is None or _organisation(name) == _organisation(session.host.name.lower()):
        return False
    greeter = provider_of(name) or provider_of("", session.banner)
    return greeter is None or not greeter.ids & provider.ids


def _fits(shown: TlsFacts, host: str) -> bool:
    names = {name.lower() for name in shown.names or (shown.subject,)}
    return host.lower() in names or f"*.{host.lower().partition('.')[2]}" in names


def _organisation(name: str) -> str:
    labels = name.rstrip(".").split(".")
    # co.uk, com.au: a short label before the last one is no organisation yet
    length = 3 if len(labels) > 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-length:])


def _invisible_facts(target: Target) -> dict[str, Any]:
    for field, value in (("login", target.username), ("password", target.password)):
        if (position := invisible(value)) is not None:
            return {"invisible": True, "field": field, "position": position}
    return {"invisible": False}
