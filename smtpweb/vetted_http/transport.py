"""Send the request with httpcore, over connections to vetted addresses only."""

from __future__ import annotations

import functools
import ipaddress
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import TimeoutError as NotYet
from pathlib import Path
from typing import Any

import httpcore

from ..mailcheck import EgressPolicy
from ..mailcheck.core.effects import NotResolved
from ..mailcheck.core.egress import Address, Refusal, unmapped
from ..mailcheck.core.failure import Symptom
from ..mailcheck.core.redaction import cleaned
from ..mailcheck.net.resolver import RESOLVER
from .outcome import NoResponse, Obstacle, Response

CONNECT_LIMIT = 5.0  # seconds for each address
RESOLVE_LIMIT = 5.0
MAX_ADDRESSES = 4


def request(
    method: str,
    url: str,
    *,
    policy: EgressPolicy,
    body: bytes,
    headers: Mapping[str, str],
    ca_file: Path | None,
    timeout: float,
    max_body: int,
    cut_body: bool,
) -> Response:
    """Send a request, see :func:`smtpweb.vetted_http.request`."""
    deadline = time.monotonic() + timeout
    parts = httpcore.URL(url)
    host, secure = parts.host.decode("ascii").strip("[]"), parts.scheme == b"https"
    port = parts.port or (443 if secure else 80)
    addresses = vetted(host, port, policy, deadline)
    sent = {"Host": _authority(host, port, secure), **headers}
    if body or method == "POST":
        sent["Content-Length"] = str(len(body))
    try:
        with (
            httpcore.HTTPConnection(
                parts.origin,
                ssl_context=_context(ca_file) if secure else None,
                network_backend=_Vetted(addresses, deadline),
            ) as connection,
            connection.stream(method, parts, headers=list(sent.items()), content=body) as response,
        ):
            return Response(
                response.status,
                {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                },
                _limited(response.iter_stream(), max_body, cut_body),
            )
    except httpcore.TimeoutException:
        raise NoResponse(Obstacle.TIMEOUT, f"No response within {timeout:.0f} seconds.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        raise _no_response(error) from None


def vetted(host: str, port: int, policy: EgressPolicy, deadline: float) -> tuple[Address, ...]:
    """Return the addresses of ``host`` if the policy allows every one of them.

    One refused address refuses the name, as it may be the next answer. Raises
    :class:`NoResponse`.
    """
    _refuse(policy.refuses_port(host, port))
    try:
        found: tuple[Address, ...] = (unmapped(ipaddress.ip_address(host)),)
    except ValueError:
        until = min(deadline, time.monotonic() + RESOLVE_LIMIT)
        try:
            looked_up = RESOLVER.look_up(host, until)
            found = looked_up.result(max(0.0, until - time.monotonic()))
        except NotYet:
            raise NoResponse(
                Obstacle.RESOLVER_FAILED, f"The name {host} could not be resolved in time."
            ) from None
        except NotResolved as error:
            raise _unresolved(host, error) from None
    if not found:
        raise NoResponse(Obstacle.NAME_UNKNOWN, f"The name {host} has no address.")
    for address in found:
        _refuse(policy.refuses(address, port))
    return found[:MAX_ADDRESSES]


def _unresolved(host: str, error: NotResolved) -> NoResponse:
    unknown = error.why in (Symptom.NAME_UNKNOWN, Symptom.NO_ADDRESS, Symptom.HOST_INVALID)
    obstacle = Obstacle.NAME_UNKNOWN if unknown else Obstacle.RESOLVER_FAILED
    return NoResponse(obstacle, f"The name {host} could not be resolved.")


def _refuse(refusal: Refusal | None) -> None:
    if refusal is None:
        return
    if refusal.kind == "port":
        text = f"The port is not allowed here; its administrator can set {refusal.setting}."
        raise NoResponse(Obstacle.POLICY, text, "port", refusal.setting)
    what = f"{refusal.address}: {refusal.range_name}" if refusal.range_name else refusal.address
    hint = f"; its administrator can set {refusal.setting}" if refusal.setting else ""
    text = f"This installation may not connect to {what}{hint}."
    raise NoResponse(Obstacle.POLICY, text, what, refusal.setting)


def _authority(host: str, port: int, secure: bool) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port == (443 if secure else 80) else f"{shown}:{port}"


def _limited(chunks: Iterable[bytes], most: int, cut_body: bool) -> bytes:
    """Return the body. What exceeds ``most`` is not read: the connection is closed instead."""
    read = bytearray()
    for chunk in chunks:
        read += chunk
        if len(read) > most:
            if cut_body:
                break
            raise NoResponse(Obstacle.TOO_LARGE, f"The answer has more than {most} bytes.")
    return bytes(read[:most])


def _no_response(error: Exception) -> NoResponse:
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        words = cleaned(cause.verify_message)
        return NoResponse(Obstacle.TLS, f"Its certificate is not accepted: {words}.", words)
    if isinstance(cause, ssl.SSLError):
        words = cleaned(cause.reason or "no reason given")
        return NoResponse(Obstacle.TLS, f"TLS failed: {words}.", words)
    if isinstance(error, httpcore.ConnectError) and isinstance(cause, OSError):
        refused = isinstance(cause, ConnectionRefusedError)
        words = cleaned(cause.strerror or "no reason given")
        obstacle = Obstacle.CONNECTION_REFUSED if refused else Obstacle.UNREACHABLE
        return NoResponse(obstacle, f"No connection: {words}.", words)
    if isinstance(error, httpcore.LocalProtocolError):
        return NoResponse(Obstacle.NOT_HTTP, "The request cannot be sent in HTTP.")
    if isinstance(error, httpcore.ProtocolError) and "without sending" not in str(error):
        return NoResponse(Obstacle.NOT_HTTP, "It does not respond in HTTP.")
    return NoResponse(Obstacle.CONNECTION_LOST, "The connection was closed without a response.")


_lock = threading.Lock()


@functools.lru_cache(16)
def _context_of(ca_file: Path | None, _changed: int) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context of our own: its ALPN says HTTP, which must not reach SMTP servers."""
    changed = 0 if ca_file is None else ca_file.stat().st_mtime_ns
    with _lock:  # lru_cache alone lets several threads create the same context, 50 ms of CPU each
        return _context_of(ca_file, changed)


class _Vetted(httpcore.NetworkBackend):
    """Connect to the vetted addresses, whatever host is requested, until ``deadline``."""

    def __init__(self, addresses: tuple[Address, ...], deadline: float) -> None:
        self._addresses, self._deadline = addresses, deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - it was resolved and vetted before
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to the first vetted address that answers."""
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
    """A stream whose every read and write ends by one deadline, however slowly bytes drip."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Read from the stream."""
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write to the stream."""
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """Start TLS on the stream."""
        secured = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Timed(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Return information about the stream, such as its socket."""
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
