"""A TLS server that sends the end of its handshake and the first SMTP bytes in one write.

Real servers do so occasionally (Nagle, corking, load), this one always. TLS 1.2: the server's
Finished and the greeting. TLS 1.3: the greeting is sent with the server's first flight
(RFC 8446 2, "0.5-RTT data"), for which Python's ssl has no function, hence libssl via ctypes.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from smtpweb.mailcheck import EgressPolicy, Encryption, Target
from tests.support.fake_certificates import ca_file, key_and_chain, server_context

GREETING = b"220 one.example ESMTP\r\n"
TO_STARTTLS = b"250-one.example\r\n250 STARTTLS\r\n"


@contextlib.contextmanager
def one_write_server(
    first: bytes, *, encryption: Encryption = Encryption.IMPLICIT, early: bool = False
) -> Iterator[Target]:
    """Serve TLS 1.2, or 1.3 if ``early``; send ``first`` with the last handshake bytes."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()
    side = _EarlyTls if early else _Tls12

    def serve() -> None:
        while not stopping.is_set():
            with contextlib.suppress(OSError, ssl.SSLError):
                sock, _ = listener.accept()
                with sock:
                    sock.settimeout(5)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    if encryption is Encryption.STARTTLS:
                        _lead_to_starttls(sock)
                    _converse(side(sock, first))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Target(
            "localhost",
            listener.getsockname()[1],
            "app@example.com",
            "test@example.com",
            encryption,
            timeout=1.5,
            policy=EgressPolicy.parse("127.0.0.0/8,::1/128", "*"),
            ca_file=ca_file(),
            other_modes=(),
        )
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _lead_to_starttls(sock: socket.socket) -> None:
    sock.sendall(GREETING)
    sock.recv(4096)
    sock.sendall(TO_STARTTLS)
    sock.recv(4096)
    sock.sendall(b"220 go ahead\r\n")


_ANSWERS = {b"EHLO": b"250 one.example\r\n", b"DATA": b"354 go\r\n", b"QUIT": b"221 bye\r\n"}


def _converse(tls: _Tls12 | _EarlyTls) -> None:
    """Reply to one command at a time; what follows the 354 reply is the message."""
    buffer, in_mail = b"", False
    while data := tls.receive():
        buffer += data
        while b"\n" in buffer:
            line, _, buffer = buffer.partition(b"\n")
            if in_mail and line.rstrip() != b".":
                continue
            in_mail = line.startswith(b"DATA")
            tls.send(_ANSWERS.get(line[:4], b"250 ok\r\n"))


class _Tls12:
    """Python's own TLS, in memory, so that we control the contents of each write."""

    def __init__(self, sock: socket.socket, first: bytes):
        self._sock = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = server_context("good", False, ssl.TLSVersion.TLSv1_2)
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        while not self._done():
            self._sock.sendall(self._out.read())
            self._feed()
        self.send(first)

    def _done(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _feed(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise OSError("closed")
        self._in.write(data)

    def send(self, data: bytes) -> None:
        if data:
            self._tls.write(data)
        self._sock.sendall(self._out.read())

    def receive(self) -> bytes:
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._feed()


class _EarlyTls:
    """TLS 1.3 via libssl, sending data after the server's first flight, before the client's."""

    def __init__(self, sock: socket.socket, first: bytes):
        self._sock, self._lib = sock, libssl()
        lib = self._lib
        self._context = lib.SSL_CTX_new(lib.TLS_server_method())
        lib.SSL_CTX_set_num_tickets(self._context, 0)  # they would wake the client up
        file = str(_pem_file()).encode()
        assert lib.SSL_CTX_use_certificate_chain_file(self._context, file) == 1
        assert lib.SSL_CTX_use_PrivateKey_file(self._context, file, 1) == 1
        self._tls = lib.SSL_new(self._context)
        self._in, self._out = lib.BIO_new(lib.BIO_s_mem()), lib.BIO_new(lib.BIO_s_mem())
        lib.SSL_set_bio(self._tls, self._in, self._out)
        size, buffer = ctypes.c_size_t(), ctypes.create_string_buffer(65536)
        self._feed()
        # 2 is SSL_READ_EARLY_DATA_FINISH: no early data from the client; the flight has been sent
        assert lib.SSL_read_early_data(self._tls, buffer, 65536, ctypes.byref(size)) == 2
        assert lib.SSL_write_early_data(self._tls, first, len(first), ctypes.byref(size)) == 1
        self._flush()

    def _feed(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise OSError("closed")
        self._lib.BIO_write(self._in, data, len(data))

    def _flush(self) -> None:
        buffer = ctypes.create_string_buffer(65536)
        data = b""
        while (count := self._lib.BIO_read(self._out, buffer, 65536)) > 0:
            data += buffer.raw[:count]
        if data:
            self._sock.sendall(data)

    def _repeat(self, call: Callable[[], int]) -> int:
        while (count := call()) <= 0:
            if self._lib.SSL_get_error(self._tls, count) != ssl.SSL_ERROR_WANT_READ:
                raise OSError("closed")
            self._flush()
            self._feed()
        return count

    def send(self, data: bytes) -> None:
        self._repeat(lambda: int(self._lib.SSL_write(self._tls, data, len(data))))
        self._flush()

    def receive(self) -> bytes:
        buffer = ctypes.create_string_buffer(65536)
        count = self._repeat(lambda: int(self._lib.SSL_read(self._tls, buffer, 65536)))
        return buffer.raw[:count]

    def __del__(self) -> None:
        self._lib.SSL_free(self._tls)
        self._lib.SSL_CTX_free(self._context)


def libssl() -> Any:
    """Return the system's OpenSSL 1.1.1 or newer, or None."""
    name = ctypes.util.find_library("ssl")
    if name is None:
        return None
    lib = ctypes.CDLL(name)
    if not hasattr(lib, "SSL_write_early_data"):
        return None
    for function in (
        "TLS_server_method", "SSL_CTX_new", "SSL_new", "BIO_new", "BIO_s_mem",
    ):  # fmt: skip
        getattr(lib, function).restype = ctypes.c_void_p
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    size = ctypes.c_size_t
    lib.SSL_CTX_new.argtypes = lib.SSL_new.argtypes = lib.BIO_new.argtypes = [pointer]
    lib.SSL_free.argtypes = lib.SSL_CTX_free.argtypes = [pointer]
    lib.SSL_CTX_set_num_tickets.argtypes = [pointer, size]
    lib.SSL_CTX_use_certificate_chain_file.argtypes = [pointer, text]
    lib.SSL_CTX_use_PrivateKey_file.argtypes = [pointer, text, number]
    lib.SSL_set_bio.argtypes = [pointer, pointer, pointer]
    lib.SSL_set_bio.restype = None
    lib.SSL_read_early_data.argtypes = [pointer, text, size, ctypes.POINTER(size)]
    lib.SSL_write_early_data.argtypes = [pointer, text, size, ctypes.POINTER(size)]
    lib.SSL_read.argtypes = lib.SSL_write.argtypes = [pointer, text, number]
    lib.BIO_read.argtypes = lib.BIO_write.argtypes = [pointer, text, number]
    lib.SSL_get_error.argtypes = [pointer, number]
    return lib


def _pem_file() -> Path:
    path = Path(tempfile.mkdtemp(prefix="fake-smtp-")) / "server.pem"
    path.write_bytes(key_and_chain())
    return path
