"""Run a whole check, from the policy to the report, as one sans-I/O generator."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable

from ..core.addresses import Host
from ..core.effects import Asks, Connect, Connected, NotConnected
from ..core.egress import Address
from ..core.failure import Failure, Symptom
from ..core.modes import ENCRYPTION_NAMES, Encryption, Mode
from ..core.raw_reply import RawReply, decoded
from ..core.recorder import Recorder, Watch
from ..core.redaction import Secrets, cleaned
from ..core.types import (
    AddressOutcome,
    Notice,
    Outcome,
    Purpose,
    Report,
    Stage,
    Step,
    Target,
    TlsFacts,
)
from ..diagnosis.facts import (
    PIPELINING_WARNING,
    basic_facts,
    facts_of_failure,
    greets_as_another,
    own_ca_facts,
    warnings_of,
)
from ..diagnosis.matcher import Seen, diagnose
from ..protocol.connection import Connection
from ..protocol.delivery import deliver, resume
from ..protocol.session import PipeliningLoses, Session
from ..protocol.smtp import converse, open_up
from . import alternatives, vetting
from .second_connection import SecondConnection

CONNECT_LIMIT = 10.0  # seconds, for each address
# Share of the remaining time for trying other modes during a long silence
OTHER_MODES_SHARE = 0.6
SECOND_TRY_SHARE = 0.5  # of the remaining time, if the first connection may still answer

_log = logging.getLogger(__name__)

# Symptoms of a timeout: with a longer deadline, an answer might have arrived
_WAITS = frozenset({Symptom.SILENT, Symptom.CONNECT_TIMEOUT, Symptom.RESOLVER_SLOW})

_ENVELOPE = (Stage.MAIL, Stage.RCPT, Stage.DATA)

_CERTIFICATE_SYMPTOMS = frozenset(
    symptom for symptom in Symptom if symptom.name.startswith("CERTIFICATE_")
)


def course(
    target: Target, watch: Watch | None = None, clock: Callable[[], float] = time.monotonic
) -> Asks[Report]:
    """Check ``target``. ``clock`` is the driver's clock: monotonic, in seconds."""
    return (yield from _Course(target, watch, clock).run())


