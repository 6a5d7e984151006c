"""The SMTP conversation, from the greeting to the verdict, in the fewest turns the RFCs allow.

Sans I/O: every ``yield from`` asks the link, which asks the driver. Each step raises
:class:`Failure` where the check ends.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..core import addresses
from ..core.addresses import Mailbox
from ..core.effects import Asks
from ..core.egress import Address
from ..core.failure import Failure, Symptom
from ..core.raw_reply import RawReply, decoded
from ..core.recorder import Recorder
from ..core.redaction import cut
from ..core.types import Encryption, Stage, Target, TlsFacts
from . import sasl, tls
from .connection import Connection
from .message import Message, compose

# A server that offers PIPELINING but loses what came in one segment is given up on sooner, so
# that time is left to try again without
PIPELINE_PATIENCE = 5.0
GREETING_SHARE = 0.7  # of the time that is left

_NOT_UNDERSTOOD = frozenset({500, 502, 503})
_OTHER_SERVICES = re.compile(r"(?<![A-Za-z-])(?:vs)?(FTP|NNTP|LMTP)(?:d|\b)", re.IGNORECASE)
_OAUTH = frozenset({"XOAUTH", "XOAUTH2", "OAUTHBEARER"})
_QUEUE_IDS = (
    re.compile(r"\bqueued as \[?<?([A-Za-z0-9._-]+)", re.IGNORECASE),
    re.compile(r"\bid[=:] ?<?([A-Za-z0-9._@-]+)", re.IGNORECASE),
    re.compile(r"^([A-Za-z0-9]{8,}) message accepted for delivery", re.IGNORECASE),
    re.compile(r"^ok:? +([A-Za-z0-9_-]{10,})$", re.IGNORECASE),
    re.compile(r"^(?:ok|queued)\b.*?\b([0-9A-Fa-f-]{12,})\b", re.IGNORECASE),
)


class PipeliningLoses(Exception):
    """The server offered PIPELINING and lost commands that came in one group.

    ``here`` if the connection is still in step, so that it can be used on, one by one.
    """

    def __init__(self, failure: Failure, *, here: bool):
        super().__init__()
        self.failure = failure
        self.here = here


@dataclass(slots=True)
class Session:
    """One conversation: what it is for, and what was learned so far."""

    target: Target
    host: addresses.Host
    link: Connection
    record: Recorder
    local: Address
    on_silence: Callable[[], Asks[None]] | None = None  # a second look; may raise the cause
    wall_clock: Callable[[], float] = time.time
    pipelining: bool = True  # False: strictly one command at a time
    ehlo_name: str = ""
    banner: str = ""
    keywords: dict[str, str] = field(default_factory=dict)
    mechanisms: tuple[str, ...] = ()
    used_helo: bool = False
    authenticated: bool = False
    tls: TlsFacts | None = None
    message: Message | None = None
    queue_id: str = ""

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the server offered, as it may be shown."""
        return tuple(f"{keyword} {values}".strip() for keyword, values in self.keywords.items())


def converse(session: Session) -> Asks[None]:
    """The whole conversation; returns when the server has accepted the mail."""
    yield from open_up(session)
    yield from _authenticate(session)
    yield from deliver(session)


def open_up(session: Session) -> Asks[None]:
    """Greeting, EHLO and TLS."""
    record, target = session.record, session.target
    if target.encryption is Encryption.IMPLICIT:
        record.begin(Stage.TLS)
        yield from _secure(session, Stage.TLS)
    else:
        record.skip(Stage.TLS)
    record.begin(Stage.GREETING)
    yield from _greeting(session)
    record.begin(Stage.EHLO)
    yield from _ehlo(session)
    if target.encryption is Encryption.STARTTLS:
        record.begin(Stage.STARTTLS)
        yield from _start_tls(session)
    else:
        record.skip(Stage.STARTTLS)
    record.done()


def _secure(session: Session, stage: Stage) -> Asks[None]:
    try:
        context = tls.context_for(session.target.ca_file)
    except OSError as error:
        raise Failure(Symptom.CA_FILE_UNREADABLE, words=error.strerror or str(error)) from None
    on_silence = session.on_silence if stage is Stage.TLS else None
    yield from session.link.start_tls(context, session.host.name, stage, on_silence)
    session.tls = session.link.tls_facts()


def _greeting(session: Session) -> Asks[None]:
    # Nothing may be sent before the greeting (RFC 5321 4.3.1)
    on_silence = None if session.link.encrypted else session.on_silence
    # Time is left to find out whether another port would have answered
    until = session.link.limit(share=GREETING_SHARE)
    answer = yield from session.link.hear(until, on_silence)
    session.banner = cut(session.record.said(answer.text))
    if not answer.positive:
        raise Failure(Symptom.REFUSED, reply=answer)


