"""``python -m bench.diagnosis.train``: learn the weights of the classifier of replies.

It learns from the lexicon's phrases and examples and from labelled replies. Those that are held
back or only counted are left out: they still measure what nobody has shown it. Takes a minute.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from smtpweb.mailcheck.core.raw_reply import RawReply
from smtpweb.mailcheck.diagnosis import lexicon
from smtpweb.mailcheck.diagnosis.classifier import NONE, UNIT, WEIGHTS, features
from smtpweb.mailcheck.diagnosis.reading import Ours, Reading, normalised, read

from .__main__ import script_of
from .corpus import Wording, collected, found, fresh, replies, unseen, wordings, written
from .scripted import CLIENT, wired

# Chosen by what the open rows of one file say of a model that was trained without them
INVERSE_REGULARISATION = 10.0
LEAST_WEIGHT = 2  # tenths; smaller ones change next to nothing
VARIANTS = 6  # of a phrase with alternatives
OF_A_PHRASE = {lexicon.STRONG: 1.0, lexicon.PLAIN: 0.7, lexicon.WEAK: 0.2}


@dataclass(frozen=True)
class Sample:
    """Features with their meaning; ``weight``: how much it counts beside a labelled reply."""

    features: frozenset[str]
    meaning: str
    weight: float = 1.0


def main() -> int:
    """Learn, and write the weights."""
    samples = [*of_replies(), *of_written(), *of_examples(), *of_phrases()]
    vectorizer = CountVectorizer(analyzer=lambda features: features, binary=True)
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000)
    model.fit(
        vectorizer.fit_transform([sample.features for sample in samples]),
        [sample.meaning for sample in samples],
        sample_weight=[sample.weight for sample in samples],
    )
    tenths = (model.coef_ / UNIT).round().astype(int)
    lines = [
        f"{meaning}\t{round(bias / UNIT)}"
        for meaning, bias in zip(model.classes_, model.intercept_, strict=True)
    ]
    lines.append("")
    for name, column in sorted(vectorizer.vocabulary_.items()):
        weights = {
            number: int(weight)
            for number, weight in enumerate(tenths[:, column])
            if abs(weight) >= LEAST_WEIGHT
        }
        if weights:
            lines.append(f"{name}\t" + " ".join(f"{at}:{weight}" for at, weight in weights.items()))
    WEIGHTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(samples)} samples, {len(lines) - len(model.classes_) - 1} features")
    return 0


def of_replies() -> Iterator[Sample]:
    """The labelled replies that are not only counted."""
    seen = (row for row in replies() if not row.held_back)
    others = (*unseen(), *found(), *fresh(), *collected())
    for row in (*seen, *wordings(), *(row for row in others if not row.counted)):
        script = script_of(row)
        us = (str(CLIENT), script.target().ehlo_name)
        ours = Ours(*us, script.mail_from, script.rcpt_to, script.username)
        reading = _reading(row.lines, ours)
        right = row.meanings()
        said = (match.meaning for match in lexicon.meanings_of(reading, row.stage))
        meaning = next((one for one in said if one in right), min(right, default=NONE))
        mx = not isinstance(row, Wording) and script.port == 25
        yield Sample(features(reading, row.stage, mx=mx), meaning)


def of_written() -> Iterator[Sample]:
    """The replies that were written to teach."""
    for meaning, host, stage, lines in written():
        yield Sample(features(_reading(lines, Ours()), stage, mx=host == "mx"), meaning)


def of_examples() -> Iterator[Sample]:
    """The examples of the lexicon's entries."""
    for entry in lexicon.entries():
        for example in entry.examples:
            if example[:3].isdigit():
                reading = _reading((example,), Ours())
                yield Sample(features(reading, None, mx=None), entry.meaning)


def of_phrases() -> Iterator[Sample]:
    """Each phrase as a reply, with some of its alternatives."""
    for phrase in lexicon.phrases():
        tokens = [token.strip("[]").split("|") for token in phrase.text.split() if token != "..."]
        variants = min(max(map(len, tokens)), VARIANTS)
        choice = random.Random(phrase.text)
        for number in range(variants):
            words = " ".join(choice.choice(token) if number else token[0] for token in tokens)
            text = normalised(words.replace("_", " ").replace("*", ""))
            yield Sample(
                features(Reading(0, "", text), None, mx=None),
                lexicon.entries()[phrase.entry].meaning,
                OF_A_PHRASE[phrase.strength] / variants,
            )


def _reading(lines: tuple[str, ...], ours: Ours) -> Reading:
    texts = [line.encode("utf-8", "surrogateescape") for line in wired(list(lines))]
    return read(RawReply(int(lines[0][:3]), tuple(text[4:] for text in texts)), ours)


if __name__ == "__main__":
    sys.exit(main())
