"""Which server a pasted text speaks of: host, port, encryption."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from ..core.types import Encryption
from .incident import Endpoint

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62})"
_HOST = rf"(?P<host>(?:{_LABEL}\.){{1,9}}{_LABEL}\.?|localhost)"
_ANY = rf"(?P<host>(?:{_LABEL}\.){{0,9}}{_LABEL}\.?)"
_SIX = r"\[(?P<six>[0-9A-Fa-f:.]{2,45})\]"
_PORT = r"(?P<port>[0-9]{2,5})"
_Q = r"\\{0,2}[\"'`]?"

_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"connect to host, port: {_ANY}, {_PORT}",
        rf"connect to SMTP host: {_ANY}(?:, port: {_PORT})?",
        rf"cannot connect to {_ANY}, port {_PORT}",
        rf"\b(?:smtps?|ssl|tls|tcp|submissions?)(?:\+\w{{1,12}})?://(?:[^\s/@]{{0,300}}@)?{_HOST}(?::{_PORT})?",
        rf"host {_Q}{_HOST}{_Q},? port:? {_PORT}",
        rf"established with host {_Q}{_HOST}(?::{_PORT})?",
        rf"failed to connect to {_HOST} port {_PORT}",
        rf"(?:for|to) {_Q}{_HOST}{_Q}:? port {_PORT}",
        rf"(?:connect|lookup|dial) (?:E[A-Z]{{3,12}}|tcp|error) (?:lookup )?{_HOST}(?::{_PORT})?",
        rf"(?:connect|dial) (?:E[A-Z]{{3,12}}|tcp|error) {_SIX}:{_PORT}",
        rf"getaddrinfo (?:E[A-Z_]{{3,12}} )?{_HOST}",
        rf"lookup {_HOST}(?:: | on )",
        rf"relay={_HOST}\.? ?(?:\[[0-9A-Fa-f.:]{{2,45}}\])?(?::{_PORT})?",
        rf"(?:connect to|lost connection with|conversation with|\bhost|\bserver) {_HOST}"
        rf"\[[0-9A-Fa-f.:]{{2,45}}\](?::{_PORT})?",
        rf"\bH={_HOST} \[",
        rf"-connect {_HOST}:{_PORT}",
        rf"\btelnet {_HOST} {_PORT}",
        rf"could(?: not|n't) resolve(?: host)?:? {_Q}{_HOST}",
        rf"cannot locate host {_HOST}",
        rf"--?(?:server|host|s) {_HOST}(?::{_PORT})?",
        rf"trying {_HOST}(?::| port ){_PORT}",
        rf"(?<!generating )(?:host(?:name)?|server){_Q}"
        rf"\s{{0,4}}(?:=>|[:=])\s{{0,4}}{_Q}{_HOST}(?::{_PORT})?",
        rf"(?:connect(?:ed|ing)? to|trying|while talking to|opening connection to"
        rf"|Remote-MTA: dns;) {_Q}{_HOST}(?::{_PORT})?",
        rf"resolved {_HOST} as ",
        rf"unknown SMTP host: {_ANY}",
        rf"UnknownHostException: {_HOST}",
        rf"\b{_HOST}:(?P<port>25|465|587|2525|1025|2465|2587)\b",
        rf"certificate for {_HOST}",
    )
)  # the ones that name a host most surely come first
# Only where nothing better is said, and not in a transcript, where a server names itself
_GUESS = re.compile(
    r"(?<![@\w./-])(?P<host>(?:smtp|mail|email-smtp|smtp-relay|mx)[a-z0-9-]{0,20}"
    rf"(?:\.{_LABEL}){{1,6}})(?![\w@-]| ?\(|\.\w)",
    re.IGNORECASE | re.ASCII,
)
_PORT_ALONE = re.compile(
    rf"(?:\b|_)port{_Q}(?:\s{{0,4}}(?:=>|[:=])\s{{0,4}}|\s{{1,2}}){_Q}{_PORT}\b",
    re.IGNORECASE | re.ASCII,
)
_ADDRESS_PORT = re.compile(
    r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\]?:(?!53\b)(?P<port>[0-9]{2,5})\b", re.ASCII
)
_IMPLICIT = re.compile(r"\b(?:ssl|smtps|submissions)://", re.IGNORECASE)
_MOST_TRIES = 8  # hosts of one pattern that are looked at
_ADDRESS = re.compile(r"[0-9.]+|[0-9a-f:.]*:[0-9a-f:.]*")
_NO_NAMES = frozenset({"none", "null", "smtp", "the"})
_NO_HOST = re.compile(
    r"\.(?:php|py|js|mjs|ts|java|go|rb|cs|cpp|c|h|html?|json|log|conf|exe|dll|so|mail|sun|util)\.?$"
    r"|(?:exception|error|client|transport|connection|command)$"
    r"|^(?:www|support|help|docs|learn|javax?|org|com|smtp\.py|smtplib)\.|^[0-9.]+$(?<![0-9])",
    re.IGNORECASE,
)


def endpoint_in(text: str, *, guess: bool = True) -> Endpoint:
    """The server that ``text`` names; by a name rather than by an address.

    ``guess``: also take what only looks like the host of a mail server.
    """
    host, port = "", None
    for name, at in _named(text, (*_PATTERNS, _GUESS) if guess else _PATTERNS):
        if not host or (_ADDRESS.fullmatch(host) and not _ADDRESS.fullmatch(name)):
            host, port = name, at or port
        if not _ADDRESS.fullmatch(host):
            break
    if port is None:
        alone = _PORT_ALONE.search(text) or _ADDRESS_PORT.search(text)
        port = _port(alone["port"]) if alone else None
    encryption = ""
    if port == 465 or _IMPLICIT.search(text):
        encryption = str(Encryption.IMPLICIT)
    return Endpoint(host, port, encryption)


def _named(text: str, patterns: tuple[re.Pattern[str], ...]) -> Iterator[tuple[str, int | None]]:
    for pattern in patterns:
        for found in islice(pattern.finditer(text), _MOST_TRIES):
            groups = found.groupdict()
            name = (groups.get("host") or groups.get("six") or "").rstrip(".").lower()
            if name and not _NO_HOST.search(name) and name not in _NO_NAMES:
                yield name, _port(groups.get("port"))


def _port(digits: str | None) -> int | None:
    port = int(digits or 0)
    return port if 0 < port < 65536 else None
