"""Diagnose a failed connection by opening a second one to the same address.

Each attempt is short, and sends no credentials and no email. To look at a refused certificate,
the connection ends after the handshake.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..core.addresses import Host
from ..core.effects import Asks, Connect, Connected, NotConnected
from ..core.egress import Address
from ..core.failure import Failure, Symptom
from ..core.recorder import Recorder
from ..core.types import Stage, TlsFacts
from ..protocol import tls
from ..protocol.connection import Connection

PATIENCE = 2.5  # seconds for a whole attempt


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificate of a server, and what is wrong with its chain."""

    facts: TlsFacts
    lacks_intermediate: bool
    expired_link: tls.ExpiredLink | None

    def chain_facts(self) -> dict[str, object]:
        """Return which other certificate has expired, if the server's own has not."""
        days_left = self.facts.days_left
        if self.expired_link is None or days_left is None or days_left < 0:
            return {}
        return {
            "chain_fault": True,
            "fault_subject": self.expired_link.subject,
            "fault_expires": self.expired_link.not_after[:10],
        }


@dataclass(slots=True)
class SecondConnection:
    """A second connection to ``address``, which the policy allows."""

    address: Address
    host: Host
    port: int
    record: Recorder
    deadline: float
    source: Address | None = None

    def speaks_tls(self) -> Asks[str]:
        """Return the protocol inside TLS if the port uses implicit TLS, else ""."""
        link = yield from self._connect()
        if link is None:
            return ""
        try:
            yield from link.start_tls(tls.looking_context(), self.host.name, Stage.TLS)
        except Failure as failure:
            if failure.symptom is Symptom.WRONG_PROTOCOL:
                return str(failure.facts["protocol"])
            if failure.symptom in (Symptom.TLS_ALERT, Symptom.CLIENT_CERTIFICATE):
                return "TLS"
            return ""
        else:
            try:
                yield from link.hear(link.limit(1.0))
            except Failure as failure:
                if failure.symptom is Symptom.WRONG_PROTOCOL:
                    return f"{failure.facts['protocol']} over TLS"
                return "TLS"
            return "SMTP over TLS"
        finally:
            self.record.remark("a second connection tried TLS from the start")

    def speaks_plain(self) -> Asks[str]:
        """Return the protocol if the port greets without TLS, else ""."""
        link = yield from self._connect()
        if link is None:
            return ""
        self.record.remark("a second connection waited for a greeting without TLS")
        try:
            yield from link.hear()
        except Failure as failure:
            yield from link.close()
            return str(failure.facts.get("protocol", ""))
        yield from link.farewell()
        return "SMTP"

    def certificate(self, starttls_as: str | None) -> Asks[Shown | None]:
        """Return the certificate that was refused, or None.

        ``starttls_as`` is our EHLO name if STARTTLS is used. OpenSSL does not expose the
        certificate of a failed handshake, hence the second connection.
        """
        link = yield from self._connect()
        if link is None:
            return None
        try:
            if starttls_as is not None:
                yield from link.hear()
                yield from link.ask(f"EHLO {starttls_as}".encode())
                yield from link.ask(b"STARTTLS")
            yield from link.start_tls(tls.looking_context(), self.host.name, Stage.TLS)
        except Failure:
            return None
        session, facts = link.session, link.tls_facts()
        yield from link.close()
        if session is None or facts is None:
            return None
        self.record.remark("a second connection looked at the certificate, and sent nothing else")
        return Shown(facts, tls.lacks_intermediate(session), tls.expired_link(session))

    def _connect(self) -> Asks[Connection | None]:
        now = self.record.clock()
        until = now + min(PATIENCE, (self.deadline - now) / 2)
        try:
            connected: Connected = yield Connect(
                (self.address,), self.port, until, PATIENCE, self.source
            )
        except NotConnected:
            return None
        # Recorded separately, so that the transcript shows one conversation
        aside = Recorder(self.record.clock, self.record.secrets)
        return Connection(connected.handle, aside, until)
