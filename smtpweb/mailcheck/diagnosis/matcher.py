"""Diagnose the cause of a failed check from the meaning of the reply and from the facts.

The reply is parsed (reading.py) and its words are looked up (lexicon.py). Of the possible causes
of the best meaning, the facts select the most specific one. An enhanced code alone yields only
what its registered text says, and a reply without known words the neutral cause of its stage.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.failure import Symptom
from ..core.raw_reply import RawReply
from ..core.types import Side, Stage
from . import classifier, lexicon, software
from .catalogue import Cause, causes_by_id, causes_of
from .evidence import settle
from .lexicon import STRONG, WEAK, Match
from .providers import Provider, Role, named, provider_of, role_of
from .reading import Ours, Reading, read
from .rendering import FACTS, render

__all__ = ["FACTS", "Confidence", "Diagnosis", "Seen", "diagnose"]

_MAX_ALSO = 2
_WORTH_NAMING = 0.2  # the least probability of another possibility


class Confidence(enum.StrEnum):
    """How certain a diagnosis is."""

    CERTAIN = "certain"
    LIKELY = "likely"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Seen:
    """The observations of a failed check. ``reply`` is cleaned and scrubbed of credentials."""

    stage: Stage
    symptom: Symptom
    reply: RawReply | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause, as English text and as the facts to render it in any language.

    ``also_possible``: codes of other causes that look the same, most likely first.
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
    sandbox: str = ""  # its name, if the server delivers nothing


@dataclass(frozen=True, slots=True)
class Understanding:
    """The parsed reply, independent of the provider: parsed once when several are tried."""

    reading: Reading | None = None
    meanings: tuple[Match, ...] = ()


def prepare() -> None:
    """Read phrases, weights and causes, which the first diagnosis would else need a second for."""
    diagnose(Seen(Stage.RCPT, Symptom.REFUSED, RawReply(550, (b"5.1.1 No such mailbox",))))


def understand(seen: Seen) -> Understanding:
    """Parse the reply of ``seen`` and look up its words."""
    if seen.reply is None:
        return Understanding()
    reading = read(seen.reply, _ours(seen.facts))
    return Understanding(reading, lexicon.meanings_of(reading, seen.stage))


def diagnose(seen: Seen, understood: Understanding | None = None) -> Diagnosis:
    """Return the diagnosis for ``seen``."""
    provider = _provider(seen)
    understood = understood or understand(seen)
    reading, meanings = understood.reading, understood.meanings
    facts = seen.facts | _derived(seen, reading)
    facts["sandbox"] = _is_sandbox(provider, str(facts.get("host", "")))
    context = _Context(seen, facts, reading, frozenset() if provider is None else provider.ids)
    # What follows an impossible meaning is the rest of a reply that is not understood
    meanings = context.possible(meanings) if context.possible(meanings[:1]) else ()
    if not meanings and provider is not None and seen.reply is not None:
        meanings = _state_of_account(provider, seen.reply)
    estimates = context.estimates(meanings)
    match = settle(meanings, estimates)
    cause = context.cause_of("" if match is None else match.meaning)
    if cause is None:
        raise AssertionError("the catalogue has a cause for everything")
    confidence, also = _how_sure(context, cause, match, meanings, estimates)
    said = _facts_to_say(seen, reading, provider)
    link = cause.link
    if provider is not None and cause.page:
        link = provider.links.get(cause.page, link)
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
        link=link,
        ours=cause.ours,
        confidence=confidence,
        also_possible=also,
        facts=said,
        sandbox=provider.name if provider is not None and facts["sandbox"] else "",
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

    def is_plausible(self, match: Match) -> bool:
        """Check whether a reply at this stage can be about the match's party."""
        if self.seen.stage is Stage.AUTH:
            return match.party in ("account", "client", "server", "policy")
        if self.facts.get("mx"):
            return match.party != "account" or match.meaning == "message-rate"
        return True

    def in_place(self, match: Match) -> Match | None:
        """Return ``match`` as it is meant on this server: "may not send from" depends on it."""
        if match.meaning != "sender-not-owned" or match.strength == STRONG:
            return match
        if self.facts.get("mx"):
            return None  # nobody signs in here, so it is not about an account
        if self.facts.get("role") == Role.RELAY:
            return replace(match, meaning="sender-not-verified")
        return match

    def possible(self, matches: Iterable[Match]) -> tuple[Match, ...]:
        """Return the matches that can hold here, as they are meant on this server."""
        return tuple(
            placed
            for match in matches
            if (placed := self.in_place(match)) is not None
            and self.is_plausible(placed)
            and self.cause_of(placed.meaning) is not None
        )

    def estimates(self, matches: Iterable[Match]) -> dict[str, float]:
        """Return what the classifier estimates of the meanings that can hold here.

        The share of those that cannot is that of no known meaning.
        """
        if self.reading is None:
            return {}
        known = {match.meaning for match in matches}
        shares: dict[str, float] = {}
        estimated = classifier.estimates(
            self.reading, self.seen.stage, mx=bool(self.facts.get("mx"))
        )
        for meaning, probability in estimated.items():
            placed = meaning
            if meaning != classifier.NONE:
                match = lexicon.plain_match(meaning)
                held = (match,) if meaning in known else self.possible((match,))
                placed = held[0].meaning if held else classifier.NONE
            shares[placed] = shares.get(placed, 0.0) + probability
        return dict(sorted(shares.items(), key=lambda one: -one[1]))

    def cause_of(self, meaning: str) -> Cause | None:
        """Return the most specific cause of ``meaning`` in this context."""
        return next(
            (cause for cause in causes_of(self.seen.symptom) if self.fits(cause, meaning)), None
        )


