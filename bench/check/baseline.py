"""The baseline: the fewest legal bytes and round trips, no report, no limits, no error handling.

It exists twice, on epoll with plain sockets and on asyncio. It is no way to send email, but a
lower bound for the cost of a check.
"""

from __future__ import annotations

import asyncio
import base64
import select
import socket
import ssl
from typing import Any

from .job import Job

# (what is sent, the number of replies to wait for); the last one does not wait for QUIT's reply
_Turn = tuple[bytes, int]


def script(job: Job) -> list[_Turn]:
    """The turns in their order; ``b"TLS"`` stands for the handshake."""
    plain = base64.b64encode(f"\0{job.user}\0{job.password}".encode())
    ehlo = b"EHLO [127.0.0.1]\r\n"
    secured: list[_Turn] = [
        (ehlo, 1),
        (b"AUTH PLAIN " + plain + b"\r\n", 1),
        (f"MAIL FROM:<{job.sender}>\r\nRCPT TO:<{job.recipient}>\r\nDATA\r\n".encode(), 3),
        (job.message + b".\r\nQUIT\r\n", 1),
    ]
    if job.tls == "implicit":
        return [(b"TLS", 0), (b"", 1), *secured]
    return [(b"", 1), (ehlo, 1), (b"STARTTLS\r\n", 1), (b"TLS", 0), *secured]


def _replies_in(data: bytes) -> int:
    return sum(line[3:4] == b" " for line in data.split(b"\r\n"))


class _Raw:
    """One conversation on a socket that does not block."""

    def __init__(self, job: Job, context: ssl.SSLContext):
        self.job = job
        self.context = context
        self.turns = iter(script(job))
        self.sock: Any = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect_ex((job.host, job.port))
        self.handle = self.sock.fileno()
        self.connected = self.shaking_hands = False
        self.missing = 0

    def ready(self) -> bool:
        """Continue as far as possible; True when the final reply has arrived."""
        if self.shaking_hands:
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                return False
            self.shaking_hands = False
            self.next_turn()
            return False
        try:
            data = self.sock.recv(16384)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        if not data or data[:1] in b"45":
            raise RuntimeError(f"unexpected reply to the baseline: {data!r}")
        self.missing -= _replies_in(data)
        return self.missing <= 0 and self.next_turn()

    def next_turn(self) -> bool:
        turn = next(self.turns, None)
        if turn is None:
            self.sock.close()
            return True
        data, self.missing = turn
        if data == b"TLS":
            self.sock = self.context.wrap_socket(
                self.sock, server_hostname=self.job.host, do_handshake_on_connect=False
            )
            self.shaking_hands = True
            self.ready()
        elif data:
            self.sock.send(data)
        return False


def with_epoll(job: Job, count: int, context: ssl.SSLContext) -> list[bool]:
    """``count`` conversations at once."""
    poll = select.epoll()
    under_way = {}
    for _ in range(count):
        one = _Raw(job, context)
        under_way[one.handle] = one
        poll.register(one.handle, select.EPOLLOUT)
    while under_way:
        for handle, _ in poll.poll():
            one = under_way[handle]
            if not one.connected:
                one.connected = True
                poll.modify(handle, select.EPOLLIN)
                one.next_turn()
            elif one.ready():
                del under_way[handle]  # a closed socket leaves the poll by itself
    poll.close()
    return [True] * count


async def with_asyncio(job: Job, context: ssl.SSLContext) -> bool:
    """One conversation inside a running loop: a coroutine, a socket, TLS in memory.

    Without transports, which would add a quarter of a MiB of buffers to each TLS connection.
    """
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, (job.host, job.port))
        tls: ssl.SSLObject | None = None
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        for data, missing in script(job):
            if data == b"TLS":
                tls = context.wrap_bio(came, goes, server_hostname=job.host)
                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        await loop.sock_sendall(sock, goes.read())
                        heard = await loop.sock_recv(sock, 16384)
                        if not heard:
                            raise RuntimeError("unexpected reply to the baseline in TLS") from None
                        came.write(heard)
                continue
            if tls is not None:
                if data:
                    tls.write(data)
                data = goes.read()
            if data:
                await loop.sock_sendall(sock, data)
            while missing > 0:
                heard = await loop.sock_recv(sock, 16384)
                if tls is not None:
                    came.write(heard)
                    heard = _plain(tls)  # tickets alone make no plain text
                elif not heard:
                    heard = b"4 closed"
                if heard[:1] in (b"4", b"5"):
                    raise RuntimeError(f"unexpected reply to the baseline: {heard!r}")
                missing -= _replies_in(heard)
    return True


def _plain(tls: ssl.SSLObject) -> bytes:
    plain = b""
    try:
        while piece := tls.read(16384):
            plain += piece
    except ssl.SSLWantReadError:
        return plain
    return plain or b"4 closed"
