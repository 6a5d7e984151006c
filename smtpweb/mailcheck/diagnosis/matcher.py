"""From what a failed check saw to its cause: what the reply means, and the facts beside it.

The reply is read (reading.py) and its words are looked up (lexicon.py). Of the causes that the
best meaning can have, the facts choose the most exact one. An enhanced code alone yields only
what its registered text says, and a reply without known words the neutral cause of its stage.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ..core.failure import Symptom
from ..core.raw_reply import RawReply
from ..core.types import Side, Stage
from . import lexicon, software
from .catalogue import Cause, causes_by_id, causes_of
from .lexicon import STRONG, WEAK, Match
from .providers import Provider, Role, named, provider_of, role_of
from .reading import Ours, Reading, read
from .rendering import FACTS, render

__all__ = ["FACTS", "Confidence", "Diagnosis", "Seen", "diagnose"]

_SUBMISSION_PORTS = frozenset({465, 587, 2465, 2525, 2587})
_MAX_ALSO = 2


class Confidence(enum.StrEnum):
    """How sure a diagnosis is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a failed check saw. ``reply`` is cleaned and scrubbed of credentials."""

    stage: Stage
    symptom: Symptom
    reply: RawReply | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, in English words and as the facts that render it in any language.

    ``also_possible``: codes of other causes that show themselves alike, the likelier first.
    """

    id: str
    title: str
    meaning: str
    steps: tuple[str, ...]
    temporary: bool
    side: Side
    link: str
    ours: bool = False
    confidence: Confidence = Confidence.CERTAIN
    also_possible: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)


def diagnose(seen: Seen) -> Diagnosis:
    """The cause of what was ``seen``."""
    provider = _provider(seen)
    reading = None if seen.reply is None else read(seen.reply, _ours(seen.facts))
    facts = seen.facts | _derived(seen, reading)
    facts["sandbox"] = provider is not None and role_of(str(facts.get("host", ""))) is Role.SANDBOX
    meanings = () if reading is None else lexicon.meanings_of(reading, seen.stage)
    context = _Context(seen, facts, reading, frozenset() if provider is None else provider.ids)
    cause, match = _choose(context, meanings)
    confidence, also = _how_sure(context, cause, match, meanings)
    said = _facts_to_say(seen, reading, provider)
    words = render(cause, said)
    temporary = cause.temporary
    if temporary is None:
        temporary = seen.reply is not None and 400 <= seen.reply.code < 500
    return Diagnosis(
        id=cause.id,
        title=words.title,
        meaning=words.meaning,
        steps=words.steps,
        temporary=temporary,
        side=cause.side,
        link=cause.link,
        ours=cause.ours,
        confidence=confidence,
        also_possible=also,
        facts=said,
    )


@dataclass(frozen=True, slots=True)
class _Context:
    seen: Seen
    facts: dict[str, Any]
    reading: Reading | None
    providers: frozenset[str]

    def fits(self, cause: Cause, meaning: str) -> bool:
        seen = self.seen
        if cause.stage and seen.stage not in cause.stage:
            return False
        if cause.provider and not self.providers & cause.provider:
            return False
        if any(self.facts.get(fact) not in values for fact, values in cause.when.items()):
            return False
        if seen.symptom is Symptom.REFUSED and not (
            meaning in cause.means or "*" in cause.means if cause.means else not meaning
        ):
            return False
        if not (cause.code or cause.enhanced):
            return True
        reading = self.reading
        return (
            reading is not None
            and (not cause.code or any(_fits(str(reading.code), code) for code in cause.code))
            and (not cause.enhanced or any(_fits(reading.enhanced, it) for it in cause.enhanced))
        )

    def cause_of(self, meaning: str) -> Cause | None:
        """The most exact cause of ``meaning`` here."""
        return next(
            (cause for cause in causes_of(self.seen.symptom) if self.fits(cause, meaning)), None
        )


