"""Evaluate our own address as other mail servers see it: EHLO name, reverse DNS, block lists."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ...errors import Sentence
from .lookup import NO_ANSWER, Finding, Lookup, State, Unknown

if TYPE_CHECKING:
    from dns.resolver import Resolver

SECONDS = 6.0
_MOST = 4  # addresses
# What lists answer to say that they do not answer: to open resolvers, or above their limits
_NO_ANSWERS = ipaddress.ip_network("127.255.255.0/24")
_ANSWERS = ipaddress.ip_network("127.0.0.0/8")


def examine(
    ehlo_name: str | None,
    source: str | None,
    blocklists: Iterable[str],
    resolver: Resolver,
    seconds: float = SECONDS,
) -> list[Finding]:
    """Return what is seen of us. ``source``: the address that we connect from, if it is public."""
    lookup = Lookup(resolver, seconds)
    return list(_findings(ehlo_name, source, tuple(blocklists), lookup))


def _findings(
    ehlo_name: str | None, source: str | None, blocklists: tuple[str, ...], lookup: Lookup
) -> Iterator[Finding]:
    addresses = [] if source is None else [source]
    if ehlo_name is None or ehlo_name.startswith("["):
        text = Sentence(
            "smtpweb has no full name to introduce itself with: some servers refuse address"
            " literals. Set SMTPWEB_EHLO_NAME to the name of this machine in DNS."
        )
        yield Finding("ehlo", State.BAD, text)
    else:
        try:
            named = lookup.addresses(ehlo_name)
        except Unknown:
            yield _unknown("ehlo")
            named = None
        if named is not None:
            yield _ehlo(ehlo_name, named, source)
            addresses = addresses or named[:_MOST]
    for address in addresses:
        yield _reverse(address, ehlo_name, lookup)
        for zone in blocklists:
            yield _listed(address, zone, lookup)


def _unknown(subject: str, record: str = "") -> Finding:
    return Finding(subject, State.UNKNOWN, NO_ANSWER, record)


def _ehlo(name: str, addresses: list[str], source: str | None) -> Finding:
    if not addresses:
        text = Sentence("The EHLO name %(name)s does not exist in DNS.", name=name)
        return Finding("ehlo", State.BAD, text)
    if source is not None and source not in addresses:
        text = Sentence(
            "The EHLO name %(name)s belongs to another address than %(address)s, which smtpweb"
            " connects from.",
            name=name,
            address=source,
        )
        return Finding("ehlo", State.BAD, text, ", ".join(addresses[:_MOST]))
    text = Sentence("The EHLO name %(name)s exists in DNS.", name=name)
    return Finding("ehlo", State.GOOD, text, ", ".join(addresses[:_MOST]))


def _reverse(address: str, ehlo_name: str | None, lookup: Lookup) -> Finding:
    try:
        names = lookup.pointers(address)
        if not names:
            text = Sentence(
                "%(address)s has no reverse DNS: many servers refuse it. Whoever gave you the"
                " address can set it.",
                address=address,
            )
            return Finding("reverse", State.BAD, text)
        confirmed = [name for name in names if address in lookup.addresses(name)]
    except Unknown:
        return _unknown("reverse", address)
    shown = ", ".join(names[:3])
    if not confirmed:
        text = Sentence(
            "The name in reverse DNS does not lead back to %(address)s.", address=address
        )
        return Finding("reverse", State.BAD, text, shown)
    if ehlo_name and ehlo_name.lower() not in confirmed:
        text = Sentence(
            "Reverse DNS of %(address)s is not the EHLO name: some servers compare them.",
            address=address,
        )
        return Finding("reverse", State.NOTE, text, shown)
    text = Sentence("Reverse DNS of %(address)s is in order.", address=address)
    return Finding("reverse", State.GOOD, text, shown)


def _listed(address: str, zone: str, lookup: Lookup) -> Finding:
    found = ipaddress.ip_address(address)
    digits = found.exploded.replace(":", "") if found.version == 6 else found.exploded.split(".")
    name = f"{'.'.join(reversed(digits))}.{zone}"
    try:
        answers = [ipaddress.ip_address(one) for one in lookup.addresses(name)]
    except Unknown:
        return _unknown("blocklist", zone)
    listed = [one for one in answers if one in _ANSWERS and one not in _NO_ANSWERS]
    if listed:
        text = Sentence("%(address)s is listed in %(zone)s.", address=address, zone=zone)
        return Finding("blocklist", State.BAD, text, str(listed[0]))
    if answers:
        text = Sentence("%(zone)s does not answer this resolver.", zone=zone)
        return Finding("blocklist", State.UNKNOWN, text, str(answers[0]))
    text = Sentence("%(address)s is not listed in %(zone)s.", address=address, zone=zone)
    return Finding("blocklist", State.GOOD, text)
