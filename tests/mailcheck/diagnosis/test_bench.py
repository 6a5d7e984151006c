"""The figures of the bench hold: what it knows of public corpora stays understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from bench.diagnosis import outcomes
from bench.diagnosis.__main__ import (
    CEILING_MISLEADING,
    FLOOR_RIGHT,
    FLOOR_SIDE,
    FLOOR_SUBMISSION,
    FLOOR_TEMPORARY,
    FLOOR_WRAPPED,
    measured,
    minimum_of,
    same_cause_in_wrappers,
    script_of,
    shares_of,
)  # fmt: skip
from bench.diagnosis.corpus import (
    Unseen,
    cases,
    collected,
    found,
    fresh,
    meanings,
    replies,
    unseen,
    wordings,
)
from bench.diagnosis.scripted import check
from smtpweb.mailcheck import Stage
from smtpweb.mailcheck.diagnosis.lexicon import meanings_of
from smtpweb.mailcheck.diagnosis.reading import read
from tests.support.replies import reply_of

# Of 410 replies with a meaning; these few can be read either way
MAX_UNLIKE = 10


def test_bench_labelled_replies_stay_above_their_floor() -> None:
    seen = Counter(
        row.verdict(check(script_of(row)).code) for row in replies() if not row.held_back
    )
    assert shares_of(seen)["right"] >= FLOOR_RIGHT
    assert shares_of(seen)["misleading"] <= CEILING_MISLEADING


def test_bench_wordings_of_submission_stay_above_their_floor() -> None:
    counted = Counter(row.verdict(check(script_of(row)).code) for row in wordings())
    assert shares_of(counted)["right"] >= FLOOR_SUBMISSION


@pytest.mark.parametrize("rows", [unseen, found, fresh, collected])
def test_bench_replies_nobody_was_shown_stay_above_their_floor(
    rows: Callable[[], Iterator[Unseen]],
) -> None:
    verdicts = measured(rows())
    right, misleading = minimum_of(rows.__name__)
    assert shares_of(verdicts[True])["right"] >= right
    assert shares_of(verdicts[True])["misleading"] <= misleading
    assert shares_of(verdicts[False])["right"] >= FLOOR_RIGHT


def test_bench_side_and_temporary_stay_above_their_floor() -> None:
    fixed: dict[str, Counter[bool]] = {"side": Counter(), "temporary": Counter()}
    found = [
        outcomes.of_label(row.label, check(script_of(row)))
        for row in replies()
        if not row.held_back
    ]
    found += [
        outcomes.of_case(case, check(outcomes.script_of_case(name, case)))
        for name, case in cases().items()
    ]
    for right in found:
        for name, is_right in right.items():
            fixed[name][is_right] += 1
    for name, floor in (("side", FLOOR_SIDE), ("temporary", FLOOR_TEMPORARY)):
        assert fixed[name].total() > 300
        assert fixed[name][True] / fixed[name].total() >= floor, name


def test_bench_replies_in_wrappers_lead_to_the_same_cause() -> None:
    """Every 20th reply in every wrapper; ``python -m bench.diagnosis`` counts them all."""
    counted = same_cause_in_wrappers(step=20)
    for name, same in counted.items():
        assert same[True] / same.total() >= 0.85, name
    everything = sum(counted.values(), Counter[bool]())
    assert everything[True] / everything.total() >= FLOOR_WRAPPED


def test_bench_meanings_are_found_by_words_alone() -> None:
    unlike = [
        (meaning, reply)
        for stage, meaning, reply in meanings()
        if not (found := meanings_of(read(reply_of(reply)), stage)) or found[0].meaning != meaning
    ]
    assert len(unlike) <= MAX_UNLIKE, unlike


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO, Stage.AUTH, Stage.MAIL, Stage.DATA])
def test_scripted_server_refuses_at_the_stage_asked_for(stage: Stage) -> None:
    row = next(row for row in wordings() if row.stage is stage)
    assert check(script_of(row)).stage is stage
