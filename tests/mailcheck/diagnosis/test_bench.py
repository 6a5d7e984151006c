"""The figures of the bench hold: what it knows of public corpora stays understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from bench.diagnosis.__main__ import (
    CEILING_COUNTED,
    CEILING_MISLEADING,
    FLOOR_COUNTED,
    FLOOR_RIGHT,
    FLOOR_SUBMISSION,
    measured,
    script_of,
    shares_of,
)  # fmt: skip
from bench.diagnosis.corpus import Unseen, found, meanings, replies, unseen, wordings
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


@pytest.mark.parametrize("rows", [unseen, found])
def test_bench_replies_nobody_was_shown_stay_above_their_floor(
    rows: Callable[[], Iterator[Unseen]],
) -> None:
    verdicts = measured(rows())
    assert shares_of(verdicts[True])["right"] >= FLOOR_COUNTED
    assert shares_of(verdicts[True])["misleading"] <= CEILING_COUNTED
    assert shares_of(verdicts[False])["right"] >= FLOOR_RIGHT


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
