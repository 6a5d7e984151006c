"""Read a transcript of an SMTP session, whichever program wrote it down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..core.raw_reply import RawReply
from ..core.types import Stage
from .replies import MAX_LINES
from .unwrapping import content

MAX_CONTENT = 1000  # characters of one line

_SERVER = re.compile(r"([2-5][0-9][0-9])(?:([ -])(.{0,1000})|$)", re.ASCII)
_CLIENT = re.compile(
    r"(?:(EHLO|HELO|LHLO) \S|(STARTTLS)$|(AUTH)[ =][A-Z0-9-]{3,24}|(MAIL) FROM: ?<?"
    r"|(RCPT) TO: ?<?|(DATA)$|(QUIT)$|(RSET|NOOP|VRFY|HELP)\b|(\.)$)",
    re.IGNORECASE | re.ASCII,
)
_STAGES = {
    "EHLO": Stage.EHLO, "HELO": Stage.EHLO, "LHLO": Stage.EHLO, "STARTTLS": Stage.STARTTLS,
    "AUTH": Stage.AUTH, "MAIL": Stage.MAIL, "RCPT": Stage.RCPT, "DATA": Stage.DATA,
    ".": Stage.DATA,
}  # fmt: skip
_NEXT = {
    Stage.GREETING: Stage.EHLO, Stage.EHLO: Stage.MAIL, Stage.STARTTLS: Stage.TLS,
    Stage.AUTH: Stage.MAIL, Stage.MAIL: Stage.RCPT, Stage.RCPT: Stage.DATA,
    Stage.DATA: Stage.DATA,
}  # fmt: skip
_ADDRESS = re.compile(r"(?:FROM|TO): ?<?([^<>\s]{1,254})", re.IGNORECASE)
_TLS_STARTED = re.compile(
    r"TLS started with cipher|Starting TLS|SSL connection using|New, TLSv1|Cipher is (?!\(NONE\))"
    r"|TLS connection established|SSL handshake has read",
    re.IGNORECASE,
)
_CLOSED = re.compile(
    r"Connection closed by foreign host|Remote host closed connection|unexpectedly (?:closed"
    r"|disconnected)|EOF caught|end of file reached|Connection reset by peer|lost connection",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Dialogue:
    """What a transcript tells of its session."""

    banner: str = ""
    ehlo: str = ""
    mail_from: str = ""
    rcpt_to: str = ""
    authenticated: bool = False
    auth_tried: bool = False
    starttls: bool = False
    encrypted: bool = False
    accepted: RawReply | None = None
    failures: list[tuple[Stage, RawReply]] = field(default_factory=list)
    at: Stage = Stage.GREETING  # whose reply came last, or was never received
    awaited: bool = True
    closed: bool = False


def read(text: str) -> Dialogue | None:
    """The session that ``text`` holds; None where it holds none."""
    lines = [content(line)[:MAX_CONTENT] for line in text.split("\n")]
    has_client = any(_CLIENT.match(line) for line in lines)
    positive = sum(1 for line in lines if re.match(r"(?:220|235|250|334|354)(?:[ -]|$)", line))
    if not (has_client and (positive or any(map(_SERVER.match, lines)))) and positive < 2:
        return None
    session = Dialogue()
    for value in _events(lines):
        if isinstance(value, RawReply):
            _answer(session, value)
        else:
            _command(session, value)
    for line in lines:
        session.encrypted |= _TLS_STARTED.search(line) is not None
        session.closed |= _CLOSED.search(line) is not None
    return session


def _events(lines: list[str]) -> Iterator[str | RawReply]:
    code, parts = "", list[str]()
    for line in lines:
        found = _SERVER.match(line)
        if found is None:
            if code:
                yield _reply(code, parts)
                code, parts = "", []
            if _CLIENT.match(line):
                yield line
            continue
        if code and found[1] != code:
            yield _reply(code, parts)
            parts = []
        code = found[1]
        parts.append((found[3] or "").strip("'\" "))
        if found[2] != "-":
            yield _reply(code, parts)
            code, parts = "", []
    if code:
        yield _reply(code, parts)


def _reply(code: str, parts: list[str]) -> RawReply:
    return RawReply(int(code), tuple(part.encode() for part in parts[:MAX_LINES]))


def _command(session: Dialogue, line: str) -> None:
    found = _CLIENT.match(line)
    verb = next(filter(None, found.groups()), "").upper() if found else ""
    stage = _STAGES.get(verb)
    if stage is None:
        return
    if stage is Stage.EHLO:
        session.ehlo = line.split(" ", 1)[1].strip()[:255]
    elif stage is Stage.STARTTLS:
        session.starttls = True
    elif stage is Stage.AUTH:
        session.auth_tried = True
    elif stage in (Stage.MAIL, Stage.RCPT) and (address := _ADDRESS.search(line)):
        if stage is Stage.MAIL:
            session.mail_from = address[1]
        elif not any(at is Stage.RCPT for at, _ in session.failures):
            session.rcpt_to = address[1]
    session.at, session.awaited = stage, True


def _answer(session: Dialogue, reply: RawReply) -> None:
    if reply.code == 220 and session.at is Stage.GREETING:
        session.banner = session.banner or reply.text[:255]
    if reply.code >= 400:
        # Servers often repeat themselves after QUIT, or answer 503 to what follows
        session.failures.append((session.at, reply))
    elif reply.code == 235:
        session.authenticated = True
        session.failures = [one for one in session.failures if one[0] is not Stage.AUTH]
    elif reply.code == 250 and session.at is Stage.EHLO:
        session.failures = [one for one in session.failures if one[0] is not Stage.EHLO]
    elif reply.code == 220 and session.at is Stage.STARTTLS:
        session.encrypted = True
    elif reply.code == 250 and session.at is Stage.DATA:
        session.accepted = reply
    session.awaited = reply.code in (334, 354)


def stage_after(stage: Stage) -> Stage:
    """The stage that begins once the reply of ``stage`` has come."""
    return _NEXT.get(stage, stage)
