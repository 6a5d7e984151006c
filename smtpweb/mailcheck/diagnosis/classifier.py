"""Estimate the meaning of a reply from all its words (multinomial logistic regression).

A phrase of the lexicon fits the wordings that somebody thought of. The classifier weighs each
word, each pair of neighboring words, the codes and the context, and so estimates wordings that
nobody has seen, too. ``python -m bench.diagnosis.train`` learns the weights from the phrases and
from labeled replies, and writes ``weights.tsv``: the meanings with their bias, an empty line,
then one feature a line with its weights ("number of the meaning:tenths").
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ..core.once import once
from ..core.types import Stage
from .reading import Reading

WEIGHTS = Path(__file__).with_name("weights.tsv")
NONE = "none"  # the class of replies that say no cause
UNIT = 0.1  # of a stored weight

_LEAST = 0.01  # of a probability that is returned
_STEM = 6  # letters that tell an English word from others: "reject" for "rejection"


@dataclass(frozen=True, slots=True)
class _Weights:
    meanings: tuple[str, ...]
    bias: tuple[float, ...]
    of_feature: dict[str, str]  # parsed when needed: a reply has some 40 of 12,000


def estimates(reading: Reading, stage: Stage, *, mx: bool) -> dict[str, float]:
    """Return the probability of the likely meanings, and of :data:`NONE`, likeliest first.

    ``mx``: the server takes incoming email, where nobody signs in.
    """
    weights = _load()
    scores = list(weights.bias)
    for feature in features(reading, stage, mx=mx):
        for pair in weights.of_feature.get(feature, "").split():
            number, _, tenths = pair.partition(":")
            scores[int(number)] += int(tenths) * UNIT
    greatest = max(scores)
    shares = [math.exp(score - greatest) for score in scores]
    total = sum(shares)
    ranked = sorted(zip(shares, weights.meanings, strict=True), reverse=True)
    return {meaning: share / total for share, meaning in ranked if share >= _LEAST * total}


def learned() -> frozenset[str]:
    """Return the meanings that the weights were learned for."""
    return frozenset(_load().meanings)


def features(reading: Reading, stage: Stage | None, *, mx: bool | None) -> frozenset[str]:
    """Return the features of a reply; one whose context is None has none of that."""
    return frozenset(_features(reading, stage, mx=mx))


def _features(reading: Reading, stage: Stage | None, *, mx: bool | None) -> Iterator[str]:
    stems = [word[:_STEM] if word.isascii() else word for word in reading.words.split()]
    yield from stems
    for pair in pairwise(stems):
        yield " ".join(pair)
    if reading.code:
        yield f"code {reading.code}"
        yield f"code {reading.code // 100}xx"
    if reading.enhanced and not reading.enhanced.endswith(".0.0"):
        yield f"enhanced {reading.enhanced}"
        yield f"enhanced x{reading.enhanced[1:]}"
    for code in reading.support_codes:
        yield "support " + "".join("0" if letter.isdigit() else letter for letter in code)
    if stage is not None:
        yield f"stage {stage}"
    if mx is not None:
        yield f"mx {mx}"


@once
def _load() -> _Weights:
    lines = WEIGHTS.read_text(encoding="utf-8").splitlines()
    end = lines.index("")
    classes = [line.split("\t") for line in lines[:end]]
    return _Weights(
        tuple(meaning for meaning, _ in classes),
        tuple(int(tenths) * UNIT for _, tenths in classes),
        dict(line.split("\t") for line in lines[end + 1 :]),
    )
