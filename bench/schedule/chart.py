"""A chart of a run: checks per second, lag and memory, and when a worker was killed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_WIDTH, _HEIGHT, _LEFT, _GAP = 760, 110, 60, 34
_STYLE = (
    "text{font:12px sans-serif;fill:#57606a}path{fill:none;stroke:#0969da;stroke-width:1.5}"
    ".axis{stroke:#8c959f;stroke-width:1}.kill{stroke:#cf222e;stroke-dasharray:3 3}"
    "svg{background:#fff}"
)


class Measured(Protocol):
    """What is drawn of a moment."""

    at: float
    checks: int
    lag: float
    memory: float


def of(samples: Sequence[Measured], kills: Sequence[float], seconds: float) -> str:
    """Return the chart as SVG; ``kills`` are seconds since the start."""
    rates = [
        (later.at, (later.checks - earlier.checks) / (later.at - earlier.at))
        for earlier, later in zip(samples, samples[5:], strict=False)
    ]
    panels = [
        ("Checks per second", rates),
        ("Seconds that the oldest due check is late", [(one.at, one.lag) for one in samples]),
        ("Memory of the larger worker, MiB", [(one.at, one.memory) for one in samples]),
    ]
    height = len(panels) * (_HEIGHT + _GAP) + _GAP
    body = "".join(
        _panel(title, points, kills, seconds, _GAP + place * (_HEIGHT + _GAP))
        for place, (title, points) in enumerate(panels)
    )
    labels = "".join(
        f'<text x="{_x(at, seconds):.0f}" y="{height - _GAP + 14}" text-anchor="middle">'
        f"{at / 60:g} min</text>"
        for at in (0, seconds / 4, seconds / 2, seconds * 3 / 4, seconds)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 30} {height}"'
        f' role="img"><title>Checks per second, lag and memory while workers are killed</title>'
        f"<style>{_STYLE}</style>{body}{labels}</svg>\n"
    )


def _x(at: float, seconds: float) -> float:
    return _LEFT + at / seconds * _WIDTH


def _panel(
    title: str,
    points: Sequence[tuple[float, float]],
    kills: Sequence[float],
    seconds: float,
    top: float,
) -> str:
    most = max((value for _, value in points), default=0) or 1
    bottom = top + _HEIGHT
    line = " ".join(
        f"{'L' if place else 'M'}{_x(at, seconds):.1f},{bottom - value / most * _HEIGHT:.1f}"
        for place, (at, value) in enumerate(points)
    )
    marks = "".join(
        f'<line class="kill" x1="{_x(at, seconds):.1f}" x2="{_x(at, seconds):.1f}"'
        f' y1="{top}" y2="{bottom}"/>'
        for at in kills
    )
    return (
        f'<text x="{_LEFT}" y="{top - 8}">{title}</text>'
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{most:.0f}</text>'
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<path class="axis" d="M{_LEFT},{top} V{bottom} H{_LEFT + _WIDTH}"/>{marks}'
        f'<path d="{line}"/>'
    )
