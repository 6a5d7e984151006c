"""AUTH (RFC 4954): try the mechanisms in order until the server supports one."""

from __future__ import annotations

from ..core.effects import Asks
from ..core.failure import Failure, Symptom
from ..core.raw_reply import RawReply
from ..core.types import Stage
from . import sasl
from .session import Session

_OAUTH = frozenset({"XOAUTH", "XOAUTH2", "OAUTHBEARER"})


def authenticate(session: Session) -> Asks[None]:
    """Authenticate, if the check requires it, with the first mechanism the server supports."""
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
    tried: list[str] = []
    refused: RawReply | None = None
    unusable: Failure | None = None
    for name in sasl.in_order(session.mechanisms, over_tls=session.link.encrypted):
        try:
            mechanism = sasl.start(name, target.username, target.password)
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
    )


def _try_mechanism(session: Session, mechanism: sasl.Mechanism) -> Asks[RawReply | None]:
    """Return None on success, or the reply if the server does not support the mechanism."""
    link, name = session.link, mechanism.name
    command = f"AUTH {name}".encode()
    shown = f"AUTH {name}"
    sent = False
    if mechanism.first is not None:
        response = sasl.encode(mechanism.first)
        if len(command) + 1 + len(response) + 2 <= 512:  # RFC 4954 4: line limit applies
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
        token = sasl.encode(response)
        session.record.secrets.add_token(token.decode())
        answer = yield from link.ask(token, "(hidden)", hide=hide)
    if answer.positive:
        mechanism.check_success(answer.text)
        return None
    # RFC 4954 4, RFC 5321 4.2.4: the mechanism is unknown, so the credentials were not checked
    if answer.code in (502, 504):
        return answer
    raise Failure(Symptom.REFUSED, reply=answer, mechanism=name)
