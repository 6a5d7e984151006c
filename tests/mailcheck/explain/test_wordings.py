"""What libraries say where no reply came, and replies in forms that are seen less often."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from smtpweb.mailcheck.explain.explanation import explain

SAMPLES = tomllib.loads(Path(__file__).with_name("wordings.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("text", "stage", "symptom"), SAMPLES["symptoms"])
def test_wording_tells_the_symptom(text: str, stage: str, symptom: str) -> None:
    found = explain(text)
    assert (found.stage, found.facts.get("symptom")) == (stage, symptom)
    assert found.reply is None


@pytest.mark.parametrize(("text", "stage", "code", "enhanced"), SAMPLES["replies"])
def test_less_usual_form_of_a_reply_is_read(
    text: str, stage: str, code: int, enhanced: str
) -> None:
    found = explain(text)
    assert found.reply is not None
    assert (found.stage, found.reply.code, found.reply.enhanced) == (stage, code, enhanced)
