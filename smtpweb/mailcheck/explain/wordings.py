"""Recognize what happened by the messages of libraries and programs (``wordings.toml``)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..core.failure import Symptom
from ..core.once import once
from ..core.raw_reply import RawReply
from ..core.types import Stage

FILE = Path(__file__).with_suffix(".toml")

_URLS = re.compile(r"https?://[^ ]{1,300}")
_BLANKS = re.compile(r"\s+")
# If neither a command nor a library's message shows the stage, the reply itself usually does.
_BY_ENHANCED = {
    "1.1": Stage.RCPT, "1.2": Stage.RCPT, "1.3": Stage.RCPT, "1.6": Stage.RCPT, "1.10": Stage.RCPT,
    "2.1": Stage.RCPT, "2.2": Stage.RCPT, "1.7": Stage.MAIL, "1.8": Stage.MAIL, "7.0": Stage.MAIL,
    "7.8": Stage.AUTH, "7.9": Stage.AUTH, "7.3": Stage.AUTH, "7.139": Stage.AUTH,
    "7.57": Stage.MAIL, "4.5": Stage.DATA, "3.4": Stage.DATA, "7.26": Stage.DATA,
    "7.60": Stage.DATA,
}  # fmt: skip
_BY_CODE = {
    421: Stage.GREETING, 450: Stage.RCPT, 451: Stage.RCPT, 452: Stage.RCPT, 432: Stage.AUTH,
    454: Stage.AUTH, 500: Stage.EHLO, 501: Stage.MAIL, 502: Stage.MAIL, 503: Stage.MAIL,
    504: Stage.AUTH, 521: Stage.GREETING, 525: Stage.AUTH, 526: Stage.AUTH, 530: Stage.MAIL,
    534: Stage.AUTH, 535: Stage.AUTH, 538: Stage.AUTH, 550: Stage.RCPT, 551: Stage.RCPT,
    552: Stage.DATA, 553: Stage.MAIL, 554: Stage.DATA, 555: Stage.MAIL,
}  # fmt: skip
_BY_WORDS = (
    # A refusing greeting names the server first: "554 mx.example.com ESMTP not available"
    (
        re.compile(r"^[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,9} .{0,40}\bESMTP\b", re.IGNORECASE),
        Stage.GREETING,
    ),
    (re.compile(r"\b(?:helo|ehlo)\b", re.IGNORECASE), Stage.EHLO),
    (
        re.compile(
            r"\bsender|\bfrom (?:address|header|domain)|mail from|send as\b|not owned",
            re.IGNORECASE,
        ),
        Stage.MAIL,
    ),
    (
        re.compile(r"recipient|mailbox|user unknown|no such user|rcpt|relay", re.IGNORECASE),
        Stage.RCPT,
    ),
    (
        re.compile(r"\bspam|\bmessage\b|\bcontent|virus|dkim|dmarc|attachment", re.IGNORECASE),
        Stage.DATA,
    ),
)


@dataclass(frozen=True, slots=True)
class Wording:
    """Lowercase phrases with the same meaning."""

    stage: Stage
    phrases: tuple[str, ...]
    symptom: Symptom | None = None
    patterns: tuple[re.Pattern[str], ...] = ()

    def stands_in(self, text: str) -> bool:
        """Check whether the folded ``text`` contains one of the phrases."""
        return any(map(text.__contains__, self.phrases)) or any(
            pattern.search(text) for pattern in self.patterns
        )


@once
def _tables() -> tuple[tuple[Wording, ...], tuple[Wording, ...]]:
    data = tomllib.loads(FILE.read_text(encoding="utf-8"))
    wordings = tuple(
        Wording(
            Stage(one["stage"]),
            tuple(one["phrases"]),
            Symptom(one["symptom"]),
            tuple(map(re.compile, one.get("patterns", ()))),
        )
        for one in data["wording"]
    )
    clues = tuple(Wording(Stage(one["stage"]), tuple(one["phrases"])) for one in data["clue"])
    return wordings, clues


def wordings() -> tuple[Wording, ...]:
    """Return the wordings of symptoms without a reply; the first match decides."""
    return _tables()[0]


def clues() -> tuple[Wording, ...]:
    """Return the wordings that show at which stage a reply came."""
    return _tables()[1]


def folded(text: str) -> str:
    """Return ``text`` normalized like the phrases."""
    return _BLANKS.sub(" ", text).lower()


def symptom_in(text: str) -> Wording | None:
    """Return the wording of the symptom that the folded ``text`` names."""
    return next((one for one in wordings() if one.stands_in(text)), None)


def stage_of(text: str, reply: RawReply) -> Stage:
    """Return the stage of ``reply``, from the folded ``text`` around it, else from the reply."""
    for clue in clues():
        if clue.stands_in(text):
            return clue.stage
    if reply.code in (530, 534, 535, 538, 421):
        return _BY_CODE[reply.code]
    if found := _BY_ENHANCED.get(reply.enhanced[2:]):
        return found
    words = _URLS.sub("", reply.text)
    for pattern, stage in _BY_WORDS:
        if pattern.search(words):
            return stage
    return _BY_CODE.get(reply.code, Stage.DATA)
