"""AUTH (RFC 4954): try the mechanisms in order until the server supports one."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.effects import Asks
from ..core.failure import Failure, Symptom
from ..core.raw_reply import RawReply
from ..core.types import Stage
from . import oauth, sasl
from .session import Session

MAX_COMMAND = 512  # octets of a command line with its CRLF (RFC 5321 4.5.3.1.4, RFC 4954 4)

_OAUTH = frozenset({"XOAUTH", *oauth.ORDER})


def authenticate(session: Session) -> Asks[None]:
    """Authenticate, if the check requires it, with the first mechanism the server supports."""
    record, target = session.record, session.target
    if not target.auth:
        record.skip(Stage.AUTH)
        return
    record.begin(Stage.AUTH)
    if target.access_token:
        oauth.check_credentials(target.username, target.access_token)
    else:
        sasl.check_credentials(target.username, target.password)
    if not session.mechanisms:
        raise Failure(
            Symptom.NOT_OFFERED, starttls="STARTTLS" in session.keywords, helo=session.used_helo
        )
    tried: list[str] = []
    refused: RawReply | None = None
    unusable: Failure | None = None
    for name in _in_order(session):
        try:
            mechanism = _start(session, name)
        except Failure as failure:
            unusable = failure
            continue
        tried.append(name)
        refused = yield from _try_mechanism(session, mechanism)
        if refused is None:
            session.authenticated = True
            record.done()
            return
    if refused is not None:
        raise Failure(
            Symptom.REFUSED,
            reply=refused,
            mechanism=", ".join(tried),
            offered=", ".join(session.mechanisms),
        )
    if unusable is not None:
        raise unusable
    raise Failure(
        Symptom.NO_COMMON_MECHANISM,
        offered=", ".join(session.mechanisms),
        oauth_only=set(session.mechanisms) <= _OAUTH,
        chosen=bool(target.mechanism),
        unfit=(target.mechanism in oauth.ORDER) != bool(target.access_token),
        mechanism=target.mechanism,
    )


def _in_order(session: Session) -> Iterator[str]:
    """Return the offered mechanisms for what we have, a token or a password, best first.

    A chosen mechanism is the only one, so that a check proves that one.
    """
    target = session.target
    if target.mechanism:
        fits = (target.mechanism in oauth.ORDER) == bool(target.access_token)
        return iter([target.mechanism] if fits and target.mechanism in session.mechanisms else [])
    if target.access_token:
        return (name for name in oauth.ORDER if name in session.mechanisms)
    return sasl.in_order(session.mechanisms, over_tls=session.link.encrypted)


def _start(session: Session, name: str) -> sasl.Mechanism:
    target = session.target
    if target.access_token:
        return oauth.start(
            name, target.username, target.access_token, session.host.name, target.port
        )
    return sasl.start(name, target.username, target.password)


def _try_mechanism(session: Session, mechanism: sasl.Mechanism) -> Asks[RawReply | None]:
    """Return None on success, or the reply if the server does not support the mechanism."""
    link, name = session.link, mechanism.name
    command = f"AUTH {name}".encode()
    shown = f"AUTH {name}"
    sent = False
    if mechanism.first is not None:
        response = sasl.encode(mechanism.first)
        if len(command) + 1 + len(response) + 2 <= MAX_COMMAND:
            command += b" " + response
            shown += " (hidden)"
            session.record.secrets.add_token(response.decode())
            sent = True
    # With the SCRAM challenge and proof, a reader of the transcript could test passwords
    hide = name not in ("PLAIN", "LOGIN")
    answer = yield from link.ask(command, shown, hide=hide)
    turns = 0
    while answer.code == 334:
        turns += 1
        try:
            if turns > sasl.MAX_TURNS:
                raise Failure(Symptom.BAD_CHALLENGE)
            if sent or mechanism.first is None:
                response = mechanism.respond(answer.lines[0])
            else:
                response, sent = mechanism.respond_first(), True
        except Failure:
            yield from link.farewell(b"*\r\n")  # RFC 4954 4: cancels the exchange
            raise
        if isinstance(mechanism, oauth.OAuth) and mechanism.refusal is not None:
            answer = yield from _acknowledge(session, mechanism.refusal, response)
            continue
        token = sasl.encode(response)
        session.record.secrets.add_token(token.decode())
        answer = yield from link.ask(token, "(hidden)", hide=hide)
    if answer.positive:
        mechanism.check_success(answer.text)
        return None
    # RFC 4954 4, RFC 5321 4.2.4: the mechanism is unknown, so the credentials were not checked
    if answer.code in (502, 504):
        return answer
    failure = Failure(Symptom.REFUSED, reply=answer, mechanism=name)
    if isinstance(mechanism, oauth.OAuth) and mechanism.refusal is not None:
        failure.facts |= _facts_of(mechanism.refusal)
    raise failure


def _acknowledge(session: Session, refusal: oauth.Refusal, response: bytes) -> Asks[RawReply]:
    """Answer an error challenge, which shows in the transcript as words instead of base64."""
    said = session.record.said
    words = ", ".join(
        f"{name.removeprefix('token_')} {said(value)}" for name, value in _facts_of(refusal).items()
    )
    session.record.remark(f"the server refuses the access token: {words or 'without a reason'}")
    line = sasl.encode(response)  # nothing in it is secret
    shown = line.decode() or "(an empty line)"
    return (yield from session.link.ask(line, shown, hide=True))


def _facts_of(refusal: oauth.Refusal) -> dict[str, str]:
    values = {
        "token_status": refusal.status,
        "token_schemes": refusal.schemes,
        "token_scope": refusal.scope,
    }
    return {name: value for name, value in values.items() if value}
