"""The ports of SMTP, how each is encrypted, and what that is called."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Encryption(enum.StrEnum):
    """How the connection is protected; anything but NONE is required, never tried."""

    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Mode:
    """A port, and how a connection to it is protected."""

    port: int
    encryption: Encryption


# In a sentence, in English
ENCRYPTION_NAMES = {
    Encryption.IMPLICIT: "implicit TLS",
    Encryption.STARTTLS: "STARTTLS",
    Encryption.NONE: "no encryption",
}

# RFC 8314 3.3, RFC 6409, RFC 5321: the port that each encryption usually has
USUAL_PORTS = {Encryption.STARTTLS: 587, Encryption.IMPLICIT: 465, Encryption.NONE: 25}

# What is spoken on the ports for submission: RFC 8314 7.3 for 465, RFC 6409 for 587; the others
# are the providers' own way around firewalls.
SPOKEN = {
    465: Encryption.IMPLICIT,
    2465: Encryption.IMPLICIT,
    587: Encryption.STARTTLS,
    2587: Encryption.STARTTLS,
    2525: Encryption.STARTTLS,
}

# What servers for submission usually offer, best first (RFC 8314 3.3; 2525 is a custom)
USUAL_MODES = tuple(Mode(port, SPOKEN[port]) for port in (465, 587, 2525))

# All of them, and that between servers, which some take for submission too
MAIL_PORTS = frozenset({USUAL_PORTS[Encryption.NONE], *SPOKEN})
