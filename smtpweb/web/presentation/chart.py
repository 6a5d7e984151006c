"""The chart of response times: what the SVG draws, and the same in words for its table.

A column is a part of the time, as high as its typical check took, with the stages stacked in their
order. It is a link to that check. All geometry is in attributes: no style is allowed on a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ...mailcheck import Stage
from ...monitoring.history import TOTAL, Column
from . import labels

WIDTH, HEIGHT = 24, 160  # of a column, and of the highest one
LEFT, TOP = 56, 8
# Stages that are too short to be told apart are drawn as one; (class, name, stages)
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
    """A column at ``x``; ``words`` say what it shows. ``row`` is what the table shows of it."""

    x: int
    words: str
    boxes: tuple[Box, ...]
    row: Column
    parts: tuple[float | None, ...]  # milliseconds, by PARTS


@dataclass(frozen=True)
class Chart:
    """``ticks`` are (y, words). Empty ``columns``: there is nothing to be drawn."""

    width: int
    height: int
    columns: tuple[Drawn, ...]
    ticks: tuple[tuple[float, str], ...]
    parts: tuple[tuple[str, str], ...]  # (look, name) of those that occur

    @property
    def shown(self) -> tuple[Drawn, ...]:
        """The columns with any check."""
        return tuple(one for one in self.columns if one.row.typical or one.row.failed)


def chart(columns: Sequence[Column]) -> Chart:
    """Draw these columns."""
    highest = max((one.typical.times[TOTAL] for one in columns if one.typical), default=0)
    top = _rounded(highest)
    drawn = tuple(_drawn(index, column, top) for index, column in enumerate(columns))
    occurring = [
        (look, str(name))
        for place, (look, name, _stages) in enumerate(PARTS)
        if any(one.parts[place] for one in drawn)
    ]
    ticks = (
        [
            (TOP + HEIGHT * (1 - share), labels.duration(top * share) if share else "0")
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
    said = [labels.exact(column.since)]
    if column.typical:
        said.append(_("typically %(time)s", time=labels.duration(column.typical.times[TOTAL])))
    if column.failed:
        said.append(_("failed at %(stage)s", stage=labels.stage(column.failed.stage)))
    return ", ".join(said)


def _rounded(highest: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... that is not lower."""
    step = 1.0
    while highest > 0:
        for factor in (1, 2, 5):
            if step * factor >= highest:
                return step * factor
        step *= 10
    return step


def stage_name(stage: str) -> Any:
    """The name of a stage, or of the whole."""
    return _("All stages") if stage == TOTAL else labels.stage(stage)
