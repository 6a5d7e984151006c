"""Meanings of server replies: the entries of ``lexicon/*.toml`` and their phrases.

Each entry defines one meaning (``id``); several may share an ``id`` if the stage decides. Keys:

- ``party``: whom the reply is about: client, account, sender, recipient, content, server, policy.
- a language (``en``, ``de``, ``fr``, ``es``, ``it``, ``pt``, ``ru``, ``zh``, ``ja``, ...): phrases.
  ``strong.en``: phrases unique to this meaning; ``weak.en``: prominent words that decide only
  if nothing better matches.
- ``veto``: phrases that rule this entry out.
- ``class``: the class of the reply's code, 4 or 5, if only that one can have this meaning.
- ``stages``: the only stages where it can occur; by default, any.
- ``enhanced``: enhanced codes that support it (RFC 3463; ``x`` for any number); those under
  ``alone`` suffice even if no phrase matches, because their registered text says so.
- ``support``: providers' support codes for it (regular expressions).
- ``examples``: replies that must lead to this meaning and to no other.

How a phrase is written: see :mod:`~.phrase_language`. Words that say that a server refuses but not
why (``boilerplate`` in ``words.toml``) count less than any reason beside them.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.once import once
from ..core.types import Stage
from .phrase_language import WORDS, expanded, keys_of, pattern_of
from .reading import Reading

FOLDER = Path(__file__).parent / "lexicon"
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "nl", "pl", "tr", "ko")
STRONG, PLAIN, VAGUE, WEAK, CODE = 4, 3, 2, 1, 0
_PLACE = re.compile(r"[@#][a-z]*")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of an entry."""

    text: str
    language: str
    strength: int
    pattern: re.Pattern[str]
    entry: int  # its index in :func:`entries`


@dataclass(frozen=True, slots=True)
class Entry:
    """The conditions of a meaning."""

    meaning: str
    party: str
    stages: frozenset[Stage]
    enhanced: tuple[str, ...]
    alone: tuple[str, ...]
    support: re.Pattern[str] | None
    reply_class: int | None
    vetoes: tuple[re.Pattern[str], ...]
    examples: tuple[str, ...]
    phrases: int


@dataclass(frozen=True, slots=True)
class Match:
    """A meaning of a reply, and how well it matches: compared in this order."""

    meaning: str
    party: str
    strength: int
    supported: bool  # by an enhanced code or a support code
    length: int  # in words, without those that stand for addresses and hosts
    start: int  # where they start
    by_code: bool = False  # by the code alone
    estimated: bool = False  # by the classifier alone

    @property
    def rank(self) -> tuple[int, int, bool, int]:
        """The sort key: greater is better; on a tie, the earlier words win."""
        return (self.strength, self.length + 3 * self.supported, self.supported, -self.start)


@once
def entries() -> tuple[Entry, ...]:
    """Return all entries, in file order."""
    return _load()[0]


@once
def phrases() -> tuple[Phrase, ...]:
    """Return all phrases."""
    return _load()[1]


@once
def parties() -> dict[str, str]:
    """Return the party of each meaning."""
    return {entry.meaning: entry.party for entry in entries()}


def plain_match(meaning: str, *, estimated: bool = False) -> Match:
    """Return a match as strong as that of a usual phrase, for a meaning known by other means."""
    return Match(meaning, parties()[meaning], PLAIN, False, 0, 0, estimated=estimated)


@once
def boilerplate() -> tuple[re.Pattern[str], ...]:
    """Return the patterns of words that say that a server refuses, but not why."""
    return tuple(pattern_of(expanded(text)) for text in WORDS["boilerplate"])


