"""Record a running check: the stages with their times, and the transcript.

Credentials are excluded by design: :meth:`Recorder.client` gets what to show, never what was
sent. All server text goes through :meth:`Recorder.said`, the only function that creates
:data:`ServerText`: replies, capabilities, the names in the certificate, the queue ID.
"""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Callable

from .raw_reply import RawReply, decoded
from .redaction import HIDDEN, Secrets, cleaned, cut
from .types import Line, Outcome, Reply, ServerText, Stage, Step, TlsFacts

MAX_TRANSCRIPT = 400  # lines; a normal conversation has about thirty

_log = logging.getLogger(__name__)

Watch = Callable[[Step], None]

_CODES = re.compile(r"[0-9]{3}[ -](?:[245]\.[0-9]{1,3}\.[0-9]{1,3}(?:\s|$))?", re.ASCII)


def _without_codes(line: str) -> str:
    return _CODES.sub("", line, count=1)


class Recorder:
    """The record of one check. ``clock`` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float], secrets: Secrets, watch: Watch | None = None):
        self.clock = clock
        self.secrets = secrets
        self.stage = Stage.POLICY
        self.started = clock()
        self._watch = watch
        self._begun = self.started
        self._steps: dict[Stage, Step] = {}
        self._lines: list[Line] = []
        self._sealed = False  # no more server text is shown

    def begin(self, stage: Stage) -> None:
        """Start ``stage``; mark the current stage as done if it has not ended yet."""
        if stage is not self.stage:
            self.done()
        self.stage = stage
        self._begun = self.clock()
        self._tell(Step(stage, Outcome.UNDER_WAY))

    def done(self) -> None:
        """Mark the current stage as done."""
        if self.stage not in self._steps:
            self._end(self.stage, Outcome.DONE)

    def skip(self, stage: Stage) -> None:
        """Mark ``stage`` as not part of this conversation, and the current one as done."""
        self.done()
        self._steps[stage] = Step(stage, Outcome.SKIPPED)
        self._tell(self._steps[stage])

    def precede(self, stage: Stage, outcome: Outcome, milliseconds: float | None = None) -> None:
        """Record a ``stage`` that ended before the conversation began."""
        self._steps[stage] = Step(stage, outcome, milliseconds)
        self._tell(self._steps[stage])

    def fail(self, stage: Stage) -> None:
        """Mark ``stage`` as failed; later ones, even if already started, count as not reached."""
        if stage is not self.stage:
            order = list(Stage)
            for later in order[order.index(stage) :]:
                self._steps.pop(later, None)
            self.stage = stage
        self._end(stage, Outcome.FAILED)

    def again(self, stage: Stage) -> None:
        """Start the conversation over at ``stage``, discarding what was recorded from there on."""
        order = list(Stage)
        for later in order[order.index(stage) :]:
            self._steps.pop(later, None)
        self.stage = stage
        self._begun = self.clock()

    def noted(self) -> tuple[Stage, dict[Stage, Step]]:
        """Return the current stage and the steps so far, for :meth:`restore`."""
        return self.stage, dict(self._steps)

    def restore(self, noted: tuple[Stage, dict[Stage, Step]]) -> None:
        """Return to an earlier conversation and continue where it stopped."""
        stage, steps = noted
        self.again(stage)
        self._steps = dict(steps)
        self._tell(Step(stage, Outcome.UNDER_WAY))

    def steps(self) -> tuple[Step, ...]:
        """Return every stage in order."""
        return tuple(self._steps.get(stage) or Step(stage, Outcome.NOT_REACHED) for stage in Stage)

    def client(self, shown: str) -> None:
        """Record a client command in the form that may be shown."""
        self._write("C", shown)

    def server(self, answer: RawReply, *, hide: bool = False) -> None:
        """Record a reply line by line; ``hide`` its text if it would help to guess credentials."""
        if hide and answer.code in (235, 334):
            self._write("S", f"{answer.code} {HIDDEN}")
            return
        for line in answer.before if not hide else ():
            self._write("S", cut(self.said(decoded(line))))
        *first, last = answer.lines
        for line in first:
            self._write("S", cut(f"{answer.code}-{self.said(decoded(line))}"))
        self._write("S", cut(f"{answer.code} {self.said(decoded(last))}"))

    def remark(self, text: str) -> None:
        """Record a remark that neither side sent."""
        self._write("*", text)

    def said(self, text: str) -> ServerText:
        """Return server text that is safe to store: one line, no credentials, limited in length."""
        if self._sealed:
            return ServerText(HIDDEN if text else "")
        return ServerText(cut(self.secrets.scrubbed(cleaned(text))))

    def seal(self, *others: str) -> None:
        """Hide all server text if a secret is spread over it.

        Call this before building the report. ``others`` are texts that are not in the
        transcript, in reading order.
        """
        lines = [line.text for line in self._lines if line.direction == "S"]
        words = [_without_codes(line) for line in lines]
        self._sealed = self.secrets.are_in("".join(words)) or self.secrets.are_in("".join(others))

    def reply(self, answer: RawReply) -> Reply:
        """Return a reply for the report."""
        # The server also chooses the digits
        enhanced = answer.enhanced if self.said(answer.enhanced) == answer.enhanced else ""
        return Reply(answer.code, ServerText(enhanced), self.said(answer.text))

    def tls(self, facts: TlsFacts) -> TlsFacts:
        """Clean certificate data again: later server text may have sealed the record."""
        return dataclasses.replace(
            facts,
            subject=self.said(facts.subject),
            names=tuple(self.said(name) for name in facts.names),
            issuer=self.said(facts.issuer),
        )

    def transcript(self) -> tuple[Line, ...]:
        """Return the lines so far."""
        if not self._sealed:
            return tuple(self._lines)
        return tuple(
            dataclasses.replace(line, text=f"{line.text[:4]}{HIDDEN}")
            if line.direction == "S"
            else line
            for line in self._lines
        )

    def milliseconds(self) -> float:
        """Return the time since the start."""
        return round((self.clock() - self.started) * 1000, 1)

    def _write(self, direction: str, text: str) -> None:
        if len(self._lines) < MAX_TRANSCRIPT:
            milliseconds = round((self.clock() - self.started) * 1000, 1)
            self._lines.append(Line(direction, milliseconds, text))
        elif len(self._lines) == MAX_TRANSCRIPT:
            self._lines.append(Line("*", self.milliseconds(), "the rest was not kept"))

    def _end(self, stage: Stage, outcome: Outcome) -> None:
        took = round((self.clock() - self._begun) * 1000, 1)
        self._steps[stage] = Step(stage, outcome, took)
        self._tell(self._steps[stage])

    def _tell(self, step: Step) -> None:
        if self._watch is None:
            return
        try:
            self._watch(step)
        except Exception:
            # The watcher may be a browser that disconnected; continue without it
            _log.warning("a watcher of a check failed and is not told more", exc_info=True)
            self._watch = None
