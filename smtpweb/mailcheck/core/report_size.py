"""Limit the size of a report: a hostile server can send any amount of text."""

from __future__ import annotations

import dataclasses
import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

from .types import Line, Notice, Report

MAX_BYTES = 64 * 1024  # of a report, as stored and as shown on a page
_HALF = 60  # transcript lines first kept at each end
_ESCAPED = 6  # times the bytes in JSON, at most, if each character is escaped for HTML
_SHORT = 100  # characters of a text if even that was too much


def within(report: Report) -> dict[str, Any]:
    """Return the report as JSON values, with little left out so that :data:`MAX_BYTES` suffice.

    The middle of the transcript is dropped first, then capabilities and certificate names, and
    finally the ends of long texts. Each cut is noted in the transcript.
    """
    for smaller in _ever_smaller(report):
        values = smaller.to_dict()
        if _size_of(values) <= MAX_BYTES:
            return values
    least = dataclasses.replace(
        _without_texts(report), transcript=(), addresses=(), warnings=(), advice=(), tls=None
    )
    return least.to_dict()


def _size_of(values: dict[str, Any]) -> int:
    """Return the bytes of a report as JSON or HTML-escaped, whichever is more."""
    size = len(json.dumps(values))
    if size * _ESCAPED <= MAX_BYTES:
        return size
    shown = html.escape(" ".join(_texts(values))).encode("utf-8", "replace")
    return max(size, len(shown))


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
        message="",
        title=_cut(report.title),
        meaning=_cut(report.meaning),
        advice=tuple(map(_cut, report.advice)),
        warnings=tuple(Notice(_cut(str(notice))) for notice in report.warnings),
    )


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else text[: _SHORT - 1] + "…"


def _ends(lines: Sequence[Line], each: int) -> tuple[Line, ...]:
    """Return both ends of a transcript: how it began, and how it reached its outcome."""
    left_out = len(lines) - 2 * each
    if left_out <= 1:
        return tuple(lines)
    first, last = lines[:each], lines[-each:]
    remark = Line("*", first[-1].milliseconds, f"{left_out} lines are left out here")
    return (*first, remark, *last)


def _remarked(lines: Sequence[Line], remark: str) -> tuple[Line, ...]:
    at = lines[-1].milliseconds if lines else 0.0
    return (*lines, Line("*", at, remark))