def approach(target: Target, clock: Callable[[], float]) -> Asks[Report]:
    """Check only up to EHLO, without AUTH or email. Accepted means that EHLO succeeded."""
    alone = dataclasses.replace(
        target, auth=False, username="", password="", access_token="", other_modes=()
    )
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
        self.record = Recorder(
            clock, Secrets(target.username, target.password, target.access_token), watch
        )
        self.deadline = self.record.started + target.timeout
        self.host: Host | None = None
        self.addresses: tuple[AddressOutcome, ...] = ()
        self.vetted: tuple[Address, ...] = ()
        self.session: Session | None = None
        self.tls: TlsFacts | None = None
        self.warnings: list[Notice] = []
        self.failure: Failure | None = None
        self.alternatives: tuple[Mode, ...] = ()
        self.tried_other_modes = False

    def run(self) -> Asks[Report]:
        try:
            yield from self._go()
        except Failure as failure:
            self.failure = failure
        except Exception:
            _log.exception("a check ended by a bug of ours")
            self.failure = Failure(Symptom.OUR_BUG)
        if self.failure is None:
            self.alternatives = ()  # found during a silence, after which the check succeeded
        else:
            self.record.fail(self.failure.stage or self.record.stage)
            if self.record.stage is Stage.AUTH:
                self._remark_foreign_name()
            if self.failure.symptom in _WAITS:
                self.failure.facts["deadline"] = self.clock() >= self.deadline
            yield from self._try_other_modes(self.failure)
        return self._report()

    def _go(self) -> Asks[None]:
        if self.target.auth and self.target.access_token:
            self.record.precede(Stage.TOKEN, Outcome.DONE, self.target.token_milliseconds)
        else:
            self.record.precede(Stage.TOKEN, Outcome.SKIPPED)
        self.record.begin(Stage.POLICY)
        self.host = vetting.host_of(self.target)
        self.vetted = yield from vetting.addresses_of(
            self.host, self.target, self.record, self.deadline
        )
        self.record.begin(Stage.CONNECT)
        connected = yield from self._connect(self.vetted)
        try:
            yield from self._converse(connected, pipelining=True)
        except PipeliningLoses as loses:
            yield from self._again(loses, connected)
        except Failure as failure:
            yield from self._look_closer(failure)
            raise

    # -- the conversation

    def _connect(self, vetted: tuple[Address, ...]) -> Asks[Connected]:
        target = self.target
        try:
            connected: Connected = yield Connect(
                vetted, target.port, self.deadline, CONNECT_LIMIT, target.source_address
            )
        except NotConnected as error:
            self.addresses = error.outcomes
            raise vetting.connect_failure(error, vetted) from None
        self.addresses = connected.outcomes
        self.record.remark(f"connected to {connected.address} port {target.port}")
        return connected

    def _converse(
        self, connected: Connected, *, pipelining: bool, envelope_by: float | None = None
    ) -> Asks[None]:
        """Run the conversation; the envelope must be accepted by ``envelope_by``."""
        assert self.host is not None  # noqa: S101 - set before the first connection
        link = Connection(connected.handle, self.record, envelope_by or self.deadline)
        looks = SecondConnection(
            connected.address,
            self.host,
            self.target.port,
            self.record,
            self.deadline,
            self.target.source_address,
        )
        self.session = session = Session(
            self.target,
            self.host,
            link,
            self.record,
            connected.local,
            on_silence=lambda: self._on_silence(looks),
            on_long_silence=self._on_long_silence,
            verdict_by=self.deadline,
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
        """Try again, one command at a time.

        If the connection is still in step, only MAIL is repeated. Otherwise a new connection has
        to authenticate again: only after a successful authentication, never after a refused
        one. A server that was only silent may be slow, so the first connection is kept, and
        awaited until the deadline if the second one gets no further.
        """
        assert self.session is not None  # noqa: S101 - this session just lost commands
        first, noted = self.session, self.record.noted()
        self.record.remark("commands sent together were lost: again, one at a time")
        try:
            if loses.here and (yield from self._reset(first)):
                self.record.again(Stage.MAIL)
                first.pipelining = False
                yield from deliver(first)
            elif loses.may_be_slow:
                now = self.clock()
                by = now + (self.deadline - now) * SECOND_TRY_SHARE
                yield from self._again_anew(connected, by)
            else:
                yield from first.link.farewell()
                yield from self._again_anew(connected)
        except Failure as failure:
            if loses.may_be_slow and first.link.open and self._is_stuck(failure):
                yield from self._await_first(first, loses, noted)
                return
            if self.session is not first:
                yield from first.link.close()
            if (failure.stage or self.record.stage) not in _ENVELOPE:
                raise loses.failure from None
            if failure.reply is not None and not _is_same(failure, loses.failure):
                self.warnings.append(Notice(PIPELINING_WARNING))
            yield from self.session.link.farewell()
            raise
        yield from first.link.close()
        self.warnings.append(Notice(PIPELINING_WARNING))

    def _again_anew(self, connected: Connected, envelope_by: float | None = None) -> Asks[None]:
        self.record.again(Stage.CONNECT)
        outcomes = self.addresses
        second = yield from self._connect((connected.address,))
        self.addresses = outcomes
        yield from self._converse(second, pipelining=False, envelope_by=envelope_by)

    def _is_stuck(self, failure: Failure) -> bool:
        """Check whether the second connection got no further; the first may still answer."""
        if (failure.stage or self.record.stage) not in _ENVELOPE:
            return True
        return failure.symptom in (Symptom.SILENT, Symptom.CLOSED) and not failure.facts.get(
            "after_content"
        )

    def _await_first(
        self, first: Session, loses: PipeliningLoses, noted: tuple[Stage, dict[Stage, Step]]
    ) -> Asks[None]:
        assert self.session is not None  # noqa: S101 - set by the second connection
        if self.session is not first:
            yield from self.session.link.farewell()
        self.record.remark("the second connection came no further: the first one is awaited")
        self.record.restore(noted)
        self.session = first
        try:
            yield from resume(first, loses.answers)
        except Failure:
            yield from first.link.close()
            raise

    def _reset(self, session: Session) -> Asks[bool]:
        try:
            answer = yield from session.link.ask(b"RSET")
        except Failure:
            return False
        return answer.positive

    # -- after a failure

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

    def _on_long_silence(self) -> Asks[None]:
        """Try other modes while the server may still answer; nothing it sends meanwhile is lost."""
        if self.tried_other_modes:
            return
        now = self.clock()
        yield from self._try_other_modes(
            Failure(Symptom.SILENT), now + (self.deadline - now) * OTHER_MODES_SHARE
        )

    def _remark_foreign_name(self) -> None:
        """Remark on a foreign name: it may explain a refused AUTH, or only be shared hosting."""
        if self.session is not None and greets_as_another(self.session):
            name = self.session.banner.split(" ", 1)[0]
            self.record.remark(f"the server greets as {name}, not as {self.session.host.name}")

    def _look_closer(self, failure: Failure) -> Asks[None]:
        """Fetch the certificate that was refused, to report its contents."""
        if failure.symptom not in _CERTIFICATE_SYMPTOMS or self.session is None:
            return
        if failure.symptom is Symptom.CERTIFICATE_PIN:
            self.tls = self.session.tls
            return
        failure.facts |= own_ca_facts(failure.symptom, self.target.trust)
        starttls = self.target.encryption is Encryption.STARTTLS
        shown = yield from self._looks.certificate(self.session.ehlo_name if starttls else None)
        if shown is None:
            return
        self.tls = shown.facts
        if failure.symptom is Symptom.CERTIFICATE_UNTRUSTED and shown.lacks_intermediate:
            failure.symptom = Symptom.CERTIFICATE_INCOMPLETE
        if failure.symptom is Symptom.CERTIFICATE_EXPIRED:
            failure.facts |= shown.chain_facts()

    def _try_other_modes(self, failure: Failure, until: float | None = None) -> Asks[None]:
        if not self.vetted or self.host is None:
            return
        if not alternatives.may_help(failure, self.record.stage):
            self.alternatives = ()
            return
        if not (self.tried_other_modes and failure.symptom is Symptom.SILENT):
            self.tried_other_modes = True
            tried = yield from alternatives.tried(
                failure, self.target, self.host, self.vetted, self.record, until or self.deadline
            )
            self.alternatives = tried.working
            failure.facts["all_silent"] = tried.all_silent
        failure.facts["open_587"] = any(mode.port == 587 for mode in self.alternatives)
        failure.facts["other_mode"] = bool(self.alternatives)
        if self.alternatives:
            best = self.alternatives[0]
            failure.facts["other_port"] = best.port
            failure.facts["other_encryption"] = ENCRYPTION_NAMES[best.encryption]

    # -- the report

    def _report(self) -> Report:
        record, target, session = self.record, self.target, self.session
        failure = self.failure
        facts = self.tls or (session.tls if session else None)
        record.seal(*_words_beside(session, facts))
        if facts is not None:
            facts = record.tls(facts)
        seen = self._seen(failure, facts if self.tls else None)
        diagnosis = diagnose(seen)
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
            message=session.message.shown
            if session and session.message and session.was_sent
            else "",
            queue_id=record.said(session.queue_id if session else ""),
            link=diagnosis.link,
            encryption=target.encryption,
            credential=str(seen.facts.get("field", "")) if seen.stage is Stage.AUTH else "",
            alternatives=self.alternatives,
            ours=diagnosis.ours,
            confidence=diagnosis.confidence,
            also_possible=diagnosis.also_possible,
            facts=diagnosis.facts,
            sandbox=diagnosis.sandbox,
        )

    def _seen(self, failure: Failure | None, shown: TlsFacts | None) -> Seen:
        if failure is None:
            facts = basic_facts(self.target)
            if self.session is not None:
                facts["banner"] = self.session.banner
            is_probe = self.target.purpose is Purpose.PROBE
            symptom = Symptom.NONE_SO_FAR if is_probe else Symptom.NONE
            return Seen(Stage.ACCEPTED, symptom, None, facts)
        facts = facts_of_failure(failure, self.record, self.target, self.session, shown)
        stage = failure.stage or self.record.stage
        reply = failure.reply
        if reply is not None:
            # Facts contain only scrubbed text: the cause may quote an address or a link from it
            lines = tuple(self.record.said(decoded(line)).encode() for line in reply.lines)
            reply = RawReply(reply.code, lines)
        return Seen(stage, failure.symptom, reply, facts)


def _words_beside(session: Session | None, shown: TlsFacts | None) -> list[str]:
    """Return the server text that is not in the transcript."""
    words: list[str] = [shown.subject, *shown.names, shown.issuer] if shown else []
    return [*words, session.queue_id] if session else words


def _is_same(one: Failure, other: Failure) -> bool:
    """Check whether both are the same refusal, which means that no commands were lost."""
    return one.reply is not None and other.reply is not None and one.reply.code == other.reply.code
