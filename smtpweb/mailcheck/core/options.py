"""Validate the advanced options of a check; all of them are automatic unless they are given."""

from __future__ import annotations

import ipaddress

from . import addresses
from .egress import Address, unmapped

# The SASL mechanisms that a check supports, with a password and with an access token, best first
PASSWORD_MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5")
TOKEN_MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
MECHANISMS = (*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS)


class OptionError(ValueError):
    """Not a usable value of an option.

    ``template`` says why in one sentence, with ``%(name)s`` for each of ``values``, so that a
    page can translate it.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template % values if values else template)
        self.template = template
        self.values = values


def parse_mechanism(text: str, *, token: bool | None = None) -> str:
    """Return the name of a SASL mechanism, or "" for automatic. Raises :class:`OptionError`.

    With ``token``, only those with (true) or without (false) an access token are accepted.
    """
    name = text.strip().upper()
    if not name:
        return ""
    allowed = MECHANISMS if token is None else TOKEN_MECHANISMS if token else PASSWORD_MECHANISMS
    if name not in allowed:
        raise OptionError("Must be one of %(list)s.", list=", ".join(allowed))
    return name


def parse_ehlo_name(text: str) -> str:
    """Return the name for EHLO, or "" for automatic. Raises :class:`OptionError`.

    It is a fully qualified domain name or an address literal (RFC 5321 4.1.4).
    """
    name = text.strip()
    if not name:
        return ""
    try:
        found = addresses.ehlo_name(name, _UNSPECIFIED)
    except ValueError:
        found = ""
    if "." not in found and ":" not in found:
        raise OptionError(
            "Must be a full host name such as app.example.com, or an address literal such as"
            " [192.0.2.1]."
        )
    return found


def parse_source_address(text: str) -> Address | None:
    """Return the address of ours to connect from; None for automatic.

    Raises :class:`OptionError`. Whether this machine has the address shows when it connects.
    """
    bare = text.strip()
    if not bare:
        return None
    try:
        address = unmapped(ipaddress.ip_address(bare.strip("[]")))
    except ValueError:
        raise OptionError("Must be an IP address of this machine.") from None
    if (
        address.is_unspecified
        or address.is_multicast
        or getattr(address, "scope_id", None)
        or address == ipaddress.IPv4Address("255.255.255.255")
    ):
        raise OptionError("Must be an IP address of this machine.")
    return address


_UNSPECIFIED = ipaddress.IPv4Address(0)