def _choose(context: _Context, meanings: Iterable[Match]) -> tuple[Cause, Match | None]:
    for match in meanings:
        cause = context.cause_of(match.meaning)
        if cause is not None:
            return cause, match
    cause = context.cause_of("")
    if cause is None:
        raise AssertionError("the catalogue has a cause for everything")
    return cause, None


def _how_sure(
    context: _Context, cause: Cause, match: Match | None, meanings: tuple[Match, ...]
) -> tuple[Confidence, tuple[str, ...]]:
    if context.seen.symptom is not Symptom.REFUSED:
        return (Confidence.LIKELY if cause.also else Confidence.CERTAIN), cause.also
    if match is None:
        return Confidence.UNCLEAR, ()
    rivals = [
        other.id
        for rival in meanings
        if rival is not match and not rival.by_code and rival.strength == match.strength
        if (other := context.cause_of(rival.meaning)) is not None and other is not cause
    ]
    if match.strength == WEAK:
        confidence = Confidence.UNCLEAR
    elif match.by_code or cause.also:
        confidence = Confidence.LIKELY
    elif match.strength == STRONG or match.supported or not rivals:
        confidence = Confidence.CERTAIN
    else:
        confidence = Confidence.LIKELY
    if confidence is Confidence.CERTAIN:
        return confidence, ()
    also = [code for code in dict.fromkeys([*cause.also, *rivals]) if code != cause.id]
    known = causes_by_id()
    return confidence, tuple(code for code in also if code in known)[:_MAX_ALSO]


def _provider(seen: Seen) -> Provider | None:
    facts = seen.facts
    return named(str(facts.get("provider", ""))) or provider_of(
        str(facts.get("host", "")),
        str(facts.get("banner", "")),
        tuple(facts.get("certificate_names", ())),
    )


def _ours(facts: dict[str, Any]) -> Ours:
    return Ours(
        str(facts.get("local", "")),
        str(facts.get("ehlo", "")),
        str(facts.get("mail_from", "")),
        str(facts.get("rcpt_to", "")),
        str(facts.get("username", "")),
    )


def _derived(seen: Seen, reading: Reading | None) -> dict[str, Any]:
    """What follows from the facts: the role of the server, its software, what it quotes."""
    facts = seen.facts
    authenticated = bool(facts.get("authenticated", False))
    role = role_of(str(facts.get("host", "")))
    port = facts.get("port")
    if "mx" in facts:
        mx = bool(facts["mx"])
    elif role is not None:
        mx = role is Role.MX
    else:
        mx = port == 25 and not authenticated and not facts.get("auth", False)
    derived: dict[str, Any] = {
        "authenticated": authenticated,
        "encrypted": bool(facts.get("encrypted", False)),
        "mx": mx,
        "submission": port in _SUBMISSION_PORTS,
        "software": software.of(str(facts.get("banner", "")), reading),
    }
    if reading is not None:
        words = set(reading.words.split())
        derived["proof"] = (
            "dmarc" if "dmarc" in words
            else "spf" if ("spf" in words or "framework" in words) and "dkim" not in words
            else ""
        )  # fmt: skip
        derived |= {f"quotes_{place}": True for place in reading.quotes}
    return derived


def _facts_to_say(seen: Seen, reading: Reading | None, provider: Provider | None) -> dict[str, str]:
    said = {
        key: str(value)
        for key, value in seen.facts.items()
        if key in FACTS and value not in ("", None)
    }
    said["stage"] = str(seen.stage)
    if seen.facts.get("deadline"):
        said["deadline"] = "reached"
    if provider is not None:
        said["provider"] = provider.name
    if reading is not None:
        said["code"] = str(reading.code)
        pointer = next(iter(reading.urls + reading.contacts), "")
        if pointer:
            said["pointer"] = pointer
    return said


def _fits(value: str, pattern: str) -> bool:
    """``5.7.8`` or ``535`` itself; ``x`` stands for any number."""
    if pattern.endswith(".x"):
        return value.startswith(pattern[:-1])
    if pattern.endswith("xx"):
        return value[:1] == pattern[0]
    return value == pattern
