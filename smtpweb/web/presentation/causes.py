"""The cause of a failed check in the reader's language, rendered from its code and facts.

Checks from before facts were stored, and causes no longer in the catalogue, show the English text
stored with the check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Protocol

from flask_babel import gettext

from ...mailcheck import Report, Stage
from ...mailcheck.core import egress
from ...mailcheck.core.once import once
from ...mailcheck.core.types import Notice
from ...mailcheck.diagnosis.catalogue import causes_by_id
from ...mailcheck.diagnosis.facts import TOKEN_REASONS, WARNINGS
from ...mailcheck.diagnosis.matcher import Diagnosis
from ...mailcheck.diagnosis.providers import providers
from ...mailcheck.diagnosis.rendering import ADDED_STEPS, FACTS, Rendered, render
from ...mailcheck.net import happy_eyeballs
from ...mailcheck.protocol.replies import BREACHES
from ..http.i18n import spoken
from . import labels


class Titled(Protocol):
    """A check, a row of one, or the result of a probe."""

    @property
    def code(self) -> str | None:
        """The code of the cause."""

    @property
    def title(self) -> str | None:
        """Its stored English title."""

    @property
    def facts(self) -> Mapping[str, str] | None:
        """The values that its texts name."""


def said(report: Report | None) -> Report | None:
    """Return a report with its texts in the reader's language."""
    if report is None:
        return None
    report = dataclasses.replace(
        report,
        warnings=tuple(Notice(_notice(notice)) for notice in report.warnings),
        addresses=tuple(
            dataclasses.replace(one, outcome=_fact("outcome", one.outcome))
            for one in report.addresses
        ),
    )
    words = _words(report.code, report.facts, found_mode=bool(report.alternatives))
    if words is None:
        return report
    tls = report.tls
    if tls is not None and tls.problem:
        tls = dataclasses.replace(tls, problem=words.title)
    return dataclasses.replace(
        report, title=words.title, meaning=words.meaning, advice=words.steps, tls=tls
    )


def diagnosis(found: Diagnosis) -> Diagnosis:
    """Return a diagnosis with its texts in the reader's language."""
    words = _words(found.id, found.facts)
    if words is None:
        return found
    return dataclasses.replace(found, title=words.title, meaning=words.meaning, steps=words.steps)


def title(found: Titled) -> str:
    """Return the cause in one line, without needing the report."""
    words = _words(found.code, found.facts)
    return words.title if words else found.title or ""


def texts() -> Iterator[str]:
    """Yield the facts that are themselves English text, for translators."""
    yield from FACTS.values()
    yield from BREACHES
    yield from ADDED_STEPS
    yield from WARNINGS
    yield from TOKEN_REASONS.values()
    yield from happy_eyeballs.WORDS
    for provider in providers():
        yield from (notice.text for notice in provider.notices)
    yield from sorted(egress.RANGE_NAMES)
    yield from (
        "login",
        "password",
        "access token",
        "another address",
        "SMTP over TLS",
        "not readable",
    )


def _words(
    code: str | None, facts: Mapping[str, str] | None, *, found_mode: bool = False
) -> Rendered | None:
    """Render a cause; with ``found_mode``, only the steps that still hold beside that."""
    cause = causes_by_id().get(code or "")
    if cause is None or not facts:
        return None
    if found_mode:
        cause = dataclasses.replace(cause, steps=tuple(cause.steps[n - 1] for n in cause.still))
    if spoken() == "en":
        return render(cause, facts)
    said = {name: _fact(name, value) for name, value in facts.items()}
    return render(cause, said, lambda text: str(gettext(text)) if text else "")


def _notice(notice: Notice) -> str:
    if not notice.facts:
        return str(gettext(notice.text))
    facts = {name: _fact(name, value) for name, value in notice.facts.items()}
    return str(gettext(notice.text)).format_map(facts)


@once
def _known() -> frozenset[str]:
    return frozenset(texts())


def _fact(name: str, value: str) -> str:
    if name == "stage" and value in set(Stage) and spoken() != "en":
        return labels.stage(value)
    if name == "outcomes":  # "192.0.2.1: refused; 192.0.2.2: timed out"
        pairs = [one.rpartition(": ") for one in value.split("; ")]
        return "; ".join(f"{address}{colon}{_fact('', word)}" for address, colon, word in pairs)
    return str(gettext(value)) if value and value in _known() else value
