"""The course of a whole check, from the policy to the report, as one sans-I/O generator."""

from __future__ import annotations

import dataclasses
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from . import names, race
from .conversation import PipeliningLoses, Session, converse, deliver
from .diagnosis import Diagnosis, Seen, diagnose
from .egress import Address, Refusal
from .failure import Failure, Symptom
from .link import Link
from .looks import Looks
from .names import Host
from .needs import Asks, Connect, Connected, HangUp, NotConnected, NotResolved, Resolve
from .record import Record, Watch
from .report import AddressOutcome, Encryption, Report, Stage, Target, TlsFacts
from .surroundings import in_container, invisible
from .wording import Secrets, cleaned

RESOLVE_LIMIT = 5.0  # seconds
CONNECT_LIMIT = 10.0  # for each address
REPLY_LIMIT = 15.0  # for each reply, from the command on
MAX_ADDRESSES = 8
EXPIRY_WARNING = 21  # days

_log = logging.getLogger(__name__)

_DENIALS = {
    "port": Symptom.PORT_DENIED,
    "own": Symptom.OWN_SERVICE,
    "range": Symptom.RANGE_DENIED,
    "reserved": Symptom.RESERVED_DENIED,
}

# The most telling outcome of several addresses names the cause
_CONNECT_SYMPTOMS = (
    (race.NOT_PERMITTED, Symptom.NOT_PERMITTED),
    (race.REFUSED, Symptom.CONNECTION_REFUSED),
    (race.TIMED_OUT, Symptom.CONNECT_TIMEOUT),
    (race.NO_ROUTE, Symptom.NO_ROUTE),
)

_ENVELOPE = (Stage.MAIL, Stage.RCPT, Stage.DATA)

_CERTIFICATE_SYMPTOMS = frozenset(
    symptom for symptom in Symptom if symptom.name.startswith("CERTIFICATE_")
)


def course(
    target: Target, watch: Watch | None = None, clock: Callable[[], float] = time.monotonic
) -> Asks[Report]:
    """Check ``target``. ``clock`` is monotonic, in seconds, and the same as the driver's."""
    return (yield from _Course(target, watch, clock).run())


