"""Host names, our own name and email addresses in the form that is sent over the wire."""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import idna

from .egress import Address, unmapped
from .once import once

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
# The C resolver reads 127.1, 0x7f.1 and 2130706433 as addresses; no top-level domain looks so
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*", re.ASCII)
_LITERAL = re.compile(r"\[(?:[0-9.]+|IPv6:[0-9A-Fa-f:.]+)\]", re.ASCII | re.IGNORECASE)
MAX_ADDRESS = 254  # octets: a path has at most 256 including angle brackets (RFC 5321 4.5.3.1.3)


@dataclass(frozen=True, slots=True)
class Host:
    """A host to connect to: an A-label name without a trailing dot, or an IP address."""

    name: str
    address: Address | None


class MailboxError(ValueError):
    """Not an address that email can be sent to.

    ``template`` says why in one sentence, with ``%(name)s`` for each of
    ``values``, so that a page can translate it.
    """

    def __init__(self, template: str, **values: object) -> None:
        super().__init__(template % values if values else template)
        self.template = template
        self.values = values


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An email address for MAIL or RCPT; ``utf8`` if it requires SMTPUTF8 (RFC 6531).

    ``written`` is the same address for display: its domain in Unicode instead of A-labels.
    """

    address: str
    utf8: bool
    written: str

    @property
    def domain(self) -> str:
        """The part after the last @."""
        return self.address.rpartition("@")[2]


@functools.lru_cache(1024)
def parse_host(text: str) -> Host:
    """Parse a domain name (IDNA 2008, lowercased) or an IP address. Raises ValueError."""
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
    return name.lower()


@functools.lru_cache(4096)
def parse_mailbox(text: str) -> Mailbox:
    """Parse an email address (RFC 5321 4.1.2, RFC 6531). Raises :class:`MailboxError`.

    The domain may be any host name, including internal ones such as ``localhost``, or an address
    literal; the local part may be quoted.
    """
    if not text.strip():
        raise MailboxError("It is empty.")
    for position, char in enumerate(text, 1):
        if unicodedata.category(char) in ("Cc", "Cs"):
            raise MailboxError(
                "It contains a control character (U+%(code)s at position %(position)s).",
                code=f"{ord(char):04X}",
                position=position,
            )
    local, at, domain = text.rpartition("@")
    if not at:
        raise MailboxError("An email address must contain an @ sign.")
    if not domain:
        raise MailboxError("There must be something after the @ sign.")
    local = _local_part(local)
    wire, written = _mail_domain(domain, local)
    if len(f"{local}@{wire}".encode()) > MAX_ADDRESS:
        raise MailboxError("It is longer than %(most)s bytes.", most=MAX_ADDRESS)
    return Mailbox(f"{local}@{wire}", not local.isascii(), f"{local}@{written}")


def _local_part(text: str) -> str:
    import email_validator  # loaded on first use, see smtpweb/deferred.py

    try:
        # Only the local part: the library's domain rules are meant for the public Internet.
        parsed = email_validator.validate_email(
            f"{text}@example.com",
            check_deliverability=False,
            allow_quoted_local=True,
            allow_display_name=False,
        )
    except email_validator.EmailNotValidError as error:
        raise MailboxError(str(error)) from None
    local: str = parsed.local_part
    return local


def _mail_domain(domain: str, local: str) -> tuple[str, str]:
    """Return the domain as sent over the wire, and as displayed."""
    if domain.startswith("[") or domain.endswith("]"):
        literal = _canonical_literal(domain)
        return literal, literal
    try:
        host = parse_host(domain)
    except ValueError as error:
        raise MailboxError(
            "The part after the @ sign is not a domain name: %(domain)s.", domain=domain
        ) from error
    if host.address is not None:
        raise MailboxError(
            "An IP address after the @ sign must be in brackets: %(address)s.",
            address=f"{local}@{address_literal(host.address)}",
        )
    if domain.isascii():
        return host.name, host.name
    try:
        return host.name, idna.decode(host.name)
    except idna.IDNAError:  # an A-label was typed next to a Unicode label
        return host.name, host.name


def _canonical_literal(text: str) -> str:
    """Return a canonical address literal (RFC 5321 4.1.3); no tag other than IPv6 exists."""
    if _LITERAL.fullmatch(text):
        tagged = text[1:-1].lower()
        try:
            address = ipaddress.ip_address(tagged.removeprefix("ipv6:"))
        except ValueError:
            pass
        else:
            if (address.version == 6) is tagged.startswith("ipv6:"):
                return address_literal(address)
    raise MailboxError(
        "An address literal is written like [192.0.2.1] or [IPv6:2001:db8::1], not %(literal)s.",
        literal=text,
    )


def ehlo_name(wanted: str | None, local: Address) -> str:
    """Return our EHLO name: ``wanted``, our full name, or an address literal.

    RFC 5321 4.1.4 requires one of the last two; strict servers refuse a bare host name.
    Raises ValueError for a ``wanted`` that is neither.
    """
    if wanted is None:
        return own_full_name() or address_literal(local)
    if _LITERAL.fullmatch(wanted):
        return _canonical_literal(wanted)
    host = parse_host(wanted)
    return host.name if host.address is None else address_literal(host.address)


def address_literal(address: Address) -> str:
    """Return the address literal (RFC 5321 4.1.3); an IPv4-mapped address is written as IPv4."""
    address = unmapped(address)
    return f"[{address}]" if address.version == 4 else f"[IPv6:{address}]"


@once
def own_full_name() -> str | None:
    """Return this machine's name if fully qualified. No DNS: it could hang or cost a round trip."""
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
    """Return the addresses that the hosts file lists for ``name``."""
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
