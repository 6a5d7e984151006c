"""Decide, before any packet is sent, which addresses and ports a check may reach.

The tables are our own: ``ipaddress`` varies between Python versions, and calls
``64:ff9b::7f00:1`` (127.0.0.1 behind NAT64) global and 100.64.0.1 not private.
"""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from .modes import MAIL_PORTS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# Allowed by any SMTPWEB_EGRESS_ALLOW entry that contains the address.
_OPENED_BY_NETWORK = (
    ("127.0.0.0/8", "loopback"),
    ("::1/128", "loopback"),
    ("10.0.0.0/8", "private networks (RFC 1918)"),
    ("172.16.0.0/12", "private networks (RFC 1918)"),
    ("192.168.0.0/16", "private networks (RFC 1918)"),
    ("100.64.0.0/10", "shared address space of carriers (RFC 6598)"),
    ("fc00::/7", "unique local addresses (RFC 4193)"),
)

# Allowed only by an entry for exactly that address; checked before the ranges above,
# because some metadata services are inside them.
_METADATA = (
    ("169.254.169.254/32", "cloud metadata services"),
    ("100.100.100.200/32", "cloud metadata services"),
    ("168.63.129.16/32", "cloud metadata services"),
    ("192.0.0.192/32", "cloud metadata services"),
    ("fd00:ec2::/32", "cloud metadata services"),
    ("fd20:ce::254/128", "cloud metadata services"),
)

