"""Host names, our own name and mail addresses in the form that goes over the wire."""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
from dataclasses import dataclass
from pathlib import Path

import email_validator
import idna

from .egress import Address, unmapped

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
# The C resolver reads 127.1, 0x7f.1 and 2130706433 as addresses; no top-level domain is like that
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*", re.ASCII)
_LITERAL = re.compile(r"\[(?:[0-9.]+|IPv6:[0-9A-Fa-f:.]+)\]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Host:
    """A host to connect to: an A-label name without trailing dot, or an address."""

    name: str
    address: Address | None


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mail address for MAIL or RCPT; ``utf8`` where that needs SMTPUTF8 (RFC 6531)."""

    address: str
    utf8: bool

    @property
    def domain(self) -> str:
        """What stands after the last @."""
        return self.address.rpartition("@")[2]


@functools.lru_cache(1024)
def parse_host(text: str) -> Host:
    """A domain name (IDNA 2008) or a canonical IP address. ValueError says what is wrong."""
    if text != text.strip():
        raise ValueError("it begins or ends with a blank")
    if "://" in text:
        raise ValueError("it holds a scheme; only the host name belongs here")
    if any(ord(char) < 33 or ord(char) == 127 for char in text):
        raise ValueError("it holds a blank or a control character")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return Host(_ascii_name(text), None)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise ValueError("an address with a zone cannot be checked")
    address = unmapped(address)
    return Host(str(address), address)


def _ascii_name(text: str) -> str:
    name = text.rstrip(".") if text.endswith(".") and not text.endswith("..") else text
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, transitional=False).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise ValueError(f"it is not an international domain name: {error}") from None
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("it is neither a domain name nor an IP address")
    if _NUMERIC.fullmatch(labels[-1]):
        raise ValueError("it ends in a number, yet is not an IP address in its usual form")
    return name


@functools.lru_cache(4096)
def parse_mailbox(text: str) -> Mailbox:
    """One mail address. ValueError says what is wrong."""
    if not text.strip():
        raise ValueError("it is empty")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValueError("it holds a control character")
    local, _, domain = text.rpartition("@")
    try:
        # The library's opinion on domains is for the Internet; ours may be mail.internal
        parsed = email_validator.validate_email(
            f"{local}@example.com",
            check_deliverability=False,
            allow_quoted_local=True,
            allow_display_name=False,
        )
    except email_validator.EmailNotValidError as error:
        raise ValueError(str(error).rstrip(".")) from None
    return Mailbox(f"{parsed.local_part}@{_mail_domain(domain)}", not parsed.local_part.isascii())


def _mail_domain(domain: str) -> str:
    if _LITERAL.fullmatch(domain):
        ipaddress.ip_address(domain[1:-1].removeprefix("IPv6:"))
        return domain
    host = parse_host(domain)
    if host.address is not None:
        raise ValueError("an address behind the @ must stand in brackets")
    return host.name


def ehlo_name(wanted: str | None, local: Address) -> str:
    """What we call ourselves: ``wanted``, our full name, or an address literal.

    RFC 5321 4.1.4 asks for one of the last two; a bare host name is refused by strict servers.
    Raises ValueError for a ``wanted`` that is neither.
    """
    if wanted is None:
        return own_full_name() or address_literal(local)
    if _LITERAL.fullmatch(wanted):
        return address_literal(ipaddress.ip_address(wanted[1:-1].removeprefix("IPv6:")))
    host = parse_host(wanted)
    return host.name if host.address is None else address_literal(host.address)


def address_literal(address: Address) -> str:
    """RFC 5321 4.1.3; an IPv4 address inside an IPv6 one is written as what it is."""
    address = unmapped(address)
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"


@functools.lru_cache(1)
def own_full_name() -> str | None:
    """This machine's name if it is a full one. Asks no DNS, which could hang or cost a trip."""
    own = socket.gethostname()
    for name in (own, *_hosts_file_names(own)):
        try:
            if "." in name and not name.startswith("localhost."):
                return parse_host(name).name
        except ValueError:
            continue
    return None


HOSTS_FILE = Path("/etc/hosts")


def hosts_file_addresses(name: str) -> tuple[Address, ...]:
    """The addresses that the hosts file gives for ``name``."""
    found: list[Address] = []
    for address, names in _hosts_file():
        if name.lower() in names:
            try:
                found.append(ipaddress.ip_address(address))
            except ValueError:
                continue
    return tuple(dict.fromkeys(found))


def _hosts_file_names(name: str) -> list[str]:
    return [other for _, names in _hosts_file() if name.lower() in names for other in names]


def _hosts_file() -> list[tuple[str, list[str]]]:
    try:
        lines = HOSTS_FILE.read_text(errors="replace").splitlines()
    except OSError:
        return []
    fields = (line.partition("#")[0].lower().split() for line in lines)
    return [(words[0], words[1:]) for words in fields if len(words) > 1]
