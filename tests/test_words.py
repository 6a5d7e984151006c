"""One word for one thing, in everything that a reader of smtpweb sees."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from smtpweb.config import ROOT
from smtpweb.web.api import openapi
from tests.support.avoided_words import avoided
from translations import collect

# The texts of the causes of failures are collected from these files.
CAUSES = ("smtpweb/mailcheck/diagnosis", "smtpweb/web/presentation/causes.py")


def catalogue_texts() -> Iterator[tuple[str, str]]:
    """What the pages say: where a text stands, and the text."""
    for message in collect.template():
        places = [name for name, _line in message.locations]
        if message.id and not all(place.startswith(CAUSES) for place in places):
            for text in [message.id] if isinstance(message.id, str) else message.id:
                yield places[0], text


def template_texts() -> Iterator[tuple[str, str]]:
    """What stands in the templates outside of gettext."""
    for path in sorted((ROOT / "templates").rglob("*.html")):
        bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", " ", path.read_text(), flags=re.S)
        yield path.name, bare


def openapi_texts() -> Iterator[tuple[str, str]]:
    """The summaries and descriptions of the API."""

    def walk(node: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, dict):
            for name, value in node.items():
                if name in ("summary", "description") and isinstance(value, str):
                    yield path, value
                else:
                    yield from walk(value, f"{path}/{name}")
        elif isinstance(node, list):
            for value in node:
                yield from walk(value, path)

    return walk(openapi.document(), "")


PLACES = {
    "catalogue": catalogue_texts,
    "templates": template_texts,
    "openapi": openapi_texts,
}


@pytest.mark.parametrize("place", PLACES)
def test_words_that_are_avoided_stand_nowhere(place: str) -> None:
    texts = list(PLACES[place]())
    assert len(texts) > 20
    faults = [f"{where}: {fault}" for where, text in texts for fault in avoided(text)]
    assert not faults, json.dumps(faults, indent=1, ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        "Add SMTPs.", "Create an SMTP.", "A test mail was sent.", "its mails", "Your mail address",
        "The server wants a login", "TLS from the start", "Sent in clear.", "Check under way",
        "Begins with a blank", "Nobody reads answers", "Present password", "Log in at the server.",
    ],
)  # fmt: skip
def test_words_that_are_avoided_are_found(text: str) -> None:
    assert list(avoided(text))


@pytest.mark.parametrize(
    "text",
    [
        "Add SMTP servers.", "SMTP not found", "an SMTP key", "a mail server", "Sign in", "SMTPS",
        "a test email", "clear the filter", "/auth/login", "your mail server",
    ],
)  # fmt: skip
def test_words_that_are_used_are_let_through(text: str) -> None:
    assert not list(avoided(text))