class _Course:
    def __init__(self, target: Target, watch: Watch | None, clock: Callable[[], float]):
        self.target = target
        self.clock = clock
        self.record = Record(clock, Secrets(target.username, target.password), watch)
        self.deadline = self.record.started + target.timeout
        self.host: Host | None = None
        self.addresses: tuple[AddressOutcome, ...] = ()
        self.session: Session | None = None
        self.tls: TlsFacts | None = None
        self.warnings: list[str] = []
        self.failure: Failure | None = None

    def run(self) -> Asks[Report]:
        try:
            yield from self._go()
        except Failure as failure:
            self.failure = failure
        except Exception:
            _log.exception("a check ended by a bug of ours")
            self.failure = Failure(Symptom.OUR_BUG)
        return self._report()

    def _go(self) -> Asks[None]:
        self.record.begin(Stage.POLICY)
        host = self.host = self._named()
        self._judge(self.target.policy.refuses_port(host.name, self.target.port))
        vetted = yield from self._vetted(host)
        self.record.begin(Stage.CONNECT)
        connected = yield from self._connect(vetted)
        try:
            yield from self._converse(connected, pipelining=True)
        except PipeliningLoses as loses:
            yield from self._again(loses, connected)
        except Failure as failure:
            yield from self._look_closer(failure)
            raise

    # -- before the first packet

    def _named(self) -> Host:
        if not 0 < self.target.port < 65536:
            raise Failure(
                Symptom.HOST_INVALID,
                stage=Stage.RESOLVE,
                words=f"{self.target.port} is no port; they go from 1 to 65535",
            )
        try:
            return names.parse_host(self.target.host)
        except ValueError as error:
            raise Failure(Symptom.HOST_INVALID, stage=Stage.RESOLVE, words=str(error)) from None

    def _vetted(self, host: Host) -> Asks[tuple[Address, ...]]:
        """Resolve once; one refused address refuses the name, as it may be the next answer."""
        record = self.record
        if host.address is not None:
            found: tuple[Address, ...] = (host.address,)
            self._judge(self.target.policy.refuses(host.address, self.target.port))
            record.skip(Stage.RESOLVE)
        else:
            record.begin(Stage.RESOLVE)
            until = min(self.deadline, self.clock() + RESOLVE_LIMIT)
            try:
                found = yield Resolve(host.name, until)
            except NotResolved as error:
                raise Failure(Symptom(error.why)) from None
            if not found:
                raise Failure(Symptom.NO_ADDRESS)
            for address in found:
                self._judge(self.target.policy.refuses(address, self.target.port))
            record.done()
        return found[:MAX_ADDRESSES]

    def _judge(self, refusal: Refusal | None) -> None:
        if refusal is not None:
            raise Failure(
                _DENIALS[refusal.kind],
                stage=Stage.POLICY,
                address=refusal.address,
                range=refusal.network,
                range_name=refusal.range_name,
                setting=refusal.setting,
            )

    # -- the conversation

    def _connect(self, vetted: tuple[Address, ...]) -> Asks[Connected]:
        target = self.target
        try:
            connected: Connected = yield Connect(vetted, target.port, self.deadline, CONNECT_LIMIT)
        except NotConnected as error:
            self.addresses = error.outcomes
            raise (yield from self._connect_failure(error, vetted)) from None
        self.addresses = connected.outcomes
        self.record.remark(f"connected to {connected.address} port {target.port}")
        return connected

    def _connect_failure(self, error: NotConnected, vetted: tuple[Address, ...]) -> Asks[Failure]:
        words = {one.outcome for one in error.outcomes}
        symptom = next(
            (symptom for word, symptom in _CONNECT_SYMPTOMS if word in words),
            Symptom.CONNECT_FAILED,
        )
        facts: dict[str, Any] = {
            "outcomes": str(error),
            "loopback": all(address.is_loopback for address in vetted),
            "container": in_container(),
        }
        if symptom is Symptom.CONNECT_TIMEOUT and self.target.port == 25:
            facts["open_587"] = yield from self._answers_on(587, vetted)
        return Failure(symptom, **facts)

    def _answers_on(self, port: int, vetted: tuple[Address, ...]) -> Asks[bool]:
        if any(self.target.policy.refuses(address, port) for address in vetted):
            return False
        until = min(self.deadline, self.clock() + 2.0)
        try:
            connected: Connected = yield Connect(vetted[:1], port, until, 2.0)
        except NotConnected:
            return False
        yield HangUp(connected.handle, b"")
        self.record.remark(f"port {port} of the same host answers")
        return True

    def _converse(self, connected: Connected, *, pipelining: bool) -> Asks[None]:
        assert self.host is not None  # noqa: S101 - set before the first connection
        link = Link(connected.handle, self.record, self.deadline, REPLY_LIMIT)
        looks = Looks(connected.address, self.host, self.target.port, self.record, self.deadline)
        self.session = session = Session(
            self.target,
            self.host,
            link,
            self.record,
            connected.local,
            on_silence=lambda: self._on_silence(looks),
            pipelining=pipelining,
        )
        self._looks = looks
        try:
            yield from converse(session)
        except PipeliningLoses:
            raise
        except Failure:
            yield from link.farewell()
            raise

    def _again(self, loses: PipeliningLoses, connected: Connected) -> Asks[None]:
        """Once more, one command at a time.

        Where the connection is still in step nothing is repeated but MAIL. Else a new one must
        log in again: only after a login that was accepted, never after a refused one.
        """
        assert self.session is not None  # noqa: S101 - it has just lost commands
        first = self.session
        self.record.remark("commands sent together were lost: again, one at a time")
        try:
            if loses.here and (yield from self._reset(first)):
                self.record.again(Stage.MAIL)
                first.pipelining = False
                yield from deliver(first)
            else:
                yield from first.link.farewell()
                self.record.again(Stage.CONNECT)
                second = yield from self._connect((connected.address,))
                yield from self._converse(second, pipelining=False)
        except Failure as failure:
            if (failure.stage or self.record.stage) not in _ENVELOPE:
                raise loses.failure from None
            if failure.symptom is Symptom.REFUSED:
                self._warn_of_pipelining()
            yield from self.session.link.farewell()
            raise
        self._warn_of_pipelining()

    def _reset(self, session: Session) -> Asks[bool]:
        try:
            answer = yield from session.link.ask(b"RSET")
        except Failure:
            return False
        return answer.positive

    def _warn_of_pipelining(self) -> None:
        self.warnings.append(
            "The server offers PIPELINING but loses commands that come together; it was checked"
            " again with one command at a time. Mailers that believe the offer will fail."
        )

    # -- when it failed

    def _on_silence(self, looks: Looks) -> Asks[None]:
        if self.record.stage is Stage.TLS:
            protocol = yield from looks.speaks_plain()
            if protocol == "SMTP":
                raise Failure(Symptom.NOT_TLS, protocol=protocol)
        else:
            protocol = yield from looks.speaks_tls()
            if protocol in ("TLS", "SMTP over TLS"):
                raise Failure(Symptom.TLS_EXPECTED, protocol=protocol)
        if protocol not in ("", "SMTP"):
            raise Failure(Symptom.WRONG_PROTOCOL, protocol=protocol)

    def _look_closer(self, failure: Failure) -> Asks[None]:
        """Get hold of a certificate that was refused, to say what it says."""
        if failure.symptom not in _CERTIFICATE_SYMPTOMS or self.session is None:
            return
        starttls = self.target.encryption is Encryption.STARTTLS
        found = yield from self._looks.certificate(self.session.ehlo_name if starttls else None)
        if found is None:
            return
        self.tls, lacks_intermediate = found
        if failure.symptom is Symptom.CERTIFICATE_UNTRUSTED and lacks_intermediate:
            failure.symptom = Symptom.CERTIFICATE_INCOMPLETE

    # -- the report

    def _report(self) -> Report:
        record, target, session = self.record, self.target, self.session
        failure = self.failure
        if failure is not None:
            record.fail(failure.stage or record.stage)
        diagnosis = diagnose(self._seen(failure))
        facts = self.tls or (session.tls if session else None)
        if facts is not None and failure is not None and failure.symptom in _CERTIFICATE_SYMPTOMS:
            facts = _with_problem(facts, diagnosis)
        if failure is None and session is not None:
            self._warn(session, facts)
        reply = failure.reply if failure else None
        return Report(
            accepted=failure is None,
            stage=Stage.ACCEPTED if failure is None else record.stage,
            code=diagnosis.id,
            title=diagnosis.title,
            meaning=diagnosis.meaning,
            advice=diagnosis.steps,
            temporary=diagnosis.temporary,
            side=diagnosis.side,
            reply=None if reply is None else record.reply(reply),
            steps=record.steps(),
            transcript=record.transcript(),
            tls=facts,
            addresses=self.addresses,
            capabilities=session.capabilities if session else (),
            warnings=tuple(self.warnings),
            milliseconds=record.milliseconds(),
            host=cleaned(target.host),
            port=target.port,
            mail_from=cleaned(target.mail_from),
            rcpt_to=cleaned(target.rcpt_to),
            message_id=session.message.message_id if session and session.message else "",
            queue_id=session.queue_id if session else "",
            link=diagnosis.link,
        )

    def _seen(self, failure: Failure | None) -> Seen:
        target, session = self.target, self.session
        facts: dict[str, Any] = {
            "host": cleaned(target.host),
            "port": target.port,
            "mail_from": cleaned(target.mail_from),
            "rcpt_to": cleaned(target.rcpt_to),
            "encryption": str(target.encryption),
            "auth": target.auth,
            "username": self.record.said(target.username),
            "timeout": f"{target.timeout:g}",
            "own_name": socket.gethostname(),
        }
        if session is not None:
            facts |= {
                "banner": session.banner,
                "ehlo": session.ehlo_name,
                "local": str(session.local),
                "authenticated": session.authenticated,
                "masked": _is_masked(session),
                "foreign": _greets_as_another(session),
            }
        if target.auth:
            facts |= _invisible_facts(target)
        facts |= _certificate_facts(self.tls)
        if failure is None:
            return Seen(Stage.ACCEPTED, Symptom.NONE, None, facts)
        stage = failure.stage or self.record.stage
        facts |= {name: _fit(self.record, value) for name, value in failure.facts.items()}
        return Seen(stage, failure.symptom, failure.reply, facts)

    def _warn(self, session: Session, facts: TlsFacts | None) -> None:
        target = self.target
        if facts is not None and facts.days_left is not None:
            if facts.days_left < EXPIRY_WARNING:
                self.warnings.append(
                    f"The server's certificate expires on {facts.not_after[:10]}, in"
                    f" {facts.days_left} days."
                )
        elif facts is None and target.auth:
            self.warnings.append("Login and password went over the network without encryption.")
        if facts is None and "STARTTLS" in session.keywords:
            self.warnings.append("The server offers STARTTLS, but it is not switched on here.")
        if session.used_helo:
            self.warnings.append("The server does not know EHLO and was greeted with HELO.")
        self.warnings.extend(
            f"The address {one.address} did not answer: {one.outcome}."
            for one in self.addresses
            if one.outcome not in (race.CONNECTED, race.NOT_TRIED, race.GIVEN_UP)
        )


