"""What a check found, said again in the reader's language.

A report keeps its cause in English, with the facts filled in: that is what the API and the
command line say. A page takes the facts back out of it, with the help of the catalogue's entry,
and fills them into the entry's translation. What fits no entry any more stays in English.
"""

from __future__ import annotations

import dataclasses
import functools
import string
from collections.abc import Iterator

from flask_babel import gettext

from ...database.models import Check
from ...mailcheck import Answer, Report, Stage
from ...mailcheck.core import egress
from ...mailcheck.diagnosis import catalogue
from ...mailcheck.diagnosis.facts import WARNINGS
from ...mailcheck.diagnosis.matcher import DEADLINE_STEP, FACTS, Diagnosis
from ...mailcheck.net import happy_eyeballs
from ...mailcheck.protocol.replies import BREACHES
from ..http.i18n import spoken
from . import labels


def said(report: Report | None) -> Report | None:
    """The same report for a page."""
    if report is None or spoken() == "en":
        return report
    entry = _entries().get(report.code)
    tls = report.tls
    if tls is not None and tls.problem:
        tls = dataclasses.replace(tls, problem=_again([entry.title] if entry else [], tls.problem))
    return dataclasses.replace(
        report,
        title=_again([entry.title] if entry else [], report.title),
        meaning=_again([entry.meaning] if entry else [], report.meaning),
        advice=tuple(
            _again([*(entry.steps if entry else ()), DEADLINE_STEP], step) for step in report.advice
        ),
        warnings=tuple(_again(WARNINGS, warning) for warning in report.warnings),
        addresses=tuple(
            dataclasses.replace(one, outcome=_fact("outcome", one.outcome))
            for one in report.addresses
        ),
        tls=tls,
    )


def diagnosis(found: Diagnosis) -> Diagnosis:
    """A diagnosis without a check, for a page."""
    entry = _entries().get(found.id)
    if spoken() == "en" or entry is None:
        return found
    return dataclasses.replace(
        found,
        title=_again([entry.title], found.title),
        meaning=_again([entry.meaning], found.meaning),
        steps=tuple(_again(entry.steps, step) for step in found.steps),
    )


def title(found: Check | Answer) -> str:
    """The cause of a check in one line, where its report is not at hand; or that of a probe."""
    told = found.title or ""
    entry = _entries().get(found.code or "")
    return told if spoken() == "en" else _again([entry.title] if entry else [], told)


def texts() -> Iterator[str]:
    """The facts that are English words themselves, for translators."""
    yield from FACTS.values()
    yield from BREACHES
    yield DEADLINE_STEP
    yield from WARNINGS
    yield from happy_eyeballs.WORDS
    yield from sorted(egress.RANGE_NAMES)
    yield from ("login", "password", "another address", "SMTP over TLS", "not readable")


def facts_in(template: str, text: str) -> dict[str, str] | None:
    """The facts that make ``text`` of ``template``; None where none do."""
    found: dict[str, str] = {}
    parts = [(literal, name) for literal, name, _, _ in string.Formatter().parse(template)]
    rest = text
    for number, (literal, name) in enumerate(parts):
        if not rest.startswith(literal):
            return None
        rest = rest[len(literal) :]
        if name is None:
            continue
        after = parts[number + 1 :]
        if name in found:
            value = found[name]
        elif not after or (len(after) == 1 and after[0][1] is None):
            value = rest[: len(rest) - len(after[0][0])] if after else rest
        else:
            value = rest[: max(rest.find(after[0][0]), 0)]
        if not rest.startswith(value):
            return None
        found[name] = value
        rest = rest[len(value) :]
    return None if rest else found


@functools.cache
def _entries() -> dict[str, catalogue.Cause]:
    return {cause.id: cause for cause in catalogue.causes()}


def _again(templates: tuple[str, ...] | list[str], text: str) -> str:
    for template in templates:
        facts = facts_in(template, text)
        if facts is not None:
            told = {name: _fact(name, value) for name, value in facts.items()}
            return string.Formatter().vformat(str(gettext(template)), (), told)
    return str(gettext(text)) if text else ""


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(texts())


def _fact(name: str, value: str) -> str:
    if name == "stage" and value in set(Stage):
        return labels.stage(value)
    if name == "outcomes":  # "192.0.2.1: refused; 192.0.2.2: timed out"
        pairs = [one.rpartition(": ") for one in value.split("; ")]
        return "; ".join(f"{address}{colon}{_fact('', word)}" for address, colon, word in pairs)
    return str(gettext(value)) if value and value in _known() else value
