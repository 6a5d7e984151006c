"""The classifier has an estimate for wordings that no phrase has, and keeps quiet where unsure."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import pytest

from bench.diagnosis.corpus import collected, fresh, replies, unseen, written
from bench.diagnosis.corpus import found as found_in_public
from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.core.failure import Symptom
from smtpweb.mailcheck.diagnosis import classifier, evidence, lexicon
from smtpweb.mailcheck.diagnosis.lexicon import PLAIN, STRONG, WEAK, Match
from smtpweb.mailcheck.diagnosis.matcher import Confidence, Diagnosis, Seen, diagnose
from smtpweb.mailcheck.diagnosis.reading import read
from tests.support.replies import reply_of

SIGNED_IN: dict[str, Any] = {"port": 587, "auth": True, "authenticated": True, "encrypted": True}


def found(stage: str, reply: str) -> Diagnosis:
    return diagnose(Seen(Stage(stage), Symptom.REFUSED, reply_of(reply), SIGNED_IN))


def match(meaning: str, strength: int = PLAIN) -> Match:
    return Match(meaning, lexicon.parties()[meaning], strength, False, 2, 0)


def test_weights_know_each_meaning_of_the_lexicon_and_no_other() -> None:
    assert classifier.learned() == {*lexicon.parties(), classifier.NONE}


def test_estimates_are_probabilities_likeliest_first() -> None:
    estimated = classifier.estimates(read(reply_of("550 mailbox is full")), Stage.RCPT, mx=True)
    shares = list(estimated.values())
    assert shares == sorted(shares, reverse=True)
    assert 0.9 < sum(shares) <= 1.0001
    assert next(iter(estimated)) == "mailbox-full"


@pytest.mark.parametrize(
    ("stage", "reply", "code"),
    [
        ("rcpt", "552 There is nowhere left to put messages for this person, the box overflows",
         "SMTP_RCPT_MAILBOX_FULL"),
        ("data", "550 Somebody must first prove to us that this sending domain belongs to you",
         "SMTP_FROM_NOT_VERIFIED"),
    ],
)  # fmt: skip
def test_wording_without_a_phrase_is_understood_and_never_certain(
    stage: str, reply: str, code: str
) -> None:
    said = found(stage, reply)
    assert said.id == code
    assert said.confidence is not Confidence.CERTAIN


def test_phrase_gives_way_only_to_a_sure_estimate() -> None:
    plain = (match("spam"),)
    sure = {"virus": 0.97, "spam": 0.02}
    unsure = {"virus": 0.6, "spam": 0.2}
    possible = {"virus": 0.6, "spam": 0.4}
    assert evidence.settle(plain, sure) == Match(
        "virus", "content", PLAIN, False, 0, 0, estimated=True
    )
    assert evidence.settle(plain, unsure) is None
    assert evidence.settle(plain, possible) == plain[0]
    assert evidence.settle((match("spam", STRONG),), sure) == match("spam", STRONG)
    assert evidence.settle((match("spam", WEAK),), possible) is not None
    assert evidence.settle((match("spam", WEAK),), unsure) is None


def test_meaning_that_was_not_learned_yet_is_left_to_its_phrases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "learned", lambda: frozenset({"spam"}))
    assert evidence.settle((match("virus"),), {"spam": 0.99}) == match("virus")


def test_reply_that_says_no_cause_gets_none() -> None:
    assert evidence.settle((), {classifier.NONE: 0.99}) is None
    assert found("data", "554 Transaction failed").id == "SMTP_DATA_REFUSED"


def test_replies_that_teach_are_unlike_those_that_measure() -> None:
    """Else the bench would count what the classifier was shown."""
    others = [*unseen(), *found_in_public(), *fresh(), *collected()]
    measured = [pairs_of(row.lines) for row in others if row.counted]
    measured += [pairs_of(row.lines) for row in replies() if row.held_back]
    having: dict[tuple[str, str], list[int]] = defaultdict(list)
    for number, pairs in enumerate(measured):
        for pair in pairs:
            having[pair].append(number)
    alike = 0
    for _, _, _, lines in written():
        pairs = pairs_of(lines)
        shared = Counter(number for pair in pairs for number in having[pair])
        alike += any(
            common / len(pairs | measured[number]) >= 0.7 for number, common in shared.items()
        )
    assert alike == 0  # counted alone: what measures is not shown


def pairs_of(lines: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    """The pairs of neighbouring words of a reply, without addresses, hosts and numbers."""
    said = read(reply_of("|".join(lines))).words.split()
    words = [word for word in said if word[0] not in "@#" and not word.isdigit()]
    return frozenset(pairwise(words))


def test_replies_that_teach_name_known_meanings() -> None:
    assert {meaning for meaning, *_ in written()} <= classifier.learned()
