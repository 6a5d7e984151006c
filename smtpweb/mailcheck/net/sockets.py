"""Socket operations for both drivers: connect to a vetted address, tune, inspect."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket

from ..core.egress import Address, unmapped
from ..core.types import NO_SOURCE
from .happy_eyeballs import word_for

CHUNK = 16 * 1024

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


def begin_connect(
    address: Address, port: int, source: Address | None = None
) -> socket.socket | str:
    """Return a socket that is connecting to exactly ``address``, or the outcome if it failed."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return word_for(error.errno or 0)
    try:
        sock.setblocking(False)
        if source is not None:
            try:
                sock.bind((str(source), 0))
            except OSError:
                sock.close()
                return NO_SOURCE
        # Otherwise an EHLO after the last TLS flight would wait for that flight's ACK
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = sock.connect_ex((str(address), port))
    except OSError as error:
        number = error.errno or errno.EIO
    if number in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        return sock
    sock.close()
    return word_for(number)


def outcome(sock: socket.socket, address: Address) -> str | None:
    """Return None if the attempt reached ``address``, else its outcome."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number == errno.ECONNRESET:
        return None  # it was connected and closed immediately; the first read detects the end
    if number:
        return word_for(number, sent=True)
    try:
        reached = ipaddress.ip_address(sock.getpeername()[0].partition("%")[0])
    except OSError as error:
        return word_for(error.errno or 0, sent=True)
    return None if unmapped(reached) == unmapped(address) else "another address"


def own_address(sock: socket.socket) -> Address:
    """Return our address on a connection, as the peer sees it unless there is NAT."""
    return unmapped(ipaddress.ip_address(sock.getsockname()[0].partition("%")[0]))


def acknowledge_at_once(sock: socket.socket) -> None:
    """Save 40 ms on servers that use Nagle's algorithm; the kernel soon resets the option."""
    if _QUICKACK is not None:
        with contextlib.suppress(OSError):  # the next read reports any error
            sock.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def glance(sock: socket.socket) -> bytes | None:
    """Return what has already arrived, without waiting; None if nothing has."""
    try:
        return sock.recv(CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def send_at_once(sock: socket.socket, data: bytes) -> None:
    """Send what the kernel accepts now; for final data whose delivery does not matter."""
    if data:
        with contextlib.suppress(OSError):
            sock.send(data)
