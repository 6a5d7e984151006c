"""How certain a diagnosis is, and other possible causes, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from flask_babel import gettext as _

from ...mailcheck.diagnosis.catalogue import causes_by_id
from ...mailcheck.diagnosis.rendering import render


class Judged(Protocol):
    """The report of a failed check, or the diagnosis of a pasted error."""

    @property
    def confidence(self) -> str:
        """One of certain, likely and unclear; empty in reports from before it was stored."""

    @property
    def also_possible(self) -> tuple[str, ...]:
        """Codes of other causes that look the same."""

    @property
    def facts(self) -> Mapping[str, str]:
        """The values that their texts name."""


def sentences(found: Judged) -> Iterator[str]:
    """Yield sentences to show with a cause; none if it is certain."""
    if found.confidence == "likely":
        yield _("This is the likely cause, not a certain one.")
    elif found.confidence == "unclear":
        yield _("The server does not say enough to be sure of the cause.")
    for code in found.also_possible:
        cause = causes_by_id().get(code)
        if cause is not None:
            title = render(cause, found.facts, lambda text: str(_(text)) if text else "").title
            yield _("It can also be: %(title)s", title=title)
