"""Take apart what people paste where only a host belongs: a URL, "host:port", "user@host:port"."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import unquote

from .addresses import parse_host
from .modes import SPOKEN, USUAL_PORTS, Encryption

# What is meant by a scheme: RFC 8314 for the first two rows, the habits of mail libraries else.
_SCHEMES = {
    "smtp": Encryption.STARTTLS,
    "submission": Encryption.STARTTLS,
    "smtps": Encryption.IMPLICIT,
    "submissions": Encryption.IMPLICIT,
    "smtp+starttls": Encryption.STARTTLS,
    "smtp+tls": Encryption.STARTTLS,
    "smtp+ssl": Encryption.IMPLICIT,
    "ssl": Encryption.IMPLICIT,
    "tls": Encryption.STARTTLS,
}
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<rest>.*)", re.ASCII | re.IGNORECASE)
_SERVER = re.compile(
    r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:/?#@\s]+)(?::(?P<port>[0-9]{1,5}))?(?P<tail>[/?#].*)?",
    re.ASCII | re.IGNORECASE,
)
_TOP_LEVEL = re.compile(r"[a-z]{2,}|xn--[a-z0-9-]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Parts:
    """What was pasted, apart from the password, which is dropped.

    ``port`` and ``encryption`` are None where nothing says them. ``username`` is "" where there
    was none, or where it may be a key that stands for user name and password at once.
    """

    host: str
    port: int | None
    encryption: Encryption | None
    username: str
    has_password: bool


def take_apart(text: str) -> Parts | None:
    """The parts of a pasted server, or None where they cannot be told for sure.

    A password may hold ``@``, ``:``, ``/`` and ``?`` although a URL should escape them, so what
    is taken for the host stands behind the last ``@``; where that could be a part of a password
    or of a query, nothing is said.
    """
    url = _URL.fullmatch(text.strip())
    scheme, rest = (url["scheme"].lower(), url["rest"]) if url else ("", text.strip())
    userinfo, at, server = rest.rpartition("@")
    username, colon, password = userinfo.partition(":")
    found = _server(server)
    if found is None or (url is None and at and not colon and found[1] is None):
        return None  # without a scheme, a port or a password it is an email address
    if at and _may_end_sooner(userinfo):
        return None
    host, port = found
    if at and port is None and not _is_full_name(host):
        return None  # may be the rest of a password that holds an @
    encryption = _SCHEMES.get(scheme)
    port = port or (USUAL_PORTS[encryption] if encryption else None)
    if scheme in ("", "smtp", "submission") and port is not None:
        encryption = SPOKEN.get(port, encryption)
    named = unquote(username) if colon or "@" in username or "%40" in username else ""
    if unquote(password).strip().casefold() in ("", named.strip().casefold()) and colon:
        named = ""  # where both are the same, or only one was given, the name is the secret
    printable = named if named.isprintable() and "\ufffd" not in named else ""
    return Parts(host, port, encryption, printable, bool(at) and bool(colon or not printable))


def _server(text: str) -> tuple[str, int | None] | None:
    """The host as it is looked up, and the port."""
    found = _SERVER.fullmatch(text)
    if found is None:
        return None
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    try:
        return parse_host(found["host"]).name, port
    except ValueError:
        return None


def _may_end_sooner(userinfo: str) -> bool:
    """Whether the host may stand before the last "@", which is then one of a path or query."""
    before = re.split(r"[/?#]", userinfo, maxsplit=1)
    if len(before) == 1:
        return False
    found = _server(before[0].rpartition("@")[2])
    return found is not None and (found[1] is not None or _is_full_name(found[0]))


def _is_full_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        _, dot, top = host.rpartition(".")
        return host == "localhost" or bool(dot and _TOP_LEVEL.fullmatch(top))
    return True
