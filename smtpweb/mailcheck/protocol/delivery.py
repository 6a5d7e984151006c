"""MAIL, RCPT, DATA and the message (RFC 5321 3.3), grouped if PIPELINING is offered."""

from __future__ import annotations

import re

from ..core import addresses
from ..core.addresses import Mailbox
from ..core.effects import Asks
from ..core.failure import Failure, Symptom
from ..core.raw_reply import RawReply
from ..core.types import Purpose, Stage
from .message import Message, compose
from .session import PipeliningLoses, Session

# Wait less for a server that offers PIPELINING but loses commands sent in one segment, to leave
# time for another try without it
PIPELINE_PATIENCE = 5.0

_NOT_UNDERSTOOD = frozenset({500, 502, 503})
_QUEUE_IDS = (
    re.compile(r"\bqueued as \[?<?([A-Za-z0-9._-]+)", re.IGNORECASE),
    re.compile(r"\bid[=:] ?<?([A-Za-z0-9._@-]+)", re.IGNORECASE),
    re.compile(r"^([A-Za-z0-9]{8,}) message accepted for delivery", re.IGNORECASE),
    re.compile(r"^ok:? +([A-Za-z0-9_-]{10,})$", re.IGNORECASE),
    re.compile(r"^(?:ok|queued)\b.*?\b([0-9A-Fa-f-]{12,})\b", re.IGNORECASE),
)


def deliver(session: Session) -> Asks[None]:
    """Send MAIL, RCPT, DATA and the message; a probe stops after RCPT."""
    record, target = session.record, session.target
    record.begin(Stage.MAIL)
    sender = _mailbox(session, target.envelope_from or target.mail_from)
    author = _mailbox(session, target.mail_from)
    try:
        recipient = _mailbox(session, target.rcpt_to)
    except Failure as failure:
        failure.stage = Stage.RCPT
        raise
    try:
        message = compose(
            author,
            recipient,
            target.from_name,
            session.host.name,
            target.port,
            session.wall_clock(),
            target.arrival_url,
            target.content,
        )
    except ValueError as error:
        raise Failure(Symptom.FROM_NAME_UNSAFE, words=str(error)) from None
    session.message = message
    if target.arrival_url:
        # The server sees the message and may echo it
        record.secrets.add_token(target.arrival_url.rpartition("/")[2])
    commands = (
        _mail_command(session, sender, (sender, author, recipient)),
        f"RCPT TO:<{recipient.address}>".encode(),
    )
    grouped = session.pipelining and "PIPELINING" in session.keywords
    if grouped:
        yield from _envelope_at_once(session, *commands)
    else:
        yield from _envelope_in_turns(session, *commands)
    yield from _end(session, message, grouped)


def resume(session: Session, answers: list[RawReply]) -> Asks[None]:
    """Resume waiting, until the deadline, for the replies to a group that timed out."""
    assert session.message is not None  # noqa: S101 - the group was for it
    yield from _hear_envelope(session, answers, patient=True)
    yield from _end(session, session.message, grouped=True)


def _end(session: Session, message: Message, grouped: bool) -> Asks[None]:
    if session.target.purpose is Purpose.PROBE:
        yield from _take_back(session)
    else:
        yield from _hand_over(session, message, grouped)


def _take_back(session: Session) -> Asks[None]:
    """End without an email: send RSET to discard the envelope (RFC 5321 4.1.1.5)."""
    record = session.record
    record.skip(Stage.DATA)
    record.skip(Stage.ACCEPTED)
    # The reply does not matter, so do not wait for it.
    session.link.say(b"RSET")
    yield from session.link.farewell()


def _stages(session: Session) -> tuple[Stage, ...]:
    envelope = (Stage.MAIL, Stage.RCPT, Stage.DATA)
    return envelope[:2] if session.target.purpose is Purpose.PROBE else envelope


def _hand_over(session: Session, message: Message, grouped: bool) -> Asks[None]:
    record = session.record
    if session.verdict_by is not None:
        session.link.extend(session.verdict_by)
    answer = yield from _content(session, message, grouped)
    if not answer.positive:
        raise Failure(Symptom.REFUSED, reply=answer, after_content=True)
    record.done()
    record.begin(Stage.ACCEPTED)
    record.done()
    session.queue_id = record.said(_queue_id(record.said(answer.text)))


