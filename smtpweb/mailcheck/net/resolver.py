"""Look host names up without ever waiting for the resolver longer than we want.

``getaddrinfo`` cannot be cancelled, so it runs in threads of its own, few and short-lived:
a hanging look-up holds one of them, never a check.
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
    """Look-ups of one name at the same time are one look-up. Nothing is cached."""

    def __init__(self, max_threads: int = MAX_THREADS):
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Found]] = {}
        self._pending: deque[tuple[str, float]] = deque()
        self._threads = 0

    def look_up(self, host: str, until: float) -> Future[Found]:
        """The addresses of ``host``; the future fails with :class:`NotResolved`.

        ``until`` is only the moment after which a look-up that has not begun need not begin.
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
        except RuntimeError:  # the system gives no more threads
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
    """Ask the hosts file and DNS. Raises :class:`NotResolved`.

    A name with a dot in it is meant whole: the dot behind it keeps search domains away. The
    hosts file does not know names with that dot, so it is read first. A single word is left
    as it is, because ``postfix`` in a compose file or a cluster lives by search domains.
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
    """Whether one of this machine's DNS servers says anything about the name, if only "unknown".

    glibc says EAI_NONAME also where no DNS server can be reached, which is no fault of the name.
    """
    if host.lower().rstrip(".").endswith(".invalid"):
        return True  # unknown by definition, and many servers leave it unanswered: RFC 6761 6.4
    try:
        asked = dns.resolver.Resolver()
        asked.resolve(f"{host}.", "A", lifetime=CONFIRM_LIMIT, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        return True
    except (dns.exception.DNSException, OSError):
        return False
    return True


RESOLVER = Resolver()
