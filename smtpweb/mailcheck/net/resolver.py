"""Resolve host names without ever waiting for the resolver longer than intended.

``getaddrinfo`` cannot be cancelled, so it runs in a few short-lived threads of its own: a hanging
lookup blocks one of them, never a check.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future

import dns.exception
import dns.resolver

from ..core.addresses import hosts_file_addresses
from ..core.effects import NotResolved
from ..core.egress import Address, unmapped
from ..core.failure import Symptom

MAX_THREADS = 48
CONFIRM_LIMIT = 2.0  # seconds

Found = tuple[Address, ...]

_UNKNOWN = {socket.EAI_NONAME: Symptom.NAME_UNKNOWN}
if hasattr(socket, "EAI_NODATA"):
    _UNKNOWN[socket.EAI_NODATA] = Symptom.NO_ADDRESS


class Resolver:
    """Resolve names; concurrent lookups of one name are merged. Nothing is cached."""

    def __init__(self, max_threads: int = MAX_THREADS):
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Found]] = {}
        self._pending: deque[tuple[str, float]] = deque()
        self._threads = 0

    def look_up(self, host: str, until: float) -> Future[Found]:
        """Look up the addresses of ``host``; the future fails with :class:`NotResolved`.

        ``until`` is only the time after which a lookup that has not started need not start.
        """
        with self._lock:
            future = self._under_way.get(host)
            if future is None:
                future = self._under_way[host] = Future()
                self._pending.append((host, until))
                self._hire()
            return future

    def _hire(self) -> None:
        if self._threads >= self._max_threads:
            return
        try:
            threading.Thread(target=self._work, name="resolver", daemon=True).start()
        except RuntimeError:  # the system cannot start more threads
            if self._threads == 0:
                host, _ = self._pending.pop()
                self._under_way.pop(host).set_exception(NotResolved(Symptom.RESOLVER_FAILED))
        else:
            self._threads += 1

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._pending:
                    self._threads -= 1
                    return
                host, until = self._pending.popleft()
                future = self._under_way[host]
            try:
                if time.monotonic() > until:
                    raise NotResolved(Symptom.RESOLVER_SLOW)
                found, error = addresses_of(host), None
            except Exception as raised:
                found, error = (), raised
            with self._lock:
                del self._under_way[host]
            if error is None:
                future.set_result(found)
            else:
                future.set_exception(error)


def addresses_of(host: str) -> Found:
    """Query the hosts file and DNS. Raises :class:`NotResolved`.

    A name that contains a dot is fully qualified: a trailing dot disables search domains. The
    hosts file has no names with a trailing dot, so it is read first. A single label is left
    unchanged, because a name such as ``postfix`` in a Compose file or a cluster relies on search
    domains.
    """
    full = "." in host
    if full and (listed := hosts_file_addresses(host)):
        return tuple(dict.fromkeys(map(unmapped, listed)))
    try:
        rows = socket.getaddrinfo(host + "." if full else host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        symptom = _UNKNOWN.get(error.errno or 0)
        if symptom is None or not dns_answers(host):
            raise NotResolved(Symptom.RESOLVER_FAILED) from None
        raise NotResolved(symptom) from None
    except UnicodeError:
        raise NotResolved(Symptom.HOST_INVALID) from None
    except OSError:
        raise NotResolved(Symptom.RESOLVER_FAILED) from None
    found = (unmapped(ipaddress.ip_address(row[4][0])) for row in rows)
    return tuple(dict.fromkeys(found))


def dns_answers(host: str) -> bool:
    """Check whether any of this machine's DNS servers answers for the name, if only "unknown".

    glibc also returns EAI_NONAME if no DNS server can be reached, which has nothing to do with
    the name.
    """
    if host.lower().rstrip(".").endswith(".invalid"):
        return True  # unknown by definition, and many servers do not answer: RFC 6761 6.4
    try:
        asked = dns.resolver.Resolver()
        asked.resolve(f"{host}.", "A", lifetime=CONFIRM_LIMIT, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return True
    except (dns.exception.DNSException, OSError):
        return False
    return True


RESOLVER = Resolver()