def _how_sure(
    context: _Context,
    cause: Cause,
    match: Match | None,
    meanings: tuple[Match, ...],
    estimates: dict[str, float],
) -> tuple[Confidence, tuple[str, ...]]:
    """Return how certain ``cause`` is, and which other causes look the same."""
    if context.seen.symptom is not Symptom.REFUSED:
        return (Confidence.LIKELY if cause.also else Confidence.CERTAIN), cause.also
    rivals = [
        rival.meaning
        for rival in meanings
        if not rival.by_code and (match is None or rival.strength == match.strength)
    ]
    estimated = [meaning for meaning, share in estimates.items() if share >= _WORTH_NAMING]
    causes = [context.cause_of(meaning) for meaning in [*rivals, *estimated]]
    others = [other.id for other in causes if other is not None and other is not cause]
    if match is None or match.strength == WEAK:
        confidence = Confidence.UNCLEAR
    elif match.estimated or match.by_code or cause.also:
        confidence = Confidence.LIKELY
    elif match.strength == STRONG or match.supported or not others:
        return Confidence.CERTAIN, ()
    else:
        confidence = Confidence.LIKELY
    also = dict.fromkeys([*cause.also, *others])
    return confidence, tuple(code for code in also if code in causes_by_id())[:_MAX_ALSO]


def _provider(seen: Seen) -> Provider | None:
    facts = seen.facts
    return named(str(facts.get("provider", ""))) or provider_of(
        str(facts.get("host", "")),
        str(facts.get("banner", "")),
        tuple(facts.get("certificate_names", ())),
    )


def _is_sandbox(provider: Provider | None, host: str) -> bool:
    """Check whether the server delivers nothing: by its host, else by its greeting or certificate.

    A sandbox on a private machine has any name; a provider of both kinds tells them by host.
    """
    if provider is None:
        return False
    role = role_of(host)
    return provider.is_sandbox if role is None else role is Role.SANDBOX


def _ours(facts: dict[str, Any]) -> Ours:
    return Ours(
        str(facts.get("local", "")),
        str(facts.get("ehlo", "")),
        str(facts.get("mail_from", "")),
        str(facts.get("rcpt_to", "")),
        str(facts.get("username", "")),
    )


def _derived(seen: Seen, reading: Reading | None) -> dict[str, Any]:
    """Derive facts: the role of the server, its software, what it quotes."""
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
        "role": str(role or ""),
        "software": software.of(str(facts.get("banner", "")), reading),
    }
    if reading is not None:
        words = set(reading.words.split())
        derived["proof"] = (
            "dmarc" if "dmarc" in words
            else "spf" if ("spf" in words or "framework" in words) and "dkim" not in words
            else ""
        )  # fmt: skip
        derived["disabled_for"] = "mailbox" if "mailbox" in words else "tenant"
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
        if provider.host and provider.host != seen.facts.get("host"):
            said["submission_host"] = provider.host
        for kind, url in provider.links.items():
            said[f"{kind}_page"] = url
        said |= _notices(provider)
    if reading is not None:
        said["code"] = str(reading.code)
        pointer = next(iter(reading.urls + reading.contacts), "")
        if pointer:
            said["pointer"] = pointer
        if reading.lists:
            said["list"] = reading.lists[0]
    return said


_STATES = {
    "suspended": "account-suspended",
    "unconfirmed": "account-unconfirmed",
    "pending": "account-unconfirmed",
    "quota": "message-rate",
}


def _state_of_account(provider: Provider, reply: RawReply) -> tuple[Match, ...]:
    """Return the account state from provider-specific wording, if no phrase matches."""
    meaning = _STATES.get(provider.state_in(reply.text) or "")
    if meaning is None:
        return ()
    return (lexicon.plain_match(meaning),)


def _notices(provider: Provider) -> dict[str, str]:
    """Return the next changes at a provider: at most two, as ``notice`` and ``notice_2``."""
    ordered = sorted(provider.notices, key=lambda notice: notice.since)
    return {
        name: notice.text for name, notice in zip(("notice", "notice_2"), ordered, strict=False)
    }


def _fits(value: str, pattern: str) -> bool:
    """Match a code such as ``5.7.8`` or ``535`` exactly; ``x`` in a pattern is any number."""
    if pattern.endswith(".x"):
        return value.startswith(pattern[:-1])
    if pattern.endswith("xx"):
        return value[:1] == pattern[0]
    return value == pattern
