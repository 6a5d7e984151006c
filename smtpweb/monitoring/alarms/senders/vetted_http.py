"""Send one HTTP request to a host given by a user, and to nothing else.

The host name is resolved once, every address is checked against the egress policy, and the
connection goes to one of these addresses. The name is still used in the Host header, in SNI and
for the certificate. Redirects are not followed, and slow responses end at the deadline.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore

from ....mailcheck import EgressPolicy
from ....mailcheck.core.effects import NotResolved
from ....mailcheck.core.egress import Address, Refusal, unmapped
from ....mailcheck.core.redaction import cleaned, cut
from ....mailcheck.net.resolver import RESOLVER

CONNECT_LIMIT = 5.0  # seconds for each address
RESOLVE_LIMIT = 5.0
MAX_ADDRESSES = 4
MAX_BODY = 2048  # octets read from a response


class NotSent(Exception):
    """There is no response; the text is the reason in one line."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The response: its status, and the beginning of its body, cleaned."""

    status: int
    text: str
    retry_after: str = ""


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    policy: EgressPolicy,
    ca_file: Path | None = None,
    timeout: float = 10.0,
) -> Reply:
    """POST ``body`` to an absolute http or https URL; raise :class:`NotSent`."""
    deadline = time.monotonic() + timeout
    parts = httpcore.URL(url)
    host, secure = parts.host.decode("ascii").strip("[]"), parts.scheme == b"https"
    port = parts.port or (443 if secure else 80)
    addresses = vetted(host, port, policy, deadline)
    try:
        with httpcore.HTTPConnection(
            parts.origin,
            ssl_context=_context(ca_file) if secure else None,
            network_backend=_Vetted(addresses, deadline),
        ) as connection:
            connection_headers = {"Host": _authority(host, port, secure), **headers}
            with connection.stream(
                "POST", parts, headers=list(connection_headers.items()), content=body
            ) as response:
                text = _beginning(response.iter_stream())
                known = {name.lower(): value for name, value in response.headers}
                retry_after = known.get(b"retry-after", b"").decode("latin-1")
                return Reply(response.status, text, cut(cleaned(retry_after), 100))
    except httpcore.TimeoutException:
        raise NotSent(f"No response within {timeout:.0f} seconds.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        raise NotSent(_why(error)) from None


def vetted(host: str, port: int, policy: EgressPolicy, deadline: float) -> tuple[Address, ...]:
    """Return the addresses of ``host`` if the policy permits all of them.

    One refused address refuses the name, because DNS may return it alone next time. Raises
    :class:`NotSent`.
    """
    _require_permitted(policy.refuses_port(host, port))
    try:
        addresses: tuple[Address, ...] = (unmapped(ipaddress.ip_address(host)),)
    except ValueError:
        until = min(deadline, time.monotonic() + RESOLVE_LIMIT)
        try:
            looked_up = RESOLVER.look_up(host, until)
            addresses = looked_up.result(max(0.0, until - time.monotonic()))
        except (NotResolved, NotYet):
            raise NotSent(f"The name {host} could not be resolved.") from None
    if not addresses:
        raise NotSent(f"The name {host} has no address.")
    for address in addresses:
        _require_permitted(policy.refuses(address, port))
    return addresses[:MAX_ADDRESSES]


def _require_permitted(refusal: Refusal | None) -> None:
    if refusal is None:
        return
    if refusal.kind == "port":
        raise NotSent(f"The port is not allowed here; its administrator can set {refusal.setting}.")
    target = f"{refusal.address}: {refusal.range_name}" if refusal.range_name else refusal.address
    hint = f"; its administrator can set {refusal.setting}" if refusal.setting else ""
    raise NotSent(f"This installation may not connect to {target}{hint}.")


def _authority(host: str, port: int, secure: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port == (443 if secure else 80) else f"{shown}:{port}"


def _beginning(chunks: Iterable[bytes]) -> str:
    """Return the beginning of the body; the rest is not read."""
    read = b""
    for chunk in chunks:
        read += chunk
        if len(read) >= MAX_BODY:
            break
    return cut(cleaned(read[:MAX_BODY].decode("utf-8", "replace")).strip(), 200)


def _why(error: Exception) -> str:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"Its certificate is not accepted: {cleaned(cause.verify_message)}."
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed: {cleaned(cause.reason or 'no reason given')}."
    if isinstance(cause, OSError) and cause.strerror:
        return f"No connection: {cleaned(cause.strerror)}."
    if isinstance(error, httpcore.ProtocolError):
        return "It does not respond in HTTP."
    return "The connection was closed without a response."


@functools.lru_cache(16)
def _context_of(ca_file: Path | None, stamp: int) -> ssl.SSLContext:  # noqa: ARG001 - is a key
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context for HTTP only, which adds ALPN that SMTP servers must not see."""
    return _context_of(ca_file, 0 if ca_file is None else ca_file.stat().st_mtime_ns)


class _Vetted(httpcore.NetworkBackend):
    """A backend that only connects to the vetted addresses, until ``deadline``."""

    def __init__(self, addresses: tuple[Address, ...], deadline: float) -> None:
        self._addresses, self._deadline = addresses, deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - already resolved and checked
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        *others, last = self._addresses
        for address in others:
            try:
                return self._connect(address, port, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(last, port, local_address, socket_options)

    def _connect(
        self, address: Address, port: int, local: str | None, options: Iterable[Any] | None
    ) -> httpcore.NetworkStream:
        limit = min(CONNECT_LIMIT, _left(self._deadline))
        stream = self._sockets.connect_tcp(str(address), port, limit, local, options)
        return _Timed(stream, self._deadline)


class _Timed(httpcore.NetworkStream):
    """A stream whose reads and writes all end by one deadline, however slowly data arrives."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Timed(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
