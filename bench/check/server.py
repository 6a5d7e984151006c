"""The scripted server: it offers all extensions, does no work, and logs each command.

One process with one epoll loop and TLS directly on the sockets, so that its cost is the same for
every client. Ports: 587 (STARTTLS) and 465 (implicit TLS). It runs in its own network at the far
end of the link.
"""

from __future__ import annotations

import base64
import json
import resource
import select
import socket
import ssl
import sys
import time
from pathlib import Path
from typing import Any

from .link import FAR, leave_for_own_network, open_end, send_handle

USER, PASSWORD = "app@bench.example", "open sesame, please"
SUBMISSION, SUBMISSIONS = 587, 465

_LOGIN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())


class Conversation:
    """One connection: its state, and when what happened (seconds, monotonic)."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, implicit: bool):
        self.sock = sock
        self.context = context
        self.encrypted = implicit
        self.shaking_hands = False
        self.in_data = False
        self.buffer = b""
        self.sender = ""
        self.at = {"accept": time.monotonic()}
        self.logged_in = False
        self.mailed = False

    def begin_tls(self) -> None:
        self.sock = self.context.wrap_socket(
            self.sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.shaking_hands = self.encrypted = True

    def readable(self) -> bool:
        """Go on as far as possible; False when the conversation is over."""
        try:
            if self.shaking_hands:
                self.sock.do_handshake()  # type: ignore[attr-defined]
                self.shaking_hands = False
                if "connect" not in self.at:
                    self.greet()
            while True:
                data = self.sock.recv(16384)
                if not data:
                    return False
                self.buffer += data
                if not self.answer():
                    return False
                if self.shaking_hands:
                    return True
        except (ssl.SSLWantReadError, BlockingIOError):
            return True
        except OSError:
            return False

    def greet(self) -> None:
        self.at["connect"] = time.monotonic()
        self.sock.sendall(b"220 mail.bench.example ESMTP\r\n")

    def answer(self) -> bool:
        """Answer all that has come whole; False when the client has said goodbye."""
        out = b""
        action = ""
        verdict = False
        while not action:
            if self.in_data:
                _, found, rest = self.buffer.partition(b"\r\n.\r\n")
                if not found:
                    break
                self.buffer, self.in_data = rest, False
                out += b"250 2.0.0 Ok: queued as 4BENCH1D\r\n"
                verdict = self.mailed = True
                continue
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                break
            self.buffer = rest
            reply, action = self.command(line)
            out += reply
        if out:
            self.sock.sendall(out)
        if verdict:
            self.at["verdict"] = time.monotonic()
        if action == "quit":
            self.at["quit"] = time.monotonic()
        elif action == "tls":
            self.begin_tls()
        return action != "quit"

    def command(self, line: bytes) -> tuple[bytes, str]:
        """The reply, and what to do behind it: "", "tls" or "quit"."""
        match line[:4].upper():
            case b"EHLO":
                offers = [b"mail.bench.example", b"PIPELINING", b"SIZE 10240000", b"8BITMIME"]
                offers.append(b"AUTH PLAIN LOGIN" if self.encrypted else b"STARTTLS")
                body = b"".join(b"250-" + offer + b"\r\n" for offer in offers)
                return body + b"250 ENHANCEDSTATUSCODES\r\n", ""
            case b"STAR":
                return b"220 2.0.0 Ready to start TLS\r\n", "tls"
            case b"AUTH":
                self.logged_in = line == b"AUTH PLAIN " + _LOGIN
                if self.logged_in:
                    return b"235 2.7.0 Authentication successful\r\n", ""
                return b"535 5.7.8 Error: authentication failed\r\n", ""
            case b"MAIL":
                self.sender = line.partition(b"<")[2].partition(b">")[0].decode()
                return b"250 2.1.0 Ok\r\n", ""
            case b"RCPT":
                return b"250 2.1.5 Ok\r\n", ""
            case b"DATA":
                self.in_data = True
                return b"354 End data with <CR><LF>.<CR><LF>\r\n", ""
            case b"QUIT":
                return b"221 2.0.0 Bye\r\n", "quit"
        return b"500 5.5.2 Error: command not recognized\r\n", ""

    def close(self) -> None:
        self.at["end"] = time.monotonic()
        try:
            if isinstance(self.sock, ssl.SSLSocket) and "quit" in self.at:
                self.sock.unwrap()
        except OSError:
            pass  # it wants the client's close_notify, for which nobody waits
        self.sock.close()

    def story(self) -> dict[str, Any]:
        return {
            "sender": self.sender,
            "at": self.at,
            "complete": self.logged_in and self.mailed and self.encrypted,
        }


def _listener(port: int) -> socket.socket:
    listener = socket.create_server((FAR, port), backlog=4096, reuse_port=False)
    listener.setblocking(False)
    return listener


def serve(certificate: Path, control: socket.socket) -> None:
    """Serve until ``control`` is closed; each line on it asks for the stories since the last."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    poll = select.epoll()
    listeners = {}
    for port in (SUBMISSION, SUBMISSIONS):
        listener = _listener(port)
        listeners[listener.fileno()] = (listener, port == SUBMISSIONS)
        poll.register(listener, select.EPOLLIN)
    poll.register(control, select.EPOLLIN)
    under_way: dict[int, Conversation] = {}
    stories: list[dict[str, Any]] = []
    while True:
        for handle, _ in poll.poll():
            if handle == control.fileno():
                if not control.recv(64):
                    return
                usage = resource.getrusage(resource.RUSAGE_SELF)
                measured = {
                    "stories": stories,
                    "under_way": len(under_way),
                    "cpu": usage.ru_utime + usage.ru_stime,
                }
                control.sendall(json.dumps(measured).encode() + b"\n")
                stories = []
            elif handle in listeners:
                listener, implicit = listeners[handle]
                while True:
                    try:
                        sock, _ = listener.accept()
                    except BlockingIOError:
                        break
                    sock.setblocking(False)
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    conversation = Conversation(sock, context, implicit)
                    if implicit:
                        conversation.begin_tls()
                    under_way[conversation.sock.fileno()] = conversation
                    poll.register(conversation.sock.fileno(), select.EPOLLIN)
                    if not implicit:
                        conversation.greet()
            elif not under_way[handle].readable():
                conversation = under_way.pop(handle)
                poll.unregister(handle)
                conversation.close()
                stories.append(conversation.story())


def main() -> None:
    """Open the far end of the link, hand it over, serve."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    control = socket.socket(fileno=int(sys.argv[2]))
    leave_for_own_network()
    send_handle(control, open_end(FAR))
    serve(Path(sys.argv[1]), control)


if __name__ == "__main__":
    main()
