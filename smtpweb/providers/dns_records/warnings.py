"""Warn in the form, before anything is sent, of what DNS says, if it says so at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import Sentence
from ...mailcheck.core import addresses
from .. import reachability
from ..settings import Settings, Warning
from . import sender_domain
from .lookup import State

if TYPE_CHECKING:
    from dns.resolver import Resolver

_SECONDS = 0.8
_NAMES = {"mx": "MX", "spf": "SPF", "dkim": "DKIM", "dmarc": "DMARC"}


def look_up(given: Settings, resolver: Resolver) -> tuple[Warning, ...]:
    """Return warnings about the host and about the domain of the From address.

    Nothing is returned for what DNS does not answer in time.
    """
    return (*reachability.look_up(given, resolver), *_about_sender(given, resolver))


def _about_sender(given: Settings, resolver: Resolver) -> tuple[Warning, ...]:
    domain = domain_of(given.mail_from)
    if not domain or not given.host:
        return ()
    return tuple(
        Warning(
            "defaultfromemail",
            f"SENDER_{finding.subject.upper()}",
            Sentence(
                "%(subject)s of %(domain)s: %(text)s",
                subject=_NAMES[finding.subject],
                domain=domain,
                text=finding.text,
            ),
        )
        for finding in sender_domain.examine(domain, given.host, resolver, _SECONDS)
        if finding.state is State.BAD
    )


def domain_of(sender: str) -> str:
    """Return the domain of an address as it is looked up; "" for an address literal."""
    try:
        host = addresses.parse_host(sender.rpartition("@")[2])
    except ValueError:
        return ""
    return host.name if host.address is None and "." in host.name else ""