def _mailbox(session: Session, text: str) -> Mailbox:
    try:
        mailbox = addresses.parse_mailbox(text)
    except ValueError as error:
        raise Failure(Symptom.ADDRESS_INVALID, words=str(error).rstrip(".")) from None
    if mailbox.utf8 and "SMTPUTF8" not in session.keywords:
        raise Failure(Symptom.SMTPUTF8_MISSING)
    return mailbox


def _mail_command(session: Session, sender: Mailbox, all_of: tuple[Mailbox, ...]) -> bytes:
    command = f"MAIL FROM:<{sender.address}>"
    if "SIZE" in session.keywords and session.message is not None:  # RFC 1870
        command += f" SIZE={session.message.size}"
    if any(mailbox.utf8 for mailbox in all_of):  # RFC 6531 3.4 requires 8BITMIME with it
        command += " BODY=8BITMIME SMTPUTF8"
    return command.encode()


def _envelope_in_turns(session: Session, mail: bytes, rcpt: bytes) -> Asks[None]:
    link, record = session.link, session.record
    _expect(2, (yield from link.ask(mail)))
    record.begin(Stage.RCPT)
    _expect(2, (yield from link.ask(rcpt)))
    if session.target.purpose is Purpose.PROBE:
        return
    record.begin(Stage.DATA)
    _expect(3, (yield from link.ask(b"DATA")))


def _envelope_at_once(session: Session, mail: bytes, rcpt: bytes) -> Asks[None]:
    """Send the envelope as one group, in which DATA must be last (RFC 2920 3.1)."""
    yield from session.link.expect_quiet()
    for command in (mail, rcpt, b"DATA")[: len(_stages(session))]:
        session.link.say(command)
    yield from _hear_envelope(session, [], patient=False)


def _hear_envelope(session: Session, answers: list[RawReply], *, patient: bool) -> Asks[None]:
    """Read the replies to the group; ``answers`` have already arrived, all positive."""
    link, record = session.link, session.record
    refused: Failure | None = None
    for stage in _stages(session)[len(answers) :]:
        if refused is None and stage is not record.stage:
            record.begin(stage)
        if refused is not None:
            until = link.limit(1.0)
        elif patient:
            until = link.limit()
        else:
            until = link.limit(PIPELINE_PATIENCE, share=0.4)
        try:
            answer = yield from link.hear(until)
        except Failure as failure:
            if refused is not None:
                break  # the outcome is known; the rest only kept the server in step
            if not patient and failure.symptom in (Symptom.SILENT, Symptom.CLOSED):
                failure.stage = stage
                raise PipeliningLoses(failure, answers, here=False) from None
            raise
        answers.append(answer)
        if refused is None and answer.code // 100 != (3 if stage is Stage.DATA else 2):
            refused = Failure(Symptom.REFUSED, stage=stage, reply=answer)
    if refused is None:
        return
    takes_data = len(answers) == 3 and answers[2].code == 354
    if takes_data and not answers[1].positive:
        link.say(b".")  # RFC 2920 3.1: end DATA with an empty message to nobody
    elif takes_data:
        # It accepted a recipient after refusing MAIL; a dot could deliver an empty message
        yield from link.close()
    first = refused.reply
    if (
        not patient
        and refused.stage is not Stage.MAIL
        and first is not None
        and first.code in _NOT_UNDERSTOOD
    ):
        raise PipeliningLoses(
            refused, answers, here=len(answers) == len(_stages(session)) and not takes_data
        )
    raise refused


def _expect(klass: int, answer: RawReply) -> None:
    if answer.code // 100 != klass:
        raise Failure(Symptom.REFUSED, reply=answer)


def _content(session: Session, message: Message, grouped: bool) -> Asks[RawReply]:
    link = session.link
    yield from link.expect_quiet()
    session.was_sent = True
    link.say(message.data, f"(the test mail, {message.size} octets, and a lone dot)")
    if grouped:
        # RFC 2920 3.1 allows QUIT here; we do not wait for its reply (RFC 5321 4.1.1.10: SHOULD)
        link.say(b"QUIT")
    try:
        answer = yield from link.hear()
    except Failure as failure:
        failure.facts["after_content"] = True  # it is unknown whether the email was accepted
        raise
    if grouped:
        yield from link.close()
    else:
        yield from link.farewell()
    return answer


def _queue_id(text: str) -> str:
    for pattern in _QUEUE_IDS:
        if (found := pattern.search(text)) is not None:
            return found[1][:100]
    return ""