# Likewise allowed only by an entry for exactly that address.
_OPENED_BY_ADDRESS = (
    ("0.0.0.0/8", "unspecified addresses"),
    ("169.254.0.0/16", "link-local addresses"),
    ("192.0.0.0/24", "IETF protocol assignments"),
    ("192.0.2.0/24", "addresses for documentation"),
    ("198.51.100.0/24", "addresses for documentation"),
    ("203.0.113.0/24", "addresses for documentation"),
    ("192.88.99.0/24", "6to4 relays"),
    ("198.18.0.0/15", "addresses for benchmarks"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved addresses"),
    ("::/128", "unspecified addresses"),
    ("::/96", "IPv4-compatible addresses"),
    ("fe80::/10", "link-local addresses"),
    ("fec0::/10", "site-local addresses"),
    ("ff00::/8", "multicast"),
    ("2001::/23", "IETF protocol assignments"),
    ("2001:db8::/32", "addresses for documentation"),
    ("3fff::/20", "addresses for documentation"),
)

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_GLOBAL = ipaddress.IPv6Network("::/0")


def _table(rows: Iterable[tuple[str, str]], by_network: bool) -> list[tuple[Network, str, bool]]:
    return [(ipaddress.ip_network(network), name, by_network) for network, name in rows]


_DENIED = (
    *_table(_METADATA, False),
    *_table(_OPENED_BY_NETWORK, True),
    *_table(_OPENED_BY_ADDRESS, False),
)
_ANYTHING_ELSE = "reserved addresses (not global unicast)"
RANGE_NAMES = frozenset({_ANYTHING_ELSE, *(name for _, name, _ in _DENIED)})


class EgressRuleError(ValueError):
    """A policy rule that cannot be parsed; the message is one sentence naming the rule."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a check may not connect, and what the administrator could change.

    ``kind`` is "port", "own", "range" or "reserved"; ``setting`` is ready to paste.
    """

    kind: str
    address: str
    network: str
    range_name: str
    setting: str


@dataclass(frozen=True, slots=True)
class _Allowed:
    network: Network
    port: int | None  # None: the ports of SMTPWEB_EGRESS_PORTS

    def opens(self, address: Address) -> bool:
        return address.version == self.network.version and address in self.network

    @property
    def is_one_address(self) -> bool:
        return self.network.num_addresses == 1


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What a check may reach. Without arguments: global unicast addresses on mail ports.

    If ``ports`` is None, any port is allowed; an entry of ``allowed`` that names another port opens
    it there, unless ``ports_are_final``. ``ports_setting``: the setting that ``ports`` come from.
    ``own`` lists (host or address, port) of this installation's own services, which no rule allows;
    ``localhost`` there means any loopback address, and an unspecified address such as 0.0.0.0 any
    address of this machine.
    """

    allowed: tuple[_Allowed, ...] = ()
    ports: frozenset[int] | None = MAIL_PORTS
    own: frozenset[tuple[str, int]] = field(default_factory=frozenset)
    ports_setting: str = "SMTPWEB_EGRESS_PORTS"
    ports_are_final: bool = False

    @classmethod
    def parse(cls, allow: str, ports: str, own: frozenset[tuple[str, int]] = frozenset()) -> Self:
        """Parse SMTPWEB_EGRESS_ALLOW and SMTPWEB_EGRESS_PORTS into a policy.

        An allow entry is ``network[:port]`` such as ``127.0.0.0/8``, ``10.0.0.25/32:25`` or
        ``[fd00::1]:25``; one with a port allows only that port, regardless of ``ports``.
        Raises :class:`EgressRuleError`.
        """
        entries = tuple(_allowed(entry) for entry in _entries(allow))
        if ports.strip() == "*":
            return cls(entries, None, own)
        where = f"SMTPWEB_EGRESS_PORTS: {ports!r}"
        numbers = frozenset(_port(word, where) for word in _entries(ports))
        return cls(entries, numbers or MAIL_PORTS, own)

    def for_webhooks(self, ports: str) -> Self:
        """The same networks for HTTP, on the ports of SMTPWEB_WEBHOOK_PORTS and no other.

        An internal mail server whose port is open to checks is not open to HTTP requests.
        Raises :class:`EgressRuleError`.
        """
        setting = "SMTPWEB_WEBHOOK_PORTS"
        where = f"{setting}: {ports!r}"
        numbers = frozenset(_port(word, where) for word in _entries(ports) if word != "*")
        return dataclasses.replace(
            self,
            ports=None if ports.strip() == "*" else numbers,
            ports_setting=setting,
            ports_are_final=True,
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for another process."""
        return {
            "allowed": [[str(entry.network), entry.port] for entry in self.allowed],
            "ports": None if self.ports is None else sorted(self.ports),
            "own": sorted(map(list, self.own)),
            "ports_setting": self.ports_setting,
            "ports_are_final": self.ports_are_final,
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Self:
        """The inverse of :meth:`to_dict`."""
        return cls(
            tuple(
                _Allowed(ipaddress.ip_network(network), port) for network, port in stored["allowed"]
            ),
            None if stored["ports"] is None else frozenset(stored["ports"]),
            frozenset((host, port) for host, port in stored["own"]),
            stored["ports_setting"],
            stored["ports_are_final"],
        )

    def refuses_port(self, host: str, port: int) -> Refusal | None:
        """Return the refusal that applies whatever ``host`` resolves to, or None."""
        if self._is_own(host, port):
            return Refusal("own", host, "", "this installation's own services", "")
        if self.ports is None or port in self.ports:
            return None
        if not self.ports_are_final and any(entry.port == port for entry in self.allowed):
            return None  # depends on the address
        return self._port_refusal(host, port)

    def refuses(self, address: Address, port: int) -> Refusal | None:
        """Return the refusal of one resolved address, or None if the check may connect to it."""
        address = unmapped(address)
        if self._is_own(str(address), port):
            return Refusal("own", str(address), "", "this installation's own services", "")
        entries = [entry for entry in self.allowed if entry.opens(address)]
        for one in (address, *embedded(address)):
            refusal = self._range_refusal(address, one, entries, port)
            if refusal is not None:
                return refusal
        if self.ports is None or port in self.ports:
            return None
        if not self.ports_are_final and any(entry.port == port for entry in entries):
            return None
        return self._port_refusal(str(address), port)

    def _range_refusal(
        self, address: Address, judged: Address, entries: list[_Allowed], port: int
    ) -> Refusal | None:
        found = _denied(judged)
        if found is None:
            return None
        network, name, by_network = found
        open_here = [entry for entry in entries if entry.port in (None, port)]
        if any(entry.is_one_address or (by_network and judged == address) for entry in open_here):
            return None
        shown = str(address) if judged == address else f"{address} (which contains {judged})"
        length = address.max_prefixlen
        return Refusal(
            kind="range" if by_network else "reserved",
            address=shown,
            network=str(network),
            range_name=name,
            setting=f"SMTPWEB_EGRESS_ALLOW={address}/{length}",
        )

    def _port_refusal(self, where: str, port: int) -> Refusal:
        wanted = ",".join(str(number) for number in sorted((self.ports or frozenset()) | {port}))
        return Refusal("port", where, "", "", f"{self.ports_setting}={wanted}")

    def _is_own(self, host: str, port: int) -> bool:
        host = host.strip("[]").rstrip(".").lower()
        for name, number in self.own:
            if number == port and _is_same_place(host, name.strip("[]").rstrip(".").lower()):
                return True
        return False


def unmapped(address: Address) -> Address:
    """Return ``::ffff:a.b.c.d`` as the IPv4 address that a connection to it reaches."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def embedded(address: Address) -> tuple[Address, ...]:
    """Return the IPv4 addresses that packets to ``address`` may end up at.

    NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380), IPv4-compatible (RFC 4291 2.5.5.1).
    """
    if not isinstance(address, ipaddress.IPv6Address):
        return ()
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


def _denied(address: Address) -> tuple[Network, str, bool] | None:
    for network, name, by_network in _DENIED:
        if address.version == network.version and address in network:
            return network, name, by_network
    if address.version == 6 and address not in _GLOBAL_UNICAST and address not in _NAT64:
        return _NOT_GLOBAL, _ANYTHING_ELSE, False
    return None


def _is_same_place(host: str, own: str) -> bool:
    if host == own:
        return True
    address, own_address = _as_address(host), _as_address(own)
    if own == "localhost":
        return address is not None and address.is_loopback
    if own_address is None:
        return False
    if host == "localhost":
        return own_address.is_loopback or own_address.is_unspecified
    if own_address.is_unspecified:
        return address is not None and _is_ours(address)
    return address == own_address


def _as_address(text: str) -> Address | None:
    try:
        return unmapped(ipaddress.ip_address(text))
    except ValueError:
        return None


def _is_ours(address: Address) -> bool:
    """Check whether this machine has ``address``: only then can a socket be bound to it."""
    if address.is_loopback or address.is_unspecified:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        return error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)
    return True


def _entries(text: str) -> list[str]:
    return [entry.strip() for entry in text.split(",") if entry.strip()]


_ENTRY = re.compile(
    r"(?:\[(?P<boxed>[0-9a-fA-F:.]+)\]|(?P<bare>[0-9a-fA-F:.]+(?=/)|[0-9.]+|[0-9a-fA-F:.]+$))"
    r"(?:/(?P<length>[0-9]{1,3}))?(?::(?P<port>[0-9]{1,6}))?",
    re.ASCII,
)


def _allowed(entry: str) -> _Allowed:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        raise EgressRuleError(
            f"SMTPWEB_EGRESS_ALLOW: {entry!r} is not a network such as 10.0.0.0/8, "
            "10.0.0.25/32:25 or [fd00::1]:25."
        )
    text = found["boxed"] or found["bare"]
    if found["length"] is not None:
        text += "/" + found["length"]
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise EgressRuleError(f"SMTPWEB_EGRESS_ALLOW: {entry!r} is wrong: {error}.") from None
    return _Allowed(
        network,
        None if found["port"] is None else _port(found["port"], f"SMTPWEB_EGRESS_ALLOW: {entry!r}"),
    )


def _port(word: str, where: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", word, re.ASCII) and 0 < int(word) < 65536:
        return int(word)
    raise EgressRuleError(f"{where} holds {word!r}, which is not a port from 1 to 65535.")
