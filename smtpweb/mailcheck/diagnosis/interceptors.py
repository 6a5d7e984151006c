"""Know the programs and proxies that put their own certificate in the place of a server's."""

from __future__ import annotations

import re

# Parts of the issuer's name, and what to call it
_KNOWN = (
    (r"avast", "Avast"),
    (r"\bAVG\b", "AVG"),
    (r"kaspersky", "Kaspersky"),
    (r"\bESET\b", "ESET"),
    (r"bitdefender", "Bitdefender"),
    (r"norton (?:web|mail|360|security)", "Norton"),
    (r"mcafee", "McAfee"),
    (r"dr\.? ?web", "Dr.Web"),
    (r"\bavira\b", "Avira"),
    (r"g ?data", "G DATA"),
    (r"bullguard", "BullGuard"),
    (r"adguard", "AdGuard"),
    (r"sophos", "Sophos"),
    (r"trend micro", "Trend Micro"),
    (r"zscaler", "Zscaler"),
    (r"forti(?:gate|net)", "FortiGate"),
    (r"palo ?alto|\bPAN-?OS\b", "Palo Alto Networks"),
    (r"netskope", "Netskope"),
    (r"cisco umbrella", "Cisco Umbrella"),
    (r"blue ?coat|proxysg", "Blue Coat"),
    (r"forcepoint|websense", "Forcepoint"),
    (r"check ?point", "Check Point"),
    (r"watchguard|fireware", "WatchGuard"),
    (r"sonicwall", "SonicWall"),
    (r"untangle", "Untangle"),
    (r"squid", "Squid"),
    (r"gateway ca - cloudflare|cloudflare managed g", "Cloudflare Gateway"),
    (r"mitmproxy", "mitmproxy"),
    (r"fiddler", "Fiddler"),
    (r"charles proxy", "Charles"),
    (r"portswigger", "Burp"),
)
_COMPILED = tuple((re.compile(pattern, re.IGNORECASE), name) for pattern, name in _KNOWN)


def named_in(*names: str) -> str:
    """Who is behind a certificate with these names of issuer and subject; "" where unknown."""
    for pattern, interceptor in _COMPILED:
        if any(pattern.search(name) for name in names):
            return interceptor
    return ""
