"""The chart of response times, as SVG geometry and as the rows of a table.

A column is a period, as high as the time of its typical check, with the stages stacked in order.
It links to that check, if it is kept. Geometry is in attributes, because pages must not contain
styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext

from ...checking.facts import TOTAL
from ...mailcheck import Stage
from ...monitoring.history import Column
from . import labels, times

WIDTH, HEIGHT = 24, 160  # width of a column, height of the highest one
LEFT, TOP = 56, 8
# (class, name, stages): stages that are too short to be distinguished are drawn together.
PARTS = (
    ("resolve", "DNS", (Stage.RESOLVE,)),
    ("connect", "TCP", (Stage.CONNECT,)),
    ("tls", "TLS", (Stage.TLS, Stage.STARTTLS)),
    ("greeting", lazy_gettext("Greeting, EHLO"), (Stage.GREETING, Stage.EHLO)),
    ("auth", "AUTH", (Stage.AUTH,)),
    ("envelope", "MAIL, RCPT", (Stage.MAIL, Stage.RCPT)),
    ("data", "DATA", (Stage.DATA, Stage.ACCEPTED)),
)


@dataclass(frozen=True)
class Box:
    """A part of a column; ``look`` is the end of its class."""

    look: str
    y: float
    height: float


@dataclass(frozen=True)
class Drawn:
    """A column at ``x``; ``words`` describe it, and ``row`` is its row of the table."""

    x: int
    words: str
    boxes: tuple[Box, ...]
    row: Column
    parts: tuple[float | None, ...]  # milliseconds, by PARTS


@dataclass(frozen=True)
class Chart:
    """A chart. ``ticks`` are (y, words); without ``columns`` there is nothing to draw."""

    width: int
    height: int
    columns: tuple[Drawn, ...]
    ticks: tuple[tuple[float, str], ...]
    parts: tuple[tuple[str, str], ...]  # (look, name) of those that occur

    @property
    def shown(self) -> tuple[Drawn, ...]:
        """Return the columns with a check."""
        return tuple(column for column in self.columns if column.row.typical or column.row.failed)


def chart(columns: Sequence[Column]) -> Chart:
    """Return the chart of these columns."""
    totals = (column.typical.times[TOTAL] for column in columns if column.typical)
    highest = max(totals, default=0)
    top = _rounded(highest)
    drawn = tuple(_drawn(index, column, top) for index, column in enumerate(columns))
    occurring = [
        (look, str(name))
        for place, (look, name, _stages) in enumerate(PARTS)
        if any(column.parts[place] for column in drawn)
    ]
    ticks = (
        [
            (TOP + HEIGHT * (1 - share), times.duration(top * share) if share else "0")
            for share in (0, 0.5, 1)
        ]
        if highest
        else []
    )
    return Chart(
        LEFT + WIDTH * len(columns), TOP + HEIGHT + 28, drawn, tuple(ticks), tuple(occurring)
    )


def _drawn(index: int, column: Column, top: float) -> Drawn:
    times = column.typical.times if column.typical else {}
    parts = tuple(
        sum(times[stage.value] for stage in stages if stage.value in times)
        if any(stage.value in times for stage in stages)
        else None
        for _look, _name, stages in PARTS
    )
    boxes, y = [], float(TOP + HEIGHT)
    for (look, _name, _stages), milliseconds in zip(PARTS, parts, strict=True):
        if milliseconds:
            height = round(HEIGHT * milliseconds / top, 2)
            y = round(y - height, 2)
            boxes.append(Box(look, y, height))
    return Drawn(LEFT + WIDTH * index, _words(column), tuple(boxes), column, parts)


def _words(column: Column) -> str:
    phrases = [times.exact(column.since)]
    if column.typical:
        took = times.duration(column.typical.times[TOTAL])
        phrases.append(
            _("on average %(time)s", time=took)
            if column.is_average
            else _("typically %(time)s", time=took)
        )
    if column.failed:
        phrases.append(failure(column))
    return ", ".join(phrases)


def failure(column: Column) -> str:
    """Return at which stage the last failed check of a column failed, or how many failed."""
    if column.failed and column.failed.stage:
        return str(_("failed at %(stage)s", stage=labels.stage(column.failed.stage)))
    return str(ngettext("%(num)s failed", "%(num)s failed", column.failures))


def _rounded(highest: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, ... that is not lower."""
    step = 1.0
    while highest > 0:
        for factor in (1, 2, 5):
            if step * factor >= highest:
                return step * factor
        step *= 10
    return step


def stage_name(stage: str) -> Any:
    """Return the name of a stage or of all stages."""
    return _("All stages") if stage == TOTAL else labels.stage(stage)
