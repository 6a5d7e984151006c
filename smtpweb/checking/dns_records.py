"""What DNS says about the sender domain of an SMTP server, and about our own address."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..config import settings
from ..database.session import db
from ..extensions import services
from ..mailcheck.core import addresses
from ..providers.dns_records import own_address, sender_domain, warnings
from ..providers.dns_records.lookup import Finding
from ..registry import checkability, smtps
from . import limits

if TYPE_CHECKING:
    from dns.resolver import Resolver

# Only the routing table is asked for the way to it: connecting a datagram socket sends nothing
_SOMEWHERE = "198.51.100.1"


@dataclass(frozen=True, slots=True)
class SenderDomain:
    """The findings about the domain of the From address; "" if there is no such address."""

    domain: str
    findings: tuple[Finding, ...] = ()


def of_sender(user_id: str, smtp_id: str) -> SenderDomain:
    """Return what DNS says about email through the user's SMTP server.

    Raises :class:`NotFound`, and :class:`Busy` if too much waits for the network already.
    """
    smtp = smtps.find(user_id, smtp_id)
    sender = checkability.sender(smtp, smtp.app.defaultfromemail)
    domain = warnings.domain_of(sender)
    if not domain:
        return SenderDomain("")
    db.session.close()  # nothing is open while we wait for DNS
    slots = limits.take_dns_slot()
    try:
        return SenderDomain(domain, sender_domain.examine(domain, smtp.host, resolver()))
    finally:
        slots.release()


def of_our_address() -> list[Finding]:
    """Return how other mail servers see us."""
    config = settings()
    name = config.ehlo_name or addresses.own_full_name()
    slots = limits.take_dns_slot()
    try:
        return own_address.examine(name, _source(), config.blocklists, resolver())
    finally:
        slots.release()


def resolver() -> Resolver:
    """Return the resolver of the system, or one that gives no answer if there is none."""
    import dns.resolver  # loaded on first use, see smtpweb/deferred.py

    try:
        return services().resolver or dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return dns.resolver.Resolver(configure=False)


def _source() -> str | None:
    """Return the address that we connect from, unless it is translated on its way."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((_SOMEWHERE, 25))
            found = ipaddress.ip_address(probe.getsockname()[0])
    except OSError:
        return None
    return str(found) if found.is_global else None
