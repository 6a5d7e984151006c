"""What is known, without contacting a server, about whether it can be reached and checked."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import validators
from ..errors import Sentence
from ..mailcheck.core import addresses
from ..mailcheck.core.egress import Address, Refusal
from .presets import Preset
from .settings import Found, Settings, Warning

if TYPE_CHECKING:
    from dns.resolver import Resolver

READING = {110: "POP3", 143: "IMAP", 993: "IMAP", 995: "POP3"}
# Never in DNS: RFC 6761 6.4, RFC 7686, RFC 9476. Other names in RFC 6761 may be used privately.
_NEVER_IN_DNS = (".invalid", ".onion", ".alt")
_LOOK_UP_SECONDS = 0.8
_LOCALHOST: tuple[Address, ...] = (
    ipaddress.IPv4Address("127.0.0.1"),
    ipaddress.IPv6Address("::1"),
)


def prevents_check(given: Settings) -> str | None:
    """Return the code with which every check ends before anything is sent, if any."""
    found = (*no_from(given, None), *refused_here(given, None))
    return next((warning.prevents for warning in found if warning.prevents), None)


def look_up(given: Settings, resolver: Resolver) -> tuple[Warning, ...]:
    """Warn of a name missing from DNS, or of a refused address, if DNS responds immediately.

    For a form while the user types; a check queries DNS again. Waits less than a second, and
    returns nothing if DNS does not respond.
    """
    import dns.resolver  # loaded on first use, see smtpweb/deferred.py

    host = _plain_name(given.host)
    if host is None or "." not in host or _known_addresses(host) or _never_exists(host):
        return ()  # an address, validated without DNS, or within a search domain of this machine
    try:
        found = resolver.resolve_name(f"{host}.", lifetime=_LOOK_UP_SECONDS, search=False)
    except dns.resolver.NXDOMAIN:
        return (_unknown(host),)
    except (dns.exception.DNSException, OSError):
        return ()
    return tuple(_address_refused(given, map(ipaddress.ip_address, found.addresses())))


def no_from(given: Settings, _known: Preset | None) -> Found:
    """Warn that the test email would have no From."""
    # Too early to say so until host and user name have been typed.
    if given.mail_from or not given.host or (given.auth and not given.username):
        return
    yield Warning(
        "defaultfromemail",
        "FROM_MISSING",
        Sentence(
            "This SMTP server cannot be checked without a From address: neither the server"
            " nor its app has one, and the user name is not an email address."
        ),
        "SMTP_POLICY_NO_FROM",
    )


def refused_here(given: Settings, _known: Preset | None) -> Found:
    """Warn of what this installation's policy refuses, as far as is known without DNS."""
    if given.policy is None or not given.host or given.port is None:
        return
    name = _plain_name(given.host)
    refusal = given.policy.refuses_port(name or given.host.strip("[]"), given.port)
    if refusal is not None:
        # Opening a port for reading email would not help: another rule says so.
        if refusal.kind != "port" or given.port not in READING:
            yield _refused(refusal, given.port)
        return
    yield from _address_refused(given, _known_addresses(given.host))


def _address_refused(given: Settings, found: Iterable[Address]) -> Found:
    if given.policy is None or given.port is None:
        return
    for address in found:
        refusal = given.policy.refuses(address, given.port)
        if refusal is not None:
            yield _refused(refusal, given.port)
            return


def _refused(refusal: Refusal, port: int) -> Warning:
    if refusal.kind == "port":
        return Warning(
            "port",
            "PORT_REFUSED",
            Sentence(
                "smtpweb is not allowed to connect to port %(port)s. Its administrator can"
                " allow this with the setting %(setting)s",
                port=port,
                setting=refusal.setting,
            ),
            "SMTP_POLICY_PORT",
        )
    if refusal.kind == "own":
        text = Sentence(
            "smtpweb itself uses this service, so checks never connect to it. Choose"
            " another host or port."
        )
        return Warning("host", "ADDRESS_REFUSED", text, "SMTP_POLICY_OWN_SERVICE")
    text = Sentence(
        "smtpweb is not allowed to connect to %(range)s, such as %(address)s. Its"
        " administrator can allow this with the setting %(setting)s",
        address=refusal.address,
        range=Sentence(refusal.range_name),
        setting=refusal.setting,
    )
    kind = "ADDRESS" if refusal.kind == "range" else "RESERVED"
    return Warning("host", "ADDRESS_REFUSED", text, f"SMTP_POLICY_{kind}")


def no_such_host(given: Settings, _known: Preset | None) -> Found:
    """Warn that the host is invalid, or that it can never exist in DNS."""
    if not given.host or given.host.startswith("."):  # a provider's host, still incomplete
        return
    try:
        validators.host(given.host)
    except ValueError as error:
        yield Warning("host", "HOST_INVALID", error.args[0])
        return
    name = _plain_name(given.host)
    if name is not None and _never_exists(name) and not _known_addresses(name):
        yield _unknown(name)


def _unknown(host: str) -> Warning:
    text = Sentence("The host %(host)s does not exist in DNS. Check its spelling.", host=host)
    return Warning("host", "HOST_UNKNOWN", text)


def _never_exists(host: str) -> bool:
    return f".{host}".lower().endswith(_NEVER_IN_DNS)


def _plain_name(text: str) -> str | None:
    """Return the name to look up for a host; None for an address, and for an invalid host."""
    try:
        host = addresses.parse_host(text)
    except ValueError:
        return None
    return host.name if host.address is None else None


def _known_addresses(text: str) -> tuple[Address, ...]:
    """Return the addresses known without DNS: a literal address, or from the hosts file."""
    try:
        host = addresses.parse_host(text)
    except ValueError:
        return ()
    if host.address is not None:
        return (host.address,)
    name = host.name.lower()
    return _listed(name, hosts_file_version()) or (_LOCALHOST if name == "localhost" else ())


def hosts_file_version() -> int:
    """Return a number that changes with the hosts file."""
    try:
        return addresses.HOSTS_FILE.stat().st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(1024)
def _listed(name: str, _changed: int) -> tuple[Address, ...]:
    """Return the entries of the hosts file, read once per name until the file changes."""
    return addresses.hosts_file_addresses(name)
