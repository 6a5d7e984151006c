"""What servers mean by their words: the meanings of ``lexicon/*.toml`` and their phrases.

One entry gives one meaning (``id``); several may share an ``id`` where a stage decides. Keys:

- ``party``: whom the reply is about: client, account, sender, recipient, content, server, policy.
- a language (``en``, ``de``, ``fr``, ``es``, ``it``, ``pt``, ``ru``, ``zh``, ``ja``, ...): phrases.
  ``strong.en``: phrases that no other meaning shares; ``weak.en``: loud words that decide only
  where nothing better is said.
- ``veto``: phrases beside which this entry does not hold.
- ``class``: the class of the reply's code, 4 or 5, where only that one can have this meaning.
- ``stages``: where alone it can come; left out: anywhere.
- ``enhanced``: enhanced codes that support it (RFC 3463; ``x`` for any number); those under
  ``alone`` yield it also where no word is known, because their registered text says so.
- ``support``: support codes (regular expressions) that providers give it.
- ``examples``: replies that must lead to this meaning and to no other.

A phrase is written as :func:`~.reading.normalised` leaves it; case, accents and punctuation do
not matter. ``a|b`` is one of the words, ``[a|b]`` may be missing, ``a_b`` joins words inside an
alternative, ``word*`` begins like this, ``...`` stands for up to six words. Addresses and hosts
may stand between any words.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.types import Stage
from .reading import Reading, normalised

FOLDER = Path(__file__).parent / "lexicon"
LANGUAGES = ("en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "nl", "pl", "tr", "ko")
STRONG, PLAIN, WEAK, NOTHING = 3, 2, 1, 0

# Words that say whom a reply is about, and words that say no more than that it is refused: of a
# phrase that found nothing else, the meaning is a guess.
_SUBJECTS = frozenset(
    [
        "account",
        "address",
        "client",
        "connection",
        "connections",
        "content",
        "data",
        "domain",
        "email",
        "emails",
        "from",
        "host",
        "ip",
        "mail",
        "mailbox",
        "message",
        "messages",
        "network",
        "recipient",
        "recipients",
        "rcpt",
        "sender",
        "senders",
        "server",
        "smtp",
        "system",
        "user",
        "users",
        "your",
        "you",
    ]
)
_REFUSALS = frozenset(
    [
        "accept",
        "accepted",
        "allow",
        "allowed",
        "authorized",
        "authorised",
        "blocked",
        "denied",
        "failed",
        "invalid",
        "not",
        "no",
        "permitted",
        "prohibited",
        "refused",
        "rejected",
        "unauthorized",
        "cannot",
        "error",
        "exist",
        "found",
        "here",
        "listed",
    ]
)
_FILLERS = frozenset(
    [
        "and",
        "are",
        "as",
        "at",
        "be",
        "been",
        "being",
        "by",
        "can",
        "did",
        "do",
        "does",
        "for",
        "has",
        "have",
        "in",
        "is",
        "it",
        "its",
        "must",
        "of",
        "on",
        "or",
        "our",
        "please",
        "should",
        "that",
        "this",
        "to",
        "was",
        "were",
        "will",
        "with",
    ]
)

_BETWEEN = r"(?: [@#][a-z]*)* "
_GAP = r"(?: \S+){0,6}? "


@dataclass(frozen=True, slots=True)
class Phrase:
    """One phrase of an entry."""

    text: str
    language: str
    strength: int
    pattern: re.Pattern[str]
    entry: int  # its number in :func:`entries`


@dataclass(frozen=True, slots=True)
class Entry:
    """What leads to a meaning."""

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
    """A meaning that a reply has, and how well: compared in this order."""

    meaning: str
    party: str
    strength: int
    supported: bool  # by an enhanced or a support code
    length: int  # of the words that matched
    start: int  # where they begin
    by_code: bool = False  # by the code alone

    @property
    def rank(self) -> tuple[int, int, bool, int]:
        """The greater, the better; of equals, what is said first."""
        return (self.strength, self.length + 12 * self.supported, self.supported, -self.start)


@functools.lru_cache(1)
def entries() -> tuple[Entry, ...]:
    """All entries, in the order of their files."""
    return _load()[0]


@functools.lru_cache(1)
def phrases() -> tuple[Phrase, ...]:
    """All phrases."""
    return _load()[1]


@functools.lru_cache(1)
def parties() -> dict[str, str]:
    """Each meaning with its party."""
    return {entry.meaning: entry.party for entry in entries()}


def meanings_of(reading: Reading, stage: Stage) -> tuple[Match, ...]:
    """The meanings that the words of a reply have at ``stage``, best first; () if none."""
    best: dict[str, Match] = {}
    vetoed: dict[int, bool] = {}

    def offer(number: int, strength: int, length: int, start: int, *, by_code: bool) -> None:
        entry = entries()[number]
        if number not in vetoed:
            vetoed[number] = any(veto.search(reading.words) for veto in entry.vetoes)
        if vetoed[number] or (entry.stages and stage not in entry.stages):
            return
        if entry.reply_class is not None and reading.code // 100 != entry.reply_class:
            return
        match = Match(
            entry.meaning, entry.party, strength, _supports(entry, reading), length, start, by_code
        )
        known = best.get(entry.meaning)
        if known is None or match.rank > known.rank:
            best[entry.meaning] = match

    for phrase in _candidates(reading.words):
        if (found := phrase.pattern.search(reading.words)) is not None:
            strength, length = _weight(phrase, found[0].split())
            if strength == NOTHING:
                continue
            offer(phrase.entry, strength, length, found.start(), by_code=False)
    for number, entry in enumerate(entries()):
        if entry.support and any(entry.support.fullmatch(code) for code in reading.support_codes):
            offer(number, STRONG, 0, len(reading.words), by_code=False)
        if entry.alone and any(_fits(reading.enhanced, code) for code in entry.alone):
            offer(number, 0, 0, len(reading.words), by_code=True)
    return tuple(sorted(best.values(), key=lambda match: match.rank, reverse=True))


def pattern_of(phrase: str) -> re.Pattern[str]:
    """Compile a phrase for a search in :attr:`Reading.words`."""
    pieces: list[str] = []
    glue = _BETWEEN
    for token in phrase.split():
        if token == "...":  # noqa: S105 - not a password
            glue = _GAP
            continue
        optional = token.startswith("[")
        words = "|".join(filter(None, map(_alternative, token.strip("[]").split("|"))))
        if not words:
            continue  # an article, which reading leaves out
        before = "(?<= )" if not pieces else glue
        if optional and pieces:
            pieces.append(f"(?:{before}(?:{words}))?")
        elif optional:
            continue  # what may be missing before the first word adds nothing
        else:
            pieces.append(f"{before}(?:{words})")
        glue = _BETWEEN
    return re.compile("".join(pieces) + "(?= )")


def _alternative(text: str) -> str:
    words = []
    for word in text.replace("_", " ").split():
        if word[0] in "@#":
            words.append(r"@[a-z]*" if word == "@" else r"#(?:ip|us)" if word == "#ip" else word)
            continue
        open_end = word.endswith("*")
        inner = normalised(word.rstrip("*")).split()
        if not inner:
            continue
        words += [re.escape(one) for one in inner]
        if open_end:
            words[-1] += r"\S*"
    return _BETWEEN.join(words)


def _weight(phrase: Phrase, words: list[str]) -> tuple[int, int]:
    """How strong a phrase is that found these words, and how much they say."""
    length = sum(1 if word in _FILLERS or word[0] in "@#" else 4 for word in words)
    telling = {word for word in words if word[0] not in "@#"} - _FILLERS
    if phrase.strength == PLAIN and telling <= _SUBJECTS:
        return NOTHING, length
    if phrase.strength == PLAIN and telling <= _REFUSALS:
        return WEAK, length
    return phrase.strength, length


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
    """The phrases of which a word that they need is there."""
    index, always = _index()
    found = list(always)
    for word in dict.fromkeys(words.split()):
        found += index.get(word, ())
    return found


@functools.lru_cache(1)
def _index() -> tuple[dict[str, list[Phrase]], list[Phrase]]:
    index: dict[str, list[Phrase]] = defaultdict(list)
    always: list[Phrase] = []
    for phrase in phrases():
        keys = _keys(phrase.text)
        if keys:
            for key in keys:
                index[key].append(phrase)
        else:
            always.append(phrase)
    return index, always


def _keys(phrase: str) -> list[str]:
    """Words of which one must be there: those of the token with the fewest alternatives."""
    best: list[str] = []
    for token in phrase.split():
        if token == "..." or token.startswith("["):  # noqa: S105
            continue
        keys = []
        for alternative in token.split("|"):
            whole = [
                word
                for part in alternative.replace("_", " ").split()
                if part[0] not in "@#" and not part.endswith("*")
                for word in normalised(part).split()
            ]
            if not whole:
                break
            keys.append(max(whole, key=len))
        else:
            if not best or (len(keys), -len(keys[0])) < (len(best), -len(best[0])):
                best = keys
    return best


@functools.lru_cache(1)
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
                    for text in table.get(language, ())
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
        vetoes=tuple(pattern_of(text) for text in raw.get("veto", ())),
        examples=tuple(raw.get("examples", ())),
        phrases=count,
    )
