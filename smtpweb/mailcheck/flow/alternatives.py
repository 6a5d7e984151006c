"""Check whether the same host works on another port or with another kind of TLS.

Each probe is a connection up to EHLO, inside TLS with a verified certificate, and QUIT. It sends
no credentials and no email, and an unencrypted mode is never proposed.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass

from ..core.addresses import Host
from ..core.effects import Asks, Connect, Connected, NotConnected, Together
from ..core.egress import Address
from ..core.failure import Failure, Symptom
from ..core.modes import ENCRYPTION_NAMES, Encryption, Mode
from ..core.recorder import Recorder
from ..core.redaction import Secrets
from ..core.types import NOT_TRIED, TIMED_OUT, Stage, Target
from ..protocol.connection import Connection
from ..protocol.session import Session
from ..protocol.smtp import open_up

LIMIT = 5.0  # seconds for all probes together, which run concurrently
_CONNECT_LIMIT = 3.0  # for each address
_WORTH_IT = 0.2  # seconds; with less time left, do not start

_log = logging.getLogger(__name__)

# Another port would end the same way
_NO_HELP = frozenset({
    Symptom.OUR_BUG, Symptom.CA_FILE_UNREADABLE, Symptom.TRUST_INVALID, Symptom.CERTIFICATE_PIN,
    Symptom.SOURCE_ADDRESS,
})  # fmt: skip
_STAGES = frozenset({Stage.CONNECT, Stage.TLS, Stage.STARTTLS})
# A greeting like this means another service, or one that waits for something we did not send
_NO_GREETING = frozenset({
    Symptom.TLS_EXPECTED, Symptom.NOT_TLS, Symptom.WRONG_PROTOCOL, Symptom.SILENT, Symptom.CLOSED,
    Symptom.MALFORMED, Symptom.TOO_LONG, Symptom.OUT_OF_STEP,
})  # fmt: skip
# The encryption that a failure suggests for the same port
_SAME_PORT = {
    Symptom.TLS_EXPECTED: Encryption.IMPLICIT,
    Symptom.NOT_TLS: Encryption.STARTTLS,
    Symptom.NOT_OFFERED: Encryption.STARTTLS,
}


def may_help(failure: Failure, stage: Stage) -> bool:
    """Check whether a wrong port or a wrong mode could cause a failure at ``stage``."""
    if failure.symptom in _NO_HELP:
        return False
    if stage in (Stage.GREETING, Stage.EHLO):
        return failure.symptom in _NO_GREETING
    return stage in _STAGES or (stage is Stage.AUTH and failure.symptom is Symptom.NOT_OFFERED)


class Finding(enum.Enum):
    """The result of trying one other mode."""

    WORKS = enum.auto()
    FAILS = enum.auto()
    SILENT = enum.auto()  # no packet was received


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of trying the other modes. ``working``: best first.

    ``all_silent``: several ports were tried, and none sent a packet.
    """

    working: tuple[Mode, ...] = ()
    all_silent: bool = False


def tried(
    failure: Failure,
    target: Target,
    host: Host,
    vetted: tuple[Address, ...],
    record: Recorder,
    deadline: float,
) -> Asks[Tried]:
    """Try the other modes, for at most :data:`LIMIT` seconds and not past ``deadline``."""
    until = min(deadline, record.clock() + LIMIT)
    modes = _modes(failure, target, host, vetted)
    if not modes or until - record.clock() < _WORTH_IT:
        return Tried()
    probes = tuple(_try(mode, target, host, vetted, record.clock, until) for mode in modes)
    try:
        findings: tuple[Finding, ...] = yield Together(probes)
    except RuntimeError:  # the system cannot start more threads: keep the outcome without it
        _log.warning("other modes could not be tried", exc_info=True)
        return Tried()
    found = tuple(
        mode for mode, finding in zip(modes, findings, strict=True) if finding is Finding.WORKS
    )
    for mode in found:
        record.remark(
            f"port {mode.port} of the same host works by {ENCRYPTION_NAMES[mode.encryption]}"
        )
    if not found:
        ports = ", ".join(str(port) for port in sorted({mode.port for mode in modes}))
        record.remark(f"other modes were tried (port {ports}): none works")
    others = {mode.port for mode in modes} - {target.port}
    silent = len(others) > 1 and all(finding is Finding.SILENT for finding in findings)
    return Tried(found, silent and failure.symptom is Symptom.CONNECT_TIMEOUT)


def _modes(
    failure: Failure, target: Target, host: Host, vetted: tuple[Address, ...]
) -> tuple[Mode, ...]:
    """Return the modes to try: the one the failure suggests, then the usual, within the policy."""
    wanted = list(target.other_modes)
    hinted = _SAME_PORT.get(failure.symptom)
    if failure.symptom is Symptom.NOT_OFFERED and not failure.facts.get("starttls"):
        hinted = None  # it offers neither AUTH nor STARTTLS
    if hinted is not None:
        wanted.insert(0, Mode(target.port, hinted))
    return tuple(
        mode
        for mode in dict.fromkeys(wanted)
        if mode != Mode(target.port, target.encryption)
        and mode.encryption is not Encryption.NONE
        and target.policy.refuses_port(host.name, mode.port) is None
        and not any(target.policy.refuses(address, mode.port) for address in vetted)
    )


def _try(
    mode: Mode,
    target: Target,
    host: Host,
    vetted: tuple[Address, ...],
    clock: Callable[[], float],
    until: float,
) -> Asks[Finding]:
    try:
        connected: Connected = yield Connect(
            vetted, mode.port, until, _CONNECT_LIMIT, target.source_address
        )
    except NotConnected as error:
        silent = all(one.outcome in (TIMED_OUT, NOT_TRIED) for one in error.outcomes)
        return Finding.SILENT if silent else Finding.FAILS
    asked = dataclasses.replace(
        target,
        port=mode.port,
        encryption=mode.encryption,
        username="",
        password="",
        access_token="",
    )
    record = Recorder(clock, Secrets("", ""))  # keep this out of the transcript
    link = Connection(connected.handle, record, until)
    session = Session(asked, host, link, record, connected.local)
    try:
        yield from open_up(session)
        works = bool(session.mechanisms) or not target.auth
    except Failure:
        works = False
    except Exception:
        _log.exception("a probe ended by a bug of ours")
        works = False
    yield from link.farewell()
    return Finding.WORKS if works else Finding.FAILS
