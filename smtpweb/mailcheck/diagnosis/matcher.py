"""From what was seen to its cause: the first entry of the catalogue that matches, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..core.failure import Symptom
from ..core.raw_reply import RawReply
from ..core.redaction import cut
from ..core.types import Side, Stage
from .catalogue import Cause, causes_of
from .providers import named, provider_of

# A hostile server could choose words that keep our patterns busy; the cause is named early
LOOKED_AT = 1000

# Follows the other steps where the check waited in vain to its very end
DEADLINE_STEP = (
    "The check ended at its time limit of {timeout} s. If the server is only slow, the"
    " administrator of this installation can raise it: SMTPWEB_CHECK_TIMEOUT."
)

# What an entry may name in braces, with the words that stand in where a fact is not known.
FACTS = {
    "host": "the host",
    "port": "the port",
    "stage": "this stage",
    "mail_from": "the From address",
    "rcpt_to": "the test address",
    "username": "the login",
    "address": "the address",
    "range": "a denied range",
    "range_name": "a denied range",
    "setting": "",
    "words": "not said",
    "outcomes": "no answer",
    "protocol": "another protocol",
    "offered": "none",
    "banner": "another server",
    "ehlo": "our name",
    "own_name": "this machine",
    "local": "this machine's address",
    "timeout": "some",
    "field": "login or password",
    "position": "some position",
    "names": "other names",
    "subject": "another name",
    "issuer": "an issuer that is not known here",
    "expires": "a day that has passed",
    "provider": "the provider",
    "mechanism": "the mechanism",
    "code": "none",
    "breach": "the line is no SMTP reply",
    "line": "(not shown)",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a failed check saw."""

    stage: Stage
    symptom: Symptom
    reply: RawReply | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A cause in words."""

    id: str
    title: str
    meaning: str
    steps: tuple[str, ...]
    temporary: bool
    side: Side
    link: str
    ours: bool


def diagnose(seen: Seen) -> Diagnosis:
    """The cause of what was ``seen``."""
    provider = named(str(seen.facts.get("provider", ""))) or provider_of(
        str(seen.facts.get("host", "")), str(seen.facts.get("banner", ""))
    )
    ids: frozenset[str] = frozenset() if provider is None else provider.ids
    facts = dict(FACTS)
    facts |= {key: str(value) for key, value in seen.facts.items() if key in FACTS and value != ""}
    facts["stage"] = str(seen.stage)
    if provider is not None:
        facts["provider"] = provider.name
    if seen.reply is not None:
        facts["code"] = str(seen.reply.code)
    return next(
        _in_words(cause, seen, facts)
        for cause in causes_of(seen.symptom)
        if _matches(cause, seen, ids)
    )


def _matches(cause: Cause, seen: Seen, provider: frozenset[str]) -> bool:
    if cause.stage and seen.stage not in cause.stage:
        return False
    if cause.provider and not provider & cause.provider:
        return False
    if any(seen.facts.get(fact) not in values for fact, values in cause.when.items()):
        return False
    if cause.banner and not cause.banner.search(str(seen.facts.get("banner", ""))):
        return False
    if not (cause.code or cause.enhanced or cause.words):
        return True
    reply = seen.reply
    return (
        reply is not None
        and (not cause.code or any(_fits(str(reply.code), code) for code in cause.code))
        and (not cause.enhanced or any(_fits(reply.enhanced, one) for one in cause.enhanced))
        and (cause.words is None or cause.words.search(reply.text[:LOOKED_AT]) is not None)
    )


def _fits(value: str, pattern: str) -> bool:
    """``5.7.8`` or ``535`` itself; ``x`` stands for any number."""
    if pattern.endswith(".x"):
        return value.startswith(pattern[:-1])
    if pattern.endswith("xx"):
        return value[:1] == pattern[0]
    return value == pattern


def _in_words(cause: Cause, seen: Seen, facts: dict[str, str]) -> Diagnosis:
    def told(text: str) -> str:
        return cut(text.format_map(facts), 1000)

    steps = [*cause.steps, DEADLINE_STEP] if seen.facts.get("deadline") else cause.steps
    temporary = cause.temporary
    if temporary is None:
        temporary = seen.reply is not None and 400 <= seen.reply.code < 500
    return Diagnosis(
        id=cause.id,
        title=cut(told(cause.title)),
        meaning=told(cause.meaning),
        steps=tuple(told(step) for step in steps),
        temporary=temporary,
        side=cause.side,
        link=cause.link,
        ours=cause.ours,
    )
