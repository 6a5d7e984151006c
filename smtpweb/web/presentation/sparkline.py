"""The bar of the last checks: an SVG drawing and its text alternative."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

from flask_babel import get_locale, ngettext
from flask_babel import gettext as _

from ...database.session import AnyRow
from ...registry.overview import MARKS
from . import labels, times

_STEP = 5  # SVG units from one check to the next
_DATA = "data:image/svg+xml,"
_DRAWING = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{MARKS * _STEP}" height="16" fill="none"'
    ' stroke-linecap="round">{}</svg>'
)
# An image has no style sheet. These colours contrast with light and dark pages.
_STYLES = {
    "accepted": 'stroke="#198754" stroke-width="3" stroke-linecap="butt"',
    "failed": 'stroke="#dc3545" stroke-width="1.6"',
    "other": 'stroke="#6c757d" stroke-width="3"',
}


class Mark(NamedTuple):
    """A check drawn in a square of 24 units; ``kind`` is the suffix of its class."""

    id: str
    words: str
    kind: str
    path: str


class Bar(NamedTuple):
    """The drawing of checks as a ``data:`` URL, with its text alternative."""

    words: str
    image: str
    marks: tuple[Mark, ...] = ()  # the same checks one by one, oldest first


def bar(marks: Sequence[AnyRow], *, one_by_one: bool = False) -> Bar:
    """Draw these checks, given newest first.

    ``one_by_one``: also each by itself with its words, which takes far longer than all else.
    """
    kinds = tuple(mark.kind for mark in marks[:MARKS])
    each = tuple(map(_mark, reversed(marks[:MARKS]))) if one_by_one else ()
    return Bar(_words(kinds), _image(kinds), each)


@functools.lru_cache(512)  # bars without a failure are all the same
def _image(kinds: tuple[str, ...]) -> str:
    """Draw an SVG of 150 by 16 units, with the newest check on the right.

    Checks differ in shape, not only in colour: an accepted check is a tall stroke, a failed one a
    cross, one without an outcome a dot.
    """
    paths = dict.fromkeys(_STYLES, "")
    for index, kind in enumerate(kinds):
        x = (MARKS - 1 - index) * _STEP + 2
        paths[kind] += {
            "accepted": f"M{x} 2v12",
            "failed": f"M{x - 1.5} 5l3.5 6m0-6l-3.5 6",
            "other": f"M{x} 8h1",
        }[kind]
    drawn = "".join(f'<path {_STYLES[kind]} d="{path}"/>' for kind, path in paths.items() if path)
    return _DATA + quote(_DRAWING.format(drawn), safe="/")


_LARGE = {"accepted": "M12 3v18", "failed": "M7 6l10 12m0-12l-10 12", "other": "M12 12h1"}


def _mark(check: AnyRow) -> Mark:
    said = f"{labels.check_state(check).words}, {times.exact(check.started)}"
    return Mark(check.id, said, check.kind, _LARGE[check.kind])


def _words(kinds: tuple[str, ...]) -> str:
    counts = (len(kinds), *(kinds.count(kind) for kind in ("accepted", "failed", "other")))
    return _counted(*counts, str(get_locale()))


@functools.lru_cache(512)  # most rows of a list have the same counts
def _counted(total: int, accepted: int, failed: int, other: int, _language: str) -> str:
    if not total:
        return str(_("No checks"))
    parts = [
        ngettext("%(num)d check", "%(num)d checks", total),
        ngettext("%(num)d accepted", "%(num)d accepted", accepted),
        ngettext("%(num)d failed", "%(num)d failed", failed),
    ]
    if other:
        parts.append(_("%(count)d without a result", count=other))
    return ", ".join(parts)
