"""How sure a diagnosis is, and what else it can be, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator

from flask_babel import gettext as _

from ...mailcheck import Report
from ...mailcheck.diagnosis.catalogue import causes_by_id
from ...mailcheck.diagnosis.rendering import render


def sentences(report: Report) -> Iterator[str]:
    """What to say beside the cause of a failed check; nothing where it is certain."""
    if report.confidence == "likely":
        yield _("This is the likely cause, not a certain one.")
    elif report.confidence == "unclear":
        yield _("The server does not say enough to be sure of the cause.")
    for code in report.also_possible:
        cause = causes_by_id().get(code)
        if cause is not None:
            title = render(cause, report.facts, lambda text: str(_(text)) if text else "").title
            yield _("It can also be: %(title)s", title=title)
