"""An HTTP server for webhooks that misbehaves on purpose.

``answers``: what to do with each request in turn, the last one for all further: a status, or
``HANG`` (no answer), ``DRIP`` (a header line without end), ``FLOOD`` (a body without end),
``ECHO`` (404 with the path, as many frameworks do), or ``(status, {header: value})``.
``requests`` are (path, headers, body) as they came.
"""

from __future__ import annotations

import contextlib
import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

HANG, DRIP, FLOOD, ECHO = "hang", "drip", "flood", "echo"


@dataclass
class FakeHook:
    port: int
    answers: list[Any]
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/secret-path?key=s3cret"


@contextlib.contextmanager
def fake_hook(*answers: Any) -> Iterator[FakeHook]:
    hook = FakeHook(0, list(answers) or [200])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = hook.answers[min(len(hook.requests), len(hook.answers) - 1)]
            hook.requests.append((self.path, dict(self.headers), body))
            with contextlib.suppress(OSError):
                self.answer(answer)

        def answer(self, answer: Any) -> None:
            if answer == HANG:
                hook.stopped.wait(60)
                return
            if answer == DRIP:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not hook.stopped.wait(0.05):
                    self.wfile.write(b"x")
                return
            if answer == ECHO:
                self.send_response(404)
                self.end_headers()
                self.wfile.write(f"Cannot POST {self.path}".encode())
                return
            status, headers = answer if isinstance(answer, tuple) else (200, {})
            self.send_response(answer if isinstance(answer, int) else status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if answer == FLOOD:
                until = time.monotonic() + 30
                while not hook.stopped.is_set() and time.monotonic() < until:
                    self.wfile.write(b"x" * 65536)
            else:
                self.wfile.write(b"said \x1b[31m this")

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hook
    finally:
        hook.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