def _fit(record: Record, value: Any) -> Any:
    return record.said(value) if isinstance(value, str) else value


def _is_masked(session: Session) -> bool:
    """A middle box overwrote what the server said (Cisco's "fixup" writes asterisks and X)."""
    return "*****" in session.banner or any(word.startswith("XXXX") for word in session.keywords)


def _greets_as_another(session: Session) -> bool:
    """The banner names a host of another domain than the one asked for."""
    name = session.banner.split(" ", 1)[0].lower().strip("[]")
    if session.host.address is not None or "." not in name or "." not in session.host.name:
        return False
    return _organisation(name) != _organisation(session.host.name.lower())


def _organisation(name: str) -> str:
    labels = name.rstrip(".").split(".")
    # co.uk, com.au: a short label before the last one is no organisation yet
    length = 3 if len(labels) > 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-length:])


def _invisible_facts(target: Target) -> dict[str, Any]:
    for field, value in (("login", target.username), ("password", target.password)):
        if (position := invisible(value)) is not None:
            return {"invisible": True, "field": field, "position": position}
    return {"invisible": False}


def _certificate_facts(facts: TlsFacts | None) -> dict[str, Any]:
    if facts is None:
        return {}
    return {
        "names": ", ".join(facts.names[:8]) or facts.subject,
        "subject": facts.subject,
        "issuer": facts.issuer,
        "expires": facts.not_after[:10],
    }


def _with_problem(facts: TlsFacts, diagnosis: Diagnosis) -> TlsFacts:
    return dataclasses.replace(facts, problem=diagnosis.title)
