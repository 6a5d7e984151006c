"""What a check found besides its outcome: facts for the catalogue, and warnings."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from ..core.failure import Failure, Symptom
from ..core.invisible import first_invisible
from ..core.recorder import Recorder
from ..core.redaction import cleaned
from ..core.trust import Trust, expired
from ..core.types import (
    CONNECTED,
    GIVEN_UP,
    NOT_TRIED,
    AddressOutcome,
    Notice,
    Stage,
    Target,
    TlsFacts,
)
from . import interceptors, token_claims
from .providers import provider_of

if TYPE_CHECKING:
    from ..protocol.smtp import Session

EXPIRY_WARNING = 21  # days

PIPELINING_WARNING = (
    "The server offers PIPELINING but loses commands that come together; it was checked again"
    " with one command at a time. Mailers that believe the offer will fail."
)
EXPIRES = "The server's certificate expires on {day}, in {days} days."
IN_CLEAR = "User name and password went over the network without encryption."
BEARER_IN_CLEAR = (
    "The access token went over the network without encryption. Everyone who reads it can send as"
    " this account until it expires."
)
PIN_EXPIRED = (
    "The server's certificate expired on {day}. It is accepted because its key is trusted."
)
STARTTLS_UNUSED = "The server offers STARTTLS, but it is not switched on here."
HELO_ONLY = "The server does not know EHLO and was greeted with HELO."
NO_ANSWER = "The address {address} did not answer: {outcome}."
# The status of an error challenge (RFC 7628 3.2.2, RFC 6750 3.1; Google and Dovecot send HTTP's)
TOKEN_REASONS = {
    "invalid_token": "which means that the token has expired, was revoked or is not valid here",
    "insufficient_scope": "which means that the token does not allow sending",
    "invalid_request": "which means that the server does not understand the request",
    "400": "which means that the token, or the form in which it was sent, is not accepted",
    "401": "which means that the token is not accepted",
    "403": "which means that the token does not allow sending",
}
WARNINGS = (
    PIPELINING_WARNING, EXPIRES, PIN_EXPIRED, IN_CLEAR, BEARER_IN_CLEAR, STARTTLS_UNUSED, HELO_ONLY,
    NO_ANSWER,
)  # fmt: skip


def basic_facts(target: Target) -> dict[str, Any]:
    """Return the facts that any check has."""
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
    """Return the facts of a failed check that the catalogue may match on or name."""
    facts = basic_facts(target) | {
        "encryption": str(target.encryption),
        "auth": target.auth,
        "username": record.said(target.username),
        "timeout": f"{target.timeout:g}",
        "own_name": socket.gethostname(),
        "other_mode": False,
        "trust": str(target.trust.kind),
        "client_certificate": target.identity is not None,
        "source": str(target.source_address or ""),
    }
    if target.envelope_from and (failure.stage or record.stage) in (Stage.MAIL, Stage.RCPT):
        facts["mail_from"] = cleaned(target.envelope_from)  # the server has seen no other yet
    if target.auth:
        facts["sign_in"] = "token" if target.access_token else "password"
    if target.auth and target.access_token:
        facts |= _token_facts(target, session)
    if session is not None:
        facts |= {
            "banner": record.said(session.banner),
            "ehlo": session.ehlo_name,
            "local": str(session.local),
            "authenticated": session.authenticated,
            "encrypted": session.link.encrypted,
            "literal": session.host.address is not None,
            "masked": _is_masked(session),
            "foreign": _stands_in_for_provider(session),
        }
    if target.auth and not target.access_token:
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
        # A certificate for this host, whoever issued it, does not belong to another server
        if session is not None and _fits(shown, session.host.name):
            facts["foreign"] = False
    if status := failure.facts.get("token_status"):
        facts["token_reason"] = TOKEN_REASONS.get(str(status), "")
        if status == "insufficient_scope":
            facts["scope_missing"] = True
    for name, value in failure.facts.items():
        facts[name] = record.said(value) if isinstance(value, str) else value
    return facts


def own_ca_facts(symptom: Symptom, trust: Trust) -> dict[str, Any]:
    """Return the CA entered for the server that has expired, if a refusal may come from that."""
    old = expired(trust) if symptom is Symptom.CERTIFICATE_EXPIRED else None
    if old is None:
        return {}
    return {
        "own_ca_expired": True,
        "fault_subject": old.subject,
        "fault_expires": old.not_after[:10],
    }


def _token_facts(target: Target, session: Session | None) -> dict[str, Any]:
    names = session.tls.names if session is not None and session.tls is not None else ()
    provider = provider_of(target.host, session.banner if session else "", names)
    microsoft = provider is not None and "microsoft" in provider.ids
    return token_claims.facts_of(target.access_token, target.username, microsoft=microsoft)


def warnings_of(
    target: Target,
    session: Session,
    shown: TlsFacts | None,
    addresses: tuple[AddressOutcome, ...],
) -> list[Notice]:
    """Return problems that did not prevent acceptance, but may cause failures later."""
    found = []
    if shown is not None and shown.days_left is not None and shown.days_left < EXPIRY_WARNING:
        day = shown.not_after[:10]
        if shown.days_left < 0:  # only a trusted key lets it through
            found.append(Notice(PIN_EXPIRED, {"day": day}))
        else:
            found.append(Notice(EXPIRES, {"day": day, "days": str(shown.days_left)}))
    if shown is None and target.auth:
        found.append(Notice(BEARER_IN_CLEAR if target.access_token else IN_CLEAR))
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
    """Check whether a middlebox masked server text (Cisco's "fixup" writes asterisks and X)."""
    return "*****" in session.banner or any(word.startswith("XXXX") for word in session.keywords)


def greets_as_another(session: Session) -> bool:
    """Check whether the banner names a host in another domain than the requested one."""
    name = _greeting_name(session)
    if session.host.address is not None or "." not in name or "." not in session.host.name:
        return False
    return _organisation(name) != _organisation(session.host.name.lower())


def _greeting_name(session: Session) -> str:
    return session.banner.split(" ", 1)[0].lower().strip("[]")


def _stands_in_for_provider(session: Session) -> bool:
    """Check whether another server answers in place of a provider known by its host.

    For other hosts, a different name in the greeting means nothing: hosting companies use the
    names of their own machines. A verified certificate proves that it is the requested host.
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
    # co.uk, com.au: a short label before the last one is not an organization
    length = 3 if len(labels) > 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-length:])


def _invisible_facts(target: Target) -> dict[str, Any]:
    for field, value in (("login", target.username), ("password", target.password)):
        if position := _position_of_copied(value):
            return {"invisible": True, "field": field, "position": position}
    return {"invisible": False}


def _position_of_copied(value: str) -> int:
    """Return the position, from 1, of an invisible character or outer space from copying, or 0."""
    found = first_invisible(value)
    if value.startswith(" "):
        return 1
    if found:
        return found.position
    return len(value) if value.endswith(" ") else 0
