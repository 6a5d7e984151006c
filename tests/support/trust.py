"""Trust in certificates, as an SMTP server may have it."""

from __future__ import annotations

from smtpweb.mailcheck.core.trust import Trust, TrustKind, parse_ca, parse_pin


def trust_ca(pem: str | bytes) -> Trust:
    """Return the trust in these CAs and no others."""
    return Trust(TrustKind.CA, ca=parse_ca(pem))


def trust_pin(text: str) -> Trust:
    """Return the trust in one public key."""
    return Trust(TrustKind.PIN, pin=parse_pin(text))
