"""The SMTP ports, how each is encrypted, and the names of the encryptions."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Encryption(enum.StrEnum):
    """How the connection is protected; anything but NONE is mandatory, not opportunistic."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Mode:
    """A port, and the encryption of connections to it."""

    port: int
    encryption: Encryption


# For use in an English sentence
ENCRYPTION_NAMES = {
    Encryption.IMPLICIT: "implicit TLS",
    Encryption.STARTTLS: "STARTTLS",
    Encryption.NONE: "no encryption",
}

# RFC 8314 3.3, RFC 6409, RFC 5321: the usual port of each encryption
USUAL_PORTS = {Encryption.STARTTLS: 587, Encryption.IMPLICIT: 465, Encryption.NONE: 25}

# The encryption on submission ports: RFC 8314 7.3 for 465, RFC 6409 for 587; providers use the
# others to get around firewalls.
SPOKEN = {
    465: Encryption.IMPLICIT,
    2465: Encryption.IMPLICIT,
    587: Encryption.STARTTLS,
    2587: Encryption.STARTTLS,
    2525: Encryption.STARTTLS,
}

# What submission servers usually offer, best first (RFC 8314 3.3; 2525 is a convention)
USUAL_MODES = tuple(Mode(port, SPOKEN[port]) for port in (465, 587, 2525))

# All of them, and the server-to-server port, which some use for submission too
MAIL_PORTS = frozenset({USUAL_PORTS[Encryption.NONE], *SPOKEN})
