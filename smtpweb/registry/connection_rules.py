"""Validation of how a check connects to an SMTP server: one function for each kind of value.

Every value may be ``automatic`` instead, which unsets it.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import validators
from ..config import settings
from ..errors import Sentence
from ..mailcheck.core import options, trust
from ..mailcheck.core.options import OptionError

AUTOMATIC = "automatic"
MOST_KEY = 16 * 1024  # octets; an RSA key of 4096 bits has 3300


def _read(value: str, parse: Callable[[str], str]) -> str:
    """Return the value as parsed, "" if it is automatic; raise :class:`ValueError`."""
    if value.strip().lower() in ("", AUTOMATIC):
        return ""
    try:
        return parse(value)
    except OptionError as error:
        raise ValueError(Sentence(error.template, **error.values)) from None


def mechanism(value: str) -> str:
    """Validate the only SASL mechanism to use."""
    return _read(value, options.parse_mechanism)


def ehlo_name(value: str) -> str:
    """Validate the name to send in EHLO."""
    return _read(value, options.parse_ehlo_name)


def envelope_from(value: str) -> str:
    """Validate the address to send in MAIL FROM."""
    return _read(value, validators.email)


def source_address(value: str) -> str:
    """Validate the address of this machine to connect from; it must be offered by the settings."""
    return _read(value, _offered)


def _offered(value: str) -> str:
    address = options.parse_source_address(value)
    offered = settings().source_addresses
    if not offered:
        raise ValueError(
            Sentence("This installation offers no choice of addresses (SMTPWEB_SOURCE_ADDRESSES).")
        )
    if address not in offered:
        raise ValueError(Sentence("Must be one of %(list)s.", list=", ".join(map(str, offered))))
    return str(address)


def ca_certificates(value: str) -> str:
    """Validate certificates of CAs in PEM."""
    return _read(value, trust.parse_ca)


def pin(value: str) -> str:
    """Validate the SHA-256 of a public key."""
    return _read(value, trust.parse_pin)


def client_certificate(value: str) -> str:
    """Validate a client certificate, with its chain, in PEM."""
    return _read(value, trust.parse_client_certificate)


def client_key(value: str) -> str:
    """Validate the private key of a client certificate, in PEM."""
    if len(value) > MOST_KEY:
        raise ValueError(Sentence("Must have at most %(most)s characters.", most=MOST_KEY))
    return _read(value, trust.parse_client_key)