def meanings_of(reading: Reading, stage: Stage) -> tuple[Match, ...]:
    """Return the meanings of a reply's words at ``stage``, best first; () if none."""
    best: dict[str, Match] = {}
    vetoed: dict[int, bool] = {}
    vague = [found.span() for it in boilerplate() for found in it.finditer(reading.words)]

    def offer(number: int, strength: int, length: int, start: int, *, by_code: bool) -> None:
        entry = entries()[number]
        if number not in vetoed:
            vetoed[number] = any(veto.search(reading.words) for veto in entry.vetoes)
        if vetoed[number] or (entry.stages and stage not in entry.stages):
            return
        if entry.reply_class is not None and reading.code // 100 != entry.reply_class:
            return
        supported = _supports(entry, reading)
        match = Match(entry.meaning, entry.party, strength, supported, length, start, by_code)
        known = best.get(entry.meaning)
        if known is None or match.rank > known.rank:
            best[entry.meaning] = match

    for phrase in _candidates(reading.words):
        if (found := phrase.pattern.search(reading.words)) is not None:
            strength, length = phrase.strength, len(_PLACE.sub("", found[0]).split())
            if any(start <= found.start() and found.end() <= end for start, end in vague):
                strength = min(strength, VAGUE)
            offer(phrase.entry, strength, length, found.start(), by_code=False)
    for number, entry in enumerate(entries()):
        if entry.support and any(entry.support.fullmatch(code) for code in reading.support_codes):
            offer(number, STRONG, 0, len(reading.words), by_code=False)
        if entry.alone and any(_fits(reading.enhanced, code) for code in entry.alone):
            # Beside words, a code is a hint; alone, it is all that the server says
            strength = CODE if reading.words.strip() else STRONG
            offer(number, strength, 0, len(reading.words), by_code=True)
    return tuple(sorted(best.values(), key=lambda match: match.rank, reverse=True))


def _fits(value: str, pattern: str) -> bool:
    if not value:
        return False
    return value.startswith(pattern[:-1]) if pattern.endswith("x") else value == pattern


def _supports(entry: Entry, reading: Reading) -> bool:
    codes = entry.enhanced + entry.alone
    return any(_fits(reading.enhanced, code) for code in codes) or (
        entry.support is not None
        and any(entry.support.fullmatch(code) for code in reading.support_codes)
    )


def _candidates(words: str) -> list[Phrase]:
    """Return the phrases of which a required word is present."""
    index, always = _index()
    found = list(always)
    for word in dict.fromkeys(words.split()):
        found += index.get(word, ())
    return found


@once
def _index() -> tuple[dict[str, list[Phrase]], list[Phrase]]:
    index: dict[str, list[Phrase]] = defaultdict(list)
    always: list[Phrase] = []
    for phrase in phrases():
        keys = keys_of(phrase.text)
        if keys:
            for key in keys:
                index[key].append(phrase)
        else:
            always.append(phrase)
    return index, always


@once
def _load() -> tuple[tuple[Entry, ...], tuple[Phrase, ...]]:
    found: list[Entry] = []
    spoken: list[Phrase] = []
    for path in sorted(FOLDER.glob("*.toml")):
        for raw in tomllib.loads(path.read_text(encoding="utf-8"))["meaning"]:
            number, before = len(found), len(spoken)
            for strength, table in (
                (STRONG, raw.get("strong", {})), (PLAIN, raw), (WEAK, raw.get("weak", {})),
            ):  # fmt: skip
                spoken.extend(
                    Phrase(text, language, strength, pattern_of(text), number)
                    for language in LANGUAGES
                    for text in map(expanded, table.get(language, ()))
                )
            found.append(_entry(raw, len(spoken) - before))
    return tuple(found), tuple(spoken)


def _entry(raw: dict[str, Any], count: int) -> Entry:
    support = raw.get("support")
    return Entry(
        meaning=raw["id"],
        party=raw["party"],
        stages=frozenset(Stage(name) for name in raw.get("stages", ())),
        enhanced=tuple(raw.get("enhanced", ())),
        alone=tuple(raw.get("alone", ())),
        support=re.compile("|".join(support), re.IGNORECASE) if support else None,
        reply_class=raw.get("class"),
        vetoes=tuple(pattern_of(expanded(text)) for text in raw.get("veto", ())),
        examples=tuple(raw.get("examples", ())),
        phrases=count,
    )
