"""Whether servers answer: connections up to EHLO, inside verified TLS, without login or mail."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..core.effects import Asks, Together
from ..core.failure import Symptom
from ..core.types import Stage, Target
from ..diagnosis.matcher import Seen, diagnose
from ..flow.check import approach
from .sync import drive

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """``works``: reached EHLO, with the encryption that was asked for; else the cause.

    ``code``, ``title`` and ``facts`` are those of a :class:`~..core.types.Report`.
    """

    works: bool
    code: str
    title: str
    facts: dict[str, str] = field(default_factory=dict)


def probe(targets: Sequence[Target]) -> tuple[Answer, ...]:
    """Ask all of them at the same time, within the ``timeout`` and the policy of each.

    Of a target only host, port, encryption and policy count. Nothing is raised.
    """
    return drive(_all(targets))


def _all(targets: Sequence[Target]) -> Asks[tuple[Answer, ...]]:
    courses = tuple(_one(target) for target in targets)
    if not courses:
        return ()
    try:
        answers: tuple[Answer, ...] = yield Together(courses)
    except RuntimeError:  # the system gives no more threads
        _log.warning("servers could not be asked", exc_info=True)
        busy = diagnose(Seen(Stage.CONNECT, Symptom.TOO_BUSY))
        return tuple(Answer(False, busy.id, busy.title, busy.facts) for _ in targets)
    return answers


def _one(target: Target) -> Asks[Answer]:
    report = yield from approach(target, time.monotonic)
    return Answer(report.accepted, report.code, report.title, report.facts)
