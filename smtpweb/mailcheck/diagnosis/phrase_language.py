"""The language of the lexicon's phrases.

A phrase is written as :func:`~.reading.normalised` returns it; case, accents and punctuation do
not matter. ``a|b`` matches either word, ``[a|b]`` is optional, ``a_b`` joins words inside an
alternative, ``word*`` matches a prefix, ``...`` matches up to six words, ``<class>`` stands for
the words of a class in ``words.toml``. Addresses and hosts may occur between any words.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

from .reading import normalised

WORDS: Final[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("words.toml").read_text(encoding="utf-8")
)

_CLASS = re.compile(r"<([a-z-]+)>")
_BETWEEN = r"(?: [@#][a-z]*)* "
_GAP = r"(?: \S+){0,6}? "


def expanded(phrase: str) -> str:
    """Replace each ``<class>`` in ``phrase`` by its words."""
    return _CLASS.sub(lambda found: "|".join(WORDS["classes"][found[1]]), phrase)


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
            continue  # an article, which reading.py drops
        before = "(?<= )" if not pieces else glue
        if optional and pieces:
            pieces.append(f"(?:{before}(?:{words}))?")
        elif optional:
            continue  # an optional part before the first word adds nothing
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


def keys_of(phrase: str) -> list[str]:
    """Return words of which one must be present: the token with the fewest alternatives."""
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
