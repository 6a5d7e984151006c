"""The words of the documents: the terms of the field, and one for each thing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from smtpweb.config import ROOT

DOCUMENTS = [
    *sorted(path for path in ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / ".github").rglob("*.*")),
    ROOT / "Makefile",
    ROOT / "deploy/nginx.conf",
    ROOT / "deploy/smtpweb.service",
]
# What not to write, and what to write instead
AVOIDED = {
    r"test mails?\b": "test email",
    r"SMTPs\b(?!, port 465)": "SMTP servers",
    r"(from|in) clear\b": "in plain text",
    r"TLS from the (start|first byte)": "implicit TLS",
    r"log(ging)? in\b|logged in\b|login page": "sign in (people), authenticate (clients)",
    r"(in|on) reserve|running on reserve": "backup",
    r"[Dd]isabled by a failed check": "Disabled: last check failed",
    r"present (password|settings)": "current",
    r"\b(floors?|doors?|house|rooms?|told|minds)\b|\bMind:": "the term of the field",
    r"\b(went|goes|go) on\b|\bcame about\b": "continue, established",
    r"waits? for (its|their) turn": "queued",
    r"(?<!about:)\bblanks?\b|cannot be seen": "space, invisible",
}


def prose(path: Path) -> str:
    """The text without code blocks, quoted output and the tables that a program writes."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!-- measured: begin -->.*<!-- measured: end -->", "", text, flags=re.DOTALL)
    if path.name == "real-servers.md":
        text = text.partition("## Overview")[0]
    lines = (line for line in text.splitlines() if not line.startswith("| `SMTP_"))
    return " ".join(re.sub(r"`[^`]*`|\*[^*]*\*", "", " ".join(lines)).split())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_document_uses_the_terms_of_the_field(path: Path) -> None:
    text = prose(path)
    assert text
    found = {
        f"...{text[max(0, match.start() - 40) : match.end() + 20]}...": better
        for pattern, better in AVOIDED.items()
        for match in re.finditer(pattern, text)
    }
    assert not found
