"""Diagnose the cause of a failed check from the meaning of the reply and from the facts.

The reply is parsed (reading.py) and its words are looked up (lexicon.py). Of the possible causes
of the best meaning, the facts select the most specific one. An enhanced code alone yields only
what its registered text says, and a reply without known words the neutral cause of its stage.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.failure import Symptom
from ..core.raw_reply import RawReply
from ..core.types import Side, Stage
from . import lexicon, software
from .catalogue import Cause, causes_by_id, causes_of
from .lexicon import PLAIN, STRONG, VAGUE, WEAK, Match
from .providers import Provider, Role, named, provider_of, role_of
from .reading import Ours, Reading, read
from .rendering import FACTS, render
from .subjects import named_in

__all__ = ["FACTS", "Confidence", "Diagnosis", "Seen", "diagnose"]

_MAX_ALSO = 2
_MAX_UNREAD_AT_AUTH = 2  # telling words beside a code that alone has the meaning
_CLEAR_LEAD = 4  # one informative word more than the rival
# These say how, not why, so they contradict nothing
_VAGUE = frozenset({"policy", "protocol-fault", "try-later"})
# Of the sender's meanings, those in words that are also said of a recipient or a client
_SENDER_AS_SUCH = frozenset(
    {
        "sender-domain-listed",
        "sender-domain-unknown",
        "sender-malformed",
        "sender-refused",
        "sender-unknown",
    }
)


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
    meanings = tuple(placed for match in meanings if (placed := context.in_place(match)))
    if meanings and not context.is_plausible(meanings[0]):
        meanings = ()
    if not meanings and provider is not None and seen.reply is not None:
        meanings = _state_of_account(provider, seen.reply)
    cause, match = _choose(context, meanings)
    confidence, also = _how_sure(context, cause, match, meanings)
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

    def cause_of(self, meaning: str) -> Cause | None:
        """Return the most specific cause of ``meaning`` in this context."""
        return next(
            (cause for cause in causes_of(self.seen.symptom) if self.fits(cause, meaning)), None
        )


def _choose(context: _Context, meanings: tuple[Match, ...]) -> tuple[Cause, Match | None]:
    if _is_guess(context, meanings):
        meanings = ()
    for match in meanings:
        cause = context.cause_of(match.meaning)
        if cause is not None:
            return cause, match
    cause = context.cause_of("")
    if cause is None:
        raise AssertionError("the catalogue has a cause for everything")
    return cause, None


def _is_guess(context: _Context, meanings: tuple[Match, ...]) -> bool:
    """Check whether the best meaning rests on too little, or other parties match about as well."""
    if not meanings:
        return False
    best = meanings[0]
    if not best.backed or _is_out_of_place(context, best):
        return True
    rivals = [
        rival
        for rival in meanings[1:]
        if not rival.by_code
        and rival.party != best.party
        and rival.meaning not in _VAGUE
        and context.is_plausible(rival)
    ]
    if best.strength == PLAIN and len({rival.party for rival in rivals}) > 1:
        return True
    if best.strength == WEAK or (best.supported and best.strength != STRONG):
        return False
    return best.meaning not in _VAGUE and any(
        rival.strength == best.strength and best.length - rival.length < _CLEAR_LEAD
        for rival in rivals
    )


def _is_out_of_place(context: _Context, match: Match) -> bool:
    """Check whether common words alone accuse what the stage or the named parties speak against.

    At sign-in the same codes stand for a wrong password, a blocked account and a forbidden way.
    Only MAIL answers for the sender: elsewhere, "invalid" or "blocked" need not be about it. A
    reply about the content or the protocol names neither sender nor recipient nor client.
    """
    if match.by_code and context.seen.stage is Stage.AUTH:
        return match.unread > _MAX_UNREAD_AT_AUTH
    named = named_in(context.reading.words) if context.reading is not None else frozenset()
    if match.strength == VAGUE:
        return bool(named) and lexicon.accuses(match) and match.party not in named
    if match.supported or match.strength != PLAIN:
        return False
    if match.meaning in _SENDER_AS_SUCH:
        return context.seen.stage is not Stage.MAIL
    return bool(named) and (match.party == "content" or match.meaning == "protocol-fault")


def _how_sure(
    context: _Context, cause: Cause, match: Match | None, meanings: tuple[Match, ...]
) -> tuple[Confidence, tuple[str, ...]]:
    if context.seen.symptom is not Symptom.REFUSED:
        return (Confidence.LIKELY if cause.also else Confidence.CERTAIN), cause.also
    if match is None:
        guesses = [context.cause_of(guess.meaning) for guess in meanings if not guess.by_code]
        named = dict.fromkeys(guess.id for guess in guesses if guess and guess is not cause)
        return Confidence.UNCLEAR, tuple(named)[:_MAX_ALSO]
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
    return (Match(meaning, lexicon.parties()[meaning], PLAIN, False, 0, 0),)


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