def _ehlo(session: Session) -> Asks[None]:
    link = session.link
    if not session.ehlo_name:
        try:
            session.ehlo_name = addresses.ehlo_name(session.target.ehlo_name, session.local)
        except ValueError as error:
            raise Failure(Symptom.EHLO_NAME_INVALID, words=str(error)) from None
    answer = yield from link.ask(f"EHLO {session.ehlo_name}".encode())
    session.keywords, session.mechanisms, session.used_helo = {}, (), False
    if answer.positive:
        _note_capabilities(session, answer)
    elif answer.code in (500, 501, 502, 504):
        # RFC 5321 3.2: a server that does not know EHLO is greeted the old way
        second = yield from link.ask(f"HELO {session.ehlo_name}".encode())
        if not second.positive:
            _expect_smtp(session)
            raise Failure(Symptom.REFUSED, reply=answer)
        session.used_helo = True
    else:
        _expect_smtp(session)
        raise Failure(Symptom.REFUSED, reply=answer)


def _expect_smtp(session: Session) -> None:
    """FTP, NNTP and LMTP greet with a code as SMTP does, and only stumble over EHLO."""
    if (found := _OTHER_SERVICES.search(session.banner)) is not None:
        raise Failure(Symptom.WRONG_PROTOCOL, protocol=found[1].upper())


def _note_capabilities(session: Session, answer: RawReply) -> None:
    mechanisms: dict[str, None] = {}
    for line in answer.lines[1:]:
        words = session.record.said(decoded(line)).split()
        if not words:
            continue
        # "AUTH=LOGIN" is how servers before RFC 2554 said it, and some still do
        keyword, equals, value = words[0].upper().partition("=")
        values = ([value] if equals and value else []) + words[1:]
        if keyword == "AUTH":
            mechanisms.update(dict.fromkeys(word.upper() for word in values))
        session.keywords[keyword] = " ".join(values)
    session.mechanisms = tuple(mechanisms)
    if mechanisms:
        session.keywords["AUTH"] = " ".join(mechanisms)


def _start_tls(session: Session) -> Asks[None]:
    link = session.link
    if "STARTTLS" not in session.keywords:
        raise Failure(Symptom.NOT_OFFERED)
    answer = yield from link.ask(b"STARTTLS")
    if not answer.positive:
        raise Failure(Symptom.REFUSED, reply=answer)
    # RFC 3207 4.2 and CVE-2011-0411: what came in clear behind the reply is not to be believed
    try:
        yield from link.expect_quiet()
    except Failure as failure:
        raise Failure(Symptom.INJECTED, reply=failure.reply) from None
    yield from _secure(session, Stage.STARTTLS)
    # RFC 3207 4.2: earlier capabilities are forgotten; this EHLO leaves with TLS's last flight
    yield from _ehlo(session)


# -- AUTH


def _authenticate(session: Session) -> Asks[None]:
    record, target = session.record, session.target
    if not target.auth:
        record.skip(Stage.AUTH)
        return
    record.begin(Stage.AUTH)
    sasl.check_credentials(target.username, target.password)
    if not session.mechanisms:
        raise Failure(
            Symptom.NOT_OFFERED, starttls="STARTTLS" in session.keywords, helo=session.used_helo
        )
    refused: RawReply | None = None
    for name in sasl.in_order(session.mechanisms, over_tls=session.link.encrypted):
        refused = yield from _try_mechanism(session, name)
        if refused is None:
            session.authenticated = True
            record.done()
            return
    if refused is not None:
        raise Failure(Symptom.REFUSED, reply=refused)
    raise Failure(
        Symptom.NO_COMMON_MECHANISM,
        offered=", ".join(session.mechanisms),
        oauth_only=set(session.mechanisms) <= _OAUTH,
    )


def _try_mechanism(session: Session, name: str) -> Asks[RawReply | None]:
    """None when logged in; the reply when ``name`` was refused before any credentials went."""
    link, target = session.link, session.target
    mechanism = sasl.start(name, target.username, target.password)
    command = f"AUTH {name}".encode()
    shown = f"AUTH {name}"
    sent = False
    if mechanism.first is not None:
        response = sasl.encode(mechanism.first)
        if len(command) + 1 + len(response) + 2 <= 512:  # RFC 4954 4: the line stays bound
            command += b" " + response
            shown += " (hidden)"
            session.record.secrets.add_token(response.decode())
            sent = True
    # With the challenge and the proof of SCRAM a reader of the transcript could try passwords
    hide = name not in ("PLAIN", "LOGIN")
    answer = yield from link.ask(command, shown, hide=hide)
    first_turn = True
    while answer.code == 334:
        try:
            if mechanism.first is not None and not sent:
                response, sent = mechanism.first, True
            else:
                response = mechanism.respond(sasl.decode(answer.lines[0]))
        except Failure:
            yield from link.farewell(b"*\r\n")  # RFC 4954 4: cancels the exchange
            raise
        first_turn = False
        token = sasl.encode(response)
        session.record.secrets.add_token(token.decode())
        answer = yield from link.ask(token, "(hidden)", hide=hide)
    if answer.positive:
        mechanism.check_success(answer.text)
        return None
    if first_turn and not sent and answer.code in (502, 504):
        return answer
    raise Failure(Symptom.REFUSED, reply=answer, mechanism=name)


# -- the mail


