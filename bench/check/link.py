"""A link with a real round-trip time between two network namespaces.

Every packet is delayed, including the TCP handshake and bare ACKs, so that Nagle's algorithm,
delayed acknowledgements and slow start cost what they cost on a real line. Each namespace has a
TUN device; a process between the two reads packets from one and writes them to the other half a
round trip later. Needs Linux and /dev/net/tun, and root or unprivileged user namespaces.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

NEAR = "10.77.0.1"  # where the clients are
FAR = "10.77.0.2"  # where the servers are

_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFTXQLEN = 0x8914, 0x8916, 0x891C, 0x8943
_IFF_UP_RUNNING = 0x41
_LARGEST_PACKET = 2048

_libc = ctypes.CDLL(None, use_errno=True)


class NoLink(Exception):
    """This machine does not permit such a link; the message says why."""


def leave_for_own_network() -> None:
    """Move this process into a network namespace of its own, with nothing but loopback."""
    user, group = os.getuid(), os.getgid()
    if _libc.unshare(_CLONE_NEWNET) != 0:
        if _libc.unshare(_CLONE_NEWNET | _CLONE_NEWUSER) != 0:
            raise NoLink(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    with socket.socket() as sock:
        _up(sock, "lo")
    # What TCP learned of one delay must not tune the connections of the next
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv4/tcp_no_metrics_save").write_text("1")


def open_end(address: str) -> int:
    """One end of the link in this process's network; the file that its packets come out of."""
    try:
        handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", b"link", _IFF_TUN | _IFF_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for request, value in ((_SIOCSIFADDR, address), (_SIOCSIFNETMASK, "255.255.255.252")):
                fcntl.ioctl(
                    sock,
                    request,
                    struct.pack("16sHH4s8x", b"link", socket.AF_INET, 0, socket.inet_aton(value)),
                )
            # 500 connections at once must not overflow a queue that a real line would have
            fcntl.ioctl(sock, _SIOCSIFTXQLEN, struct.pack("16si12x", b"link", 20000))
            _up(sock, "link")
    except OSError as error:
        raise NoLink(f"no TUN device: {error}") from None
    return handle


def _up(sock: socket.socket, name: str) -> None:
    fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), _IFF_UP_RUNNING))


def lost_packets() -> int:
    """How many packets this end of the link has dropped; a measurement with any is void."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, numbers = line.partition(":")
        if name.strip() == "link":
            fields = numbers.split()
            return int(fields[3]) + int(fields[11])
    return 0


class Link:
    """The process between the two ends."""

    def __init__(self, near: int, far: int):
        self._control, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "bench.check.link",
                    str(near),
                    str(far),
                    str(theirs.fileno()),
                ],
                pass_fds=(near, far, theirs.fileno()),
            )
        self.round_trip = 0.0

    @contextlib.contextmanager
    def delayed(self, round_trip: float) -> Iterator[None]:
        """Let a round trip take this many seconds."""
        self._set(round_trip)
        try:
            yield
        finally:
            self._set(0.0)

    def _set(self, round_trip: float) -> None:
        self.round_trip = round_trip
        self._control.sendall(struct.pack("d", round_trip / 2))
        self._control.recv(1)

    def close(self) -> None:
        """End the process."""
        self._control.close()
        self._process.wait(10)


def _carry(near: int, far: int, control: socket.socket) -> None:
    """Carry packets until ``control`` is closed; it names the delay of one way, in seconds."""
    os.set_blocking(near, False)
    os.set_blocking(far, False)
    other = {near: far, far: near}
    delay = 0.0
    on_the_way: deque[tuple[float, int, bytes]] = deque()
    watched = [near, far, control]
    clock = time.monotonic
    while True:
        wait = max(0.0, on_the_way[0][0] - clock()) if on_the_way else None
        # Not epoll, whose time-out is in whole milliseconds
        readable, _, _ = select.select(watched, (), (), wait)
        for source in readable:
            if source is control:
                given = control.recv(8)
                if not given:
                    return
                (delay,) = struct.unpack("d", given)
                control.sendall(b".")
                continue
            target = other[source]
            for _ in range(64):
                try:
                    packet = os.read(source, _LARGEST_PACKET)
                except BlockingIOError:
                    break
                on_the_way.append((clock() + delay, target, packet))
        now = clock()
        while on_the_way and on_the_way[0][0] <= now:
            _, target, packet = on_the_way.popleft()
            with contextlib.suppress(OSError):  # the other end has gone
                os.write(target, packet)


def send_handle(channel: socket.socket, handle: int) -> None:
    """Hand an open file to the process at the other end of ``channel``."""
    channel.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))])


def receive_handle(channel: socket.socket) -> int:
    """The open file that the other process hands over."""
    _, handles, _, _ = socket.recv_fds(channel, 1, 1)
    if not handles:
        raise NoLink("the far side could not open its end")
    return handles[0]


if __name__ == "__main__":
    _carry(int(sys.argv[1]), int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3])))
