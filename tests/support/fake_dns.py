"""A DNS server on loopback that gives the answers set by the test.

::

    with fake_dns({("_submissions._tcp.example.org", "SRV"): ["0 1 465 mail.example.org."]}) as dns:
        dns.resolver.resolve("_submissions._tcp.example.org", "SRV")
    assert dns.asked == [("_submissions._tcp.example.org", "SRV")]

Instead of records, a name may have "SERVFAIL" or "SILENCE". A name without records of any kind
does not exist.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

Records = dict[tuple[str, str], list[str] | str]


class FakeDns:
    def __init__(self, records: Records) -> None:
        self.records = records
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.resolver = dns.resolver.Resolver(configure=False)
        self.resolver.nameservers = ["127.0.0.1"]
        self.resolver.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._socket.sendto(b"", self._socket.getsockname())  # wakes the thread so that it can end
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(4096)
            if not query:
                return
            answer = self._answer(dns.message.from_wire(query))
            if answer is not None:
                self._socket.sendto(answer.to_wire(), sender)

    def _answer(self, query: dns.message.Message) -> dns.message.Message | None:
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        found = self.records.get((name, kind), [])
        if found == "SILENCE":
            return None
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if found == "SERVFAIL":
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


@contextmanager
def fake_dns(records: Records) -> Iterator[FakeDns]:
    server = FakeDns(records)
    try:
        yield server
    finally:
        server.close()
