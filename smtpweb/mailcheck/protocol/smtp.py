"""The SMTP conversation from greeting to outcome, in the fewest round trips the RFCs allow.

Sans I/O: every ``yield from`` goes to the link, which goes to the driver. A step raises
:class:`Failure` if the check ends there.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from ..core import addresses
from ..core.effects import Asks
from ..core.failure import Failure, Symptom
from ..core.modes import Encryption
from ..core.raw_reply import RawReply, decoded
from ..core.redaction import cleaned
from ..core.trust import TrustKind
from ..core.types import Stage
from . import tls
from .delivery import deliver
from .login import authenticate
from .session import Session

__all__ = ["Session", "converse", "open_up"]

# Share of the remaining time: if a wrong port or mode may be the reason for the silence, the rest
# is for finding out whether another one works
PATIENT_SHARE = 0.7

_OTHER_SERVICES = re.compile(r"(?<![A-Za-z-])(?:vs)?(FTP|NNTP|LMTP)(?:d|\b)", re.IGNORECASE)


def converse(session: Session) -> Asks[None]:
    """Run the whole conversation; return once the server has accepted the email."""
    yield from open_up(session)
    yield from authenticate(session)
    yield from deliver(session)


def open_up(session: Session) -> Asks[None]:
    """Run the greeting, EHLO and TLS."""
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
    target = session.target
    try:
        context = tls.context_for(target.ca_file, target.trust, target.identity)
    except OSError as error:
        raise Failure(Symptom.CA_FILE_UNREADABLE, words=error.strerror or str(error)) from None
    except tls.UnusableTrust as error:
        raise Failure(Symptom.TRUST_INVALID, words=str(error)) from None
    on_silence = session.on_silence if stage is Stage.TLS else None
    yield from session.link.start_tls(
        context, session.host.name, stage, on_silence, share=PATIENT_SHARE
    )
    session.tls = session.link.tls_facts()
    if target.trust.kind is TrustKind.PIN:
        yield from _require_pin(session, target.trust.pin, stage)


def _require_pin(session: Session, pin: str, stage: Stage) -> Asks[None]:
    """Compare the server's key with the trusted one, before anything is sent inside TLS."""
    shown = session.tls.pin if session.tls is not None else ""
    if not pin or not hmac.compare_digest(shown, pin):
        yield from session.link.drop()
        raise Failure(Symptom.CERTIFICATE_PIN, stage=stage, pinned=pin, presented=shown)


def _greeting(session: Session) -> Asks[None]:
    # Nothing may be sent before the greeting (RFC 5321 4.3.1)
    on_silence = None if session.link.encrypted else session.on_silence
    answer = yield from _hear_at_length(session, on_silence)
    session.banner = session.record.said(answer.text)
    if not answer.positive:
        raise Failure(Symptom.REFUSED, reply=answer)


def _hear_at_length(
    session: Session, on_silence: Callable[[], Asks[None]] | None = None
) -> Asks[RawReply]:
    """Return the next reply, however late; try other modes once during a long silence."""
    link = session.link
    if session.on_long_silence is None:
        return (yield from link.hear(on_silence=on_silence))
    try:
        return (yield from link.hear(link.limit(share=PATIENT_SHARE), on_silence))
    except Failure as failure:
        if failure.symptom is not Symptom.SILENT:
            raise
    yield from session.on_long_silence()
    return (yield from link.hear())


def _ask_at_length(session: Session, command: bytes) -> Asks[RawReply]:
    yield from session.link.expect_quiet()
    session.link.say(command)
    return (yield from _hear_at_length(session))


def _ehlo(session: Session) -> Asks[None]:
    link = session.link
    if not session.ehlo_name:
        try:
            session.ehlo_name = addresses.ehlo_name(session.target.ehlo_name, session.local)
        except ValueError as error:
            raise Failure(Symptom.EHLO_NAME_INVALID, words=str(error)) from None
    answer = yield from _ask_at_length(session, f"EHLO {session.ehlo_name}".encode())
    session.keywords, session.mechanisms, session.used_helo = {}, (), False
    if answer.positive:
        _note_capabilities(session, answer)
    elif answer.code in (500, 501, 502, 504):
        # RFC 5321 3.2: fall back to HELO if the server does not support EHLO
        second = yield from link.ask(f"HELO {session.ehlo_name}".encode())
        if not second.positive:
            _expect_smtp(session)
            raise Failure(Symptom.REFUSED, reply=answer)
        session.used_helo = True
    else:
        _expect_smtp(session)
        raise Failure(Symptom.REFUSED, reply=answer)


def _expect_smtp(session: Session) -> None:
    """Reject FTP, NNTP and LMTP, which greet with a code like SMTP but do not know EHLO."""
    if (found := _OTHER_SERVICES.search(session.banner)) is not None:
        raise Failure(Symptom.WRONG_PROTOCOL, protocol=found[1].upper())


def _note_capabilities(session: Session, answer: RawReply) -> None:
    mechanisms: dict[str, None] = {}
    for line in answer.lines[1:]:
        # Unscrubbed: a password such as "login" must not remove a mechanism from the list
        words = cleaned(decoded(line)).split()
        if not words:
            continue
        # "AUTH=LOGIN" is the form from before RFC 2554, which some servers still use
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
    answer = yield from _ask_at_length(session, b"STARTTLS")
    if not answer.positive:
        raise Failure(Symptom.REFUSED, reply=answer)
    yield from link.expect_nothing()
    yield from _secure(session, Stage.STARTTLS)
    # RFC 3207 4.2: discard earlier capabilities; this EHLO is sent with the last TLS flight
    yield from _ehlo(session)
