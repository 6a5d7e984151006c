"""What is left out of a report that is too long, and in which order."""

from __future__ import annotations

import dataclasses
import html
import json

import pytest

from smtpweb.mailcheck import Line, Report, Side, Stage
from smtpweb.mailcheck.core import report_size
from smtpweb.mailcheck.core.types import Notice, ServerText, TlsFacts


def report(lines: int, text: str, *, others: int = 0) -> Report:
    words = ServerText(text)
    return Report(
        accepted=False, stage=Stage.MAIL, code="SMTP_X", title=text, meaning=text, advice=(text,),
        temporary=False, side=Side.SMTP, warnings=(Notice(text),) * 2,
        transcript=tuple(Line("S", float(number), f"{number} {text}") for number in range(lines)),
        capabilities=(words,) * others,
        tls=TlsFacts("TLSv1.3", "x", words, (words,) * others, words, "", None),
    )  # fmt: skip


def within(whole: Report) -> Report:
    return Report.from_dict(report_size.within(whole))


def texts_of(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [text for item in value for text in texts_of(item)]
        if isinstance(value, list | tuple)
        else []
    )


def remarks(shown: Report) -> str:
    return "; ".join(line.text for line in shown.transcript if line.direction == "*")


def test_report_that_fits_is_left_as_it_is() -> None:
    whole = report(30, "ordinary", others=12)
    assert within(whole) == whole


def test_middle_of_a_long_transcript_goes_first() -> None:
    whole = report(400, "x" * 300, others=12)
    shown = within(whole)
    assert shown.transcript[:60] == whole.transcript[:60]
    assert shown.transcript[-60:] == whole.transcript[-60:]
    assert "280 lines are left out" in remarks(shown)
    assert dataclasses.replace(shown, transcript=()) == dataclasses.replace(whole, transcript=())


def test_capabilities_and_names_go_next() -> None:
    shown = within(report(400, "x" * 400, others=200))
    assert (len(shown.capabilities), len(shown.tls.names) if shown.tls else 0) == (20, 10)
    assert "only the first are kept" in remarks(shown)


@pytest.mark.parametrize("text", ["x", "<", '"', "\N{PILE OF POO}", "é"])
@pytest.mark.parametrize("length", [10, 500, 1000])
@pytest.mark.parametrize("others", [0, 20, 500])
def test_reports_of_any_kind_fit(text: str, length: int, others: int) -> None:
    shown = within(report(400, text * length, others=others))
    values = shown.to_dict()
    assert len(json.dumps(values)) <= report_size.MAX_BYTES
    assert len(html.escape(" ".join(texts_of(values))).encode()) <= report_size.MAX_BYTES
    assert shown.code == "SMTP_X"
    assert Report.from_dict(values) == shown
