"""Load the causes of failures from ``causes/*.toml`` and sort them, most specific first.

Each entry is one cause: when it applies, and the texts for people. The format:

- ``id``: stable, starts with ``SMTP_``; the code of the API.
- matchers, all of which must match; a list matches if any member does: ``means`` (a meaning of
  the reply, see lexicon.py; "", the default, is a reply without one; "*" is any),
  ``stage``, ``symptom`` (default "refused"; "any"), ``code`` ("535", "4xx"), ``enhanced`` ("5.7.8",
  "5.7.x"), ``provider`` (an id of providers.toml), ``when`` (required values of facts).
- ``temporary``: worth retrying unchanged; by default, true for a 4xx reply.
- ``side``: who has to act (:class:`Side`).
- ``ours``: true if the outcome says nothing about the SMTP server, because we or our machine
  failed: it then neither disables the server nor counts.
- ``also``: causes that show the same wording; with any, the cause is "likely" at most.
- ``title``, ``meaning``, ``steps``: may name facts in braces; a step that names a fact in
  ``rendering.OPTIONAL`` is omitted if the fact is unknown. ``link``: where to read more;
  ``page``: the kind of the provider's own page (:data:`~.providers.LINKS`) that takes precedence.
- ``still``: numbers (from 1) of the steps that hold even if the same host works in another mode;
  all others are refuted by that, or made unnecessary.
- ``examples``: real failures; each must lead to this entry, which the tests check.
"""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.failure import Symptom
from ..core.once import once
from ..core.types import Side, Stage

FOLDER = Path(__file__).parent / "causes"


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of the catalogue."""

    id: str
    side: Side
    title: str
    meaning: str
    steps: tuple[str, ...]
    stage: frozenset[Stage] = frozenset()
    symptom: frozenset[Symptom] = frozenset({Symptom.REFUSED})
    code: tuple[str, ...] = ()
    enhanced: tuple[str, ...] = ()
    means: frozenset[str] = frozenset()
    provider: frozenset[str] = frozenset()
    when: dict[str, list[Any]] = field(default_factory=dict)
    temporary: bool | None = None
    ours: bool = False
    link: str = ""
    page: str = ""
    also: tuple[str, ...] = ()
    still: tuple[int, ...] = ()
    rank: int = 0
    examples: tuple[dict[str, Any], ...] = ()

    @property
    def exactness(self) -> int:
        """The specificity: causes with more conditions are tried first."""
        return (
            self.rank
            + 16 * bool(self.provider)
            + 8 * len(self.when)
            + 4 * bool(self.enhanced)
            + (2 if any(code.isdigit() for code in self.code) else bool(self.code))
            + bool(self.stage)
        )


@once
def causes() -> tuple[Cause, ...]:
    """Return all causes, most specific first; on a tie, in file order."""
    found: list[Cause] = []
    for path in sorted(FOLDER.glob("*.toml")):
        found += (_cause(entry) for entry in _load(path)["cause"])
    return tuple(sorted(found, key=lambda cause: -cause.exactness))


@functools.lru_cache(len(Symptom))
def causes_of(symptom: Symptom) -> tuple[Cause, ...]:
    """Return the causes with ``symptom``, most specific first."""
    return tuple(cause for cause in causes() if symptom in cause.symptom)


@once
def causes_by_id() -> dict[str, Cause]:
    """Return the causes by code."""
    return {cause.id: cause for cause in causes()}


def table() -> str:
    """Return all codes as a Markdown table for ``docs/check.md``, one file after the other."""
    lines = ["| code | title | try again | whose move |", "|---|---|---|---|"]
    for path in sorted(FOLDER.glob("*.toml")):
        for entry in _load(path)["cause"]:
            again = {True: "yes", False: "no"}.get(entry.get("temporary"), "if the reply is 4xx")
            lines.append(f"| `{entry['id']}` | {entry['title']} | {again} | {entry['side']} |")
    return "\n".join(lines)


def _load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _cause(entry: dict[str, Any]) -> Cause:
    values = dict(entry)
    values["side"] = Side(values["side"])
    values["stage"] = frozenset(Stage(name) for name in _list(values.get("stage")))
    if values.get("symptom") == "any":
        values["symptom"] = frozenset(Symptom)
    elif "symptom" in values:
        values["symptom"] = frozenset(Symptom(name) for name in _list(values["symptom"]))
    for name in ("code", "enhanced"):
        values[name] = tuple(_list(values.get(name)))
    values["means"] = frozenset(_list(values.get("means")))
    values["also"] = tuple(values.get("also", ()))
    values["still"] = tuple(values.get("still", ()))
    values["provider"] = frozenset(_list(values.get("provider")))
    values["steps"] = tuple(values["steps"])
    values["examples"] = tuple(values.get("examples", ()))
    return Cause(**values)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
