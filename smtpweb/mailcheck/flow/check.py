"""The course of a whole check, from the policy to the report, as one sans-I/O generator."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable

from ..core import addresses
from ..core.addresses import Host
from ..core.effects import Asks, Connect, Connected, NotConnected, NotResolved, Resolve
from ..core.egress import Address, Refusal
from ..core.environment import in_container
from ..core.failure import Failure, Symptom
from ..core.raw_reply import RawReply, decoded
from ..core.recorder import Recorder, Watch
from ..core.redaction import Secrets, cleaned
from ..core.types import (
    NO_ROUTE,
    NOT_PERMITTED,
    REFUSED,
    TIMED_OUT,
    AddressOutcome,
    Encryption,
    Mode,
    Report,
    Stage,
    Target,
    TlsFacts,
)
from ..diagnosis.facts import (
    PIPELINING_WARNING,
    basic_facts,
    facts_of_failure,
    warnings_of,
)
from ..diagnosis.matcher import Seen, diagnose
from ..protocol.connection import Connection
from ..protocol.smtp import PipeliningLoses, Session, converse, deliver, open_up
from . import alternatives
from .second_connection import SecondConnection

RESOLVE_LIMIT = 5.0  # seconds
CONNECT_LIMIT = 10.0  # for each address
REPLY_LIMIT = 15.0  # for each reply, from the command on
MAX_ADDRESSES = 8

_log = logging.getLogger(__name__)

_DENIALS = {
    "port": Symptom.PORT_DENIED,
    "own": Symptom.OWN_SERVICE,
    "range": Symptom.RANGE_DENIED,
    "reserved": Symptom.RESERVED_DENIED,
}

# The most telling outcome of several addresses names the cause
_CONNECT_SYMPTOMS = (
    (NOT_PERMITTED, Symptom.NOT_PERMITTED),
    (REFUSED, Symptom.CONNECTION_REFUSED),
    (TIMED_OUT, Symptom.CONNECT_TIMEOUT),
    (NO_ROUTE, Symptom.NO_ROUTE),
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


def approach(target: Target, clock: Callable[[], float]) -> Asks[Report]:
    """As far as EHLO only: no login and no mail. Accepted means that it came so far."""
    alone = dataclasses.replace(target, auth=False, username="", password="", other_modes=())
    return (yield from _Course(alone, None, clock, _come_in).run())


def _come_in(session: Session) -> Asks[None]:
    yield from open_up(session)
    yield from session.link.farewell()


class _Course:
    def __init__(
        self,
        target: Target,
        watch: Watch | None,
        clock: Callable[[], float],
        conversation: Callable[[Session], Asks[None]] = converse,
    ):
        self.target = target
        self.conversation = conversation
        self.clock = clock
        self.record = Recorder(clock, Secrets(target.username, target.password), watch)
        self.deadline = self.record.started + target.timeout
        self.host: Host | None = None
        self.addresses: tuple[AddressOutcome, ...] = ()
        self.vetted: tuple[Address, ...] = ()
        self.session: Session | None = None
        self.tls: TlsFacts | None = None
        self.warnings: list[str] = []
        self.failure: Failure | None = None
        self.alternatives: tuple[Mode, ...] = ()

    def run(self) -> Asks[Report]:
        try:
            yield from self._go()
        except Failure as failure:
            self.failure = failure
        except Exception:
            _log.exception("a check ended by a bug of ours")
            self.failure = Failure(Symptom.OUR_BUG)
        if self.failure is not None:
            self.record.fail(self.failure.stage or self.record.stage)
            yield from self._try_other_modes(self.failure)
        return self._report()

    def _go(self) -> Asks[None]:
        self.record.begin(Stage.POLICY)
        host = self.host = self._named()
        self._judge(self.target.policy.refuses_port(host.name, self.target.port))
        self.vetted = yield from self._vetted(host)
        self.record.begin(Stage.CONNECT)
        connected = yield from self._connect(self.vetted)
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
            return addresses.parse_host(self.target.host)
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
            raise self._connect_failure(error, vetted) from None
        self.addresses = connected.outcomes
        self.record.remark(f"connected to {connected.address} port {target.port}")
        return connected

    @staticmethod
    def _connect_failure(error: NotConnected, vetted: tuple[Address, ...]) -> Failure:
        words = {one.outcome for one in error.outcomes}
        symptom = next(
            (symptom for word, symptom in _CONNECT_SYMPTOMS if word in words),
            Symptom.CONNECT_FAILED,
        )
        return Failure(
            symptom,
            outcomes=str(error),
            loopback=all(address.is_loopback for address in vetted),
            container=in_container(),
        )

    def _converse(self, connected: Connected, *, pipelining: bool) -> Asks[None]:
        assert self.host is not None  # noqa: S101 - set before the first connection
        link = Connection(connected.handle, self.record, self.deadline, REPLY_LIMIT)
        looks = SecondConnection(
            connected.address, self.host, self.target.port, self.record, self.deadline
        )
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
            yield from self.conversation(session)
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
                first_outcomes = self.addresses
                second = yield from self._connect((connected.address,))
                self.addresses = first_outcomes
                yield from self._converse(second, pipelining=False)
        except Failure as failure:
            if (failure.stage or self.record.stage) not in _ENVELOPE:
                raise loses.failure from None
            if failure.reply is not None and not _is_same(failure, loses.failure):
                self.warnings.append(PIPELINING_WARNING)
            yield from self.session.link.farewell()
            raise
        self.warnings.append(PIPELINING_WARNING)

    def _reset(self, session: Session) -> Asks[bool]:
        try:
            answer = yield from session.link.ask(b"RSET")
        except Failure:
            return False
        return answer.positive

    # -- when it failed

    def _on_silence(self, looks: SecondConnection) -> Asks[None]:
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
        shown = yield from self._looks.certificate(self.session.ehlo_name if starttls else None)
        if shown is None:
            return
        self.tls = shown.facts
        if failure.symptom is Symptom.CERTIFICATE_UNTRUSTED and shown.lacks_intermediate:
            failure.symptom = Symptom.CERTIFICATE_INCOMPLETE
        if failure.symptom is Symptom.CERTIFICATE_EXPIRED and shown.expired_link is not None:
            days_left = shown.facts.days_left
            if days_left is not None and days_left >= 0:
                failure.facts |= {
                    "chain_fault": True,
                    "fault_subject": shown.expired_link.subject,
                    "fault_expires": shown.expired_link.not_after[:10],
                }

    def _try_other_modes(self, failure: Failure) -> Asks[None]:
        if not self.vetted or self.host is None:
            return
        if not alternatives.may_help(failure, self.record.stage):
            return
        tried = yield from alternatives.tried(
            failure, self.target, self.host, self.vetted, self.record, self.deadline
        )
        self.alternatives = tried.working
        failure.facts["all_silent"] = tried.all_silent
        failure.facts["open_587"] = any(mode.port == 587 for mode in self.alternatives)
        failure.facts["other_mode"] = bool(self.alternatives)
        if self.alternatives:
            best = self.alternatives[0]
            failure.facts["other_port"] = best.port
            failure.facts["other_encryption"] = alternatives.NAMES[best.encryption]

    # -- the report

    def _report(self) -> Report:
        record, target, session = self.record, self.target, self.session
        failure = self.failure
        seen = self._seen(failure)
        diagnosis = diagnose(seen)
        facts = self.tls or (session.tls if session else None)
        if facts is not None and failure is not None and failure.symptom in _CERTIFICATE_SYMPTOMS:
            facts = dataclasses.replace(facts, problem=diagnosis.title)
        if failure is None and session is not None:
            self.warnings += warnings_of(target, session, facts, self.addresses)
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
            encryption=target.encryption,
            credential=str(seen.facts.get("field", "")) if seen.stage is Stage.AUTH else "",
            alternatives=self.alternatives,
            confidence=diagnosis.confidence,
            also_possible=diagnosis.also_possible,
            facts=diagnosis.facts,
        )

    def _seen(self, failure: Failure | None) -> Seen:
        if failure is None:
            facts = basic_facts(self.target)
            if self.session is not None:
                facts["banner"] = self.session.banner
            return Seen(Stage.ACCEPTED, Symptom.NONE, None, facts)
        facts = facts_of_failure(failure, self.record, self.target, self.session, self.tls)
        stage = failure.stage or self.record.stage
        reply = failure.reply
        if reply is not None:
            # Nothing unscrubbed goes into a fact: the cause may quote an address or a link of it
            lines = tuple(self.record.said(decoded(line)).encode() for line in reply.lines)
            reply = RawReply(reply.code, lines)
        return Seen(stage, failure.symptom, reply, facts)


def _is_same(one: Failure, other: Failure) -> bool:
    """Whether both are the same refusal, which then was no loss of commands."""
    return one.reply is not None and other.reply is not None and one.reply.code == other.reply.code
