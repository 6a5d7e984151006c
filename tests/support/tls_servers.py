"""A TLS server on blocking sockets."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

from smtpweb.mailcheck import EgressPolicy, Encryption, Target
from tests.support.fake_certificates import ca_file


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext, **changes: Any) -> Iterator[Target]:
    """A TLS server on blocking sockets, because asyncio does not send its alerts."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            raw.settimeout(2)
            try:
                with context.wrap_socket(raw, server_side=True) as secured:
                    secured.sendall(b"220 hello\r\n")
                    secured.recv(100)
            except OSError:
                raw.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        target = Target(
            "localhost",
            listener.getsockname()[1],
            "app@example.com",
            "test@example.com",
            Encryption.IMPLICIT,
            timeout=2,
            policy=EgressPolicy.parse("127.0.0.0/8", "*"),
            ca_file=ca_file(),
        )
        yield dataclasses.replace(target, **changes)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
