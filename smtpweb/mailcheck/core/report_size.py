"""Keep a report within bounds: a hostile server decides how much there is to tell."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

from .types import Line, Notice, Report

MAX_BYTES = 64 * 1024  # of a report, as it is stored and as a page holds it
_HALF = 60  # lines of a transcript that are kept at each end at first
_SHORT = 100  # characters of a text where even that was too much


def within(report: Report, most: int = MAX_BYTES) -> Report:
    """The report, with as little left out as makes it fit into ``most`` bytes.

    First the middle of the transcript goes, then capabilities and names of the certificate,
    last the ends of long texts. Each cut is told in the transcript.
    """
    return next(
        (smaller for smaller in _ever_smaller(report) if size_of(smaller) <= most),
        dataclasses.replace(
            _without_texts(report), transcript=(), addresses=(), warnings=(), advice=(), tls=None
        ),
    )


def size_of(report: Report) -> int:
    """Bytes of the report as JSON or escaped for HTML, whichever is more."""
    values = report.to_dict()
    shown = html.escape(" ".join(_texts(values))).encode("utf-8", "replace")
    return max(len(json.dumps(values)), len(shown))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _ever_smaller(report: Report) -> Iterator[Report]:
    yield report
    for each in (_HALF, _HALF // 2):
        yield dataclasses.replace(report, transcript=_ends(report.transcript, each))
    report = dataclasses.replace(
        report,
        transcript=_remarked(
            _ends(report.transcript, _HALF // 2),
            "of the capabilities and of the names in the certificate only the first are kept",
        ),
        capabilities=report.capabilities[:20],
        tls=report.tls and dataclasses.replace(report.tls, names=report.tls.names[:10]),
    )
    yield report
    for each in (_HALF // 4, _HALF // 12):
        yield dataclasses.replace(report, transcript=_ends(report.transcript, each))
    yield _without_texts(report)


def _without_texts(report: Report) -> Report:
    lines = tuple(
        dataclasses.replace(line, text=_cut(line.text))
        for line in _ends(report.transcript, _HALF // 12)
    )
    return dataclasses.replace(
        report,
        transcript=_remarked(lines, "the report was too long: its texts are cut"),
        capabilities=(),
        title=_cut(report.title),
        meaning=_cut(report.meaning),
        advice=tuple(map(_cut, report.advice)),
        warnings=tuple(Notice(_cut(str(notice))) for notice in report.warnings),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _ends(lines: Sequence[Line], each: int) -> tuple[Line, ...]:
    """Both ends of a transcript: how it began, and how it came to its verdict."""
    left_out = len(lines) - 2 * each
    if left_out <= 1:
        return tuple(lines)
    first, last = lines[:each], lines[-each:]
    remark = Line("*", first[-1].milliseconds, f"{left_out} lines are left out here")
    return (*first, remark, *last)


def _remarked(lines: Sequence[Line], remark: str) -> tuple[Line, ...]:
    at = lines[-1].milliseconds if lines else 0.0
    return (*lines, Line("*", at, remark))
