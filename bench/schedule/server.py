"""The scripted SMTP server, in a process of its own: it accepts whatever comes, at once.

It listens on all addresses of loopback, so that each server of the bench has a host of its own.
Given a file, it writes one line for each connection that got as far as MAIL, and one for each
email with its Message-ID; then hosts whose number is a multiple of 1,000 refuse the sender.
"""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from pathlib import Path
from typing import TextIO

_EHLO = b"250-bench.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
_OK = b"250 2.1.0 Ok\r\n"
_REFUSED = b"550 5.7.1 Sender address rejected: not owned by user\r\n"


class Server(asyncio.Protocol):
    log: TextIO | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.in_data = transport, b"", False
        transport.write(b"220 bench.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        out = b""
        while b"\r\n" in self.buffer:
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            if self.in_data:
                if line == b".":
                    self.in_data, out = False, out + b"250 2.0.0 Ok: queued as 1\r\n"
                elif line[:11].lower() == b"message-id:":
                    self.note("email", line[11:].strip().decode("ascii", "replace"))
                continue
            verb = line[:4].upper()
            if verb == b"EHLO":
                out += _EHLO
            elif verb == b"DATA":
                self.in_data, out = True, out + b"354 go on\r\n"
            elif verb == b"QUIT":
                self.transport.write(out + b"221 bye\r\n")
                self.transport.close()
                return
            elif verb == b"MAIL" and self.log is not None:
                host = self.transport.get_extra_info("sockname")[0]
                self.note("check", host)
                is_broken = int(ipaddress.ip_address(host)) % 1000 == 0
                out += _REFUSED if is_broken else _OK
            else:
                out += _OK
        if out:
            self.transport.write(out)

    def note(self, what: str, which: str) -> None:
        if self.log is not None:
            self.log.write(f"{what} {which}\n")
            self.log.flush()


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "0.0.0.0", port, backlog=1024)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        Server.log = Path(sys.argv[2]).open("a")  # noqa: SIM115 - until the end
    asyncio.run(serve(int(sys.argv[1])))