def deliver(session: Session) -> Asks[None]:
    """MAIL, RCPT, DATA and the message."""
    record, target = session.record, session.target
    record.begin(Stage.MAIL)
    sender = _mailbox(session, target.mail_from)
    try:
        recipient = _mailbox(session, target.rcpt_to)
    except Failure as failure:
        failure.stage = Stage.RCPT
        raise
    try:
        message = compose(
            sender,
            recipient,
            target.from_name,
            session.host.name,
            target.port,
            session.wall_clock(),
            target.arrival_url,
        )
    except ValueError as error:
        raise Failure(Symptom.FROM_NAME_UNSAFE, words=str(error)) from None
    session.message = message
    if target.arrival_url:
        # The server sees the mail and may say it back
        record.secrets.add_token(target.arrival_url.rpartition("/")[2])
    commands = (
        _mail_command(session, sender, recipient),
        f"RCPT TO:<{recipient.address}>".encode(),
    )
    grouped = session.pipelining and "PIPELINING" in session.keywords
    if grouped:
        yield from _envelope_at_once(session, *commands)
    else:
        yield from _envelope_in_turns(session, *commands)
    answer = yield from _content(session, message, grouped)
    if not answer.positive:
        raise Failure(Symptom.REFUSED, reply=answer, after_content=True)
    record.done()
    record.begin(Stage.ACCEPTED)
    record.done()
    session.queue_id = _queue_id(record.said(answer.text))


def _mailbox(session: Session, text: str) -> Mailbox:
    try:
        mailbox = addresses.parse_mailbox(text)
    except ValueError as error:
        raise Failure(Symptom.ADDRESS_INVALID, words=str(error).rstrip(".")) from None
    if mailbox.utf8 and "SMTPUTF8" not in session.keywords:
        raise Failure(Symptom.SMTPUTF8_MISSING)
    return mailbox


def _mail_command(session: Session, sender: Mailbox, recipient: Mailbox) -> bytes:
    command = f"MAIL FROM:<{sender.address}>"
    if "SIZE" in session.keywords and session.message is not None:  # RFC 1870
        command += f" SIZE={session.message.size}"
    if sender.utf8 or recipient.utf8:  # RFC 6531 3.4 wants 8BITMIME with it
        command += " BODY=8BITMIME SMTPUTF8"
    return command.encode()


def _envelope_in_turns(session: Session, mail: bytes, rcpt: bytes) -> Asks[None]:
    link, record = session.link, session.record
    _expect(2, (yield from link.ask(mail)))
    record.begin(Stage.RCPT)
    _expect(2, (yield from link.ask(rcpt)))
    record.begin(Stage.DATA)
    _expect(3, (yield from link.ask(b"DATA")))


def _envelope_at_once(session: Session, mail: bytes, rcpt: bytes) -> Asks[None]:
    """RFC 2920 3.1: one group, of which DATA must be the last."""
    link, record = session.link, session.record
    yield from link.expect_quiet()
    for command in (mail, rcpt, b"DATA"):
        link.say(command)
    stages = (Stage.MAIL, Stage.RCPT, Stage.DATA)
    answers: list[RawReply] = []
    refused: Failure | None = None
    for stage in stages:
        if refused is None and stage is not Stage.MAIL:
            record.begin(stage)
        try:
            answer = yield from link.hear(
                link.limit(1.0) if refused else link.limit(PIPELINE_PATIENCE, share=0.4)
            )
        except Failure as failure:
            if refused is not None:
                break  # the verdict is known; the rest was only to leave the server in step
            if failure.symptom in (Symptom.SILENT, Symptom.CLOSED):
                failure.stage = stage
                raise PipeliningLoses(failure, here=False) from None
            raise
        answers.append(answer)
        if refused is None and answer.code // 100 != (3 if stage is Stage.DATA else 2):
            refused = Failure(Symptom.REFUSED, stage=stage, reply=answer)
    if refused is None:
        return
    takes_data = len(answers) == 3 and answers[2].code == 354
    if takes_data and not answers[1].positive:
        link.say(b".")  # RFC 2920 3.1: what was opened is ended, with an empty mail to nobody
    elif takes_data:
        # It took a recipient for a mail that it refused; a dot could deliver an empty one
        yield from link.close()
    first = refused.reply
    if refused.stage is not Stage.MAIL and first is not None and first.code in _NOT_UNDERSTOOD:
        raise PipeliningLoses(refused, here=len(answers) == 3 and not takes_data)
    raise refused


def _expect(klass: int, answer: RawReply) -> None:
    if answer.code // 100 != klass:
        raise Failure(Symptom.REFUSED, reply=answer)


def _content(session: Session, message: Message, grouped: bool) -> Asks[RawReply]:
    link = session.link
    yield from link.expect_quiet()
    link.say(message.data, f"(the test mail, {message.size} octets, and a lone dot)")
    if grouped:
        # RFC 2920 3.1 lets QUIT follow; its answer is not awaited (RFC 5321 4.1.1.10: SHOULD)
        link.say(b"QUIT")
    try:
        answer = yield from link.hear()
    except Failure as failure:
        failure.facts["after_content"] = True  # nobody knows whether the mail was taken
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
