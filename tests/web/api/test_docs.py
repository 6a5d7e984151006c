"""The API as people read about it: the page /docs, and docs/api.md."""

from __future__ import annotations

import html5lib
from flask import Flask

from smtpweb.config import ROOT
from smtpweb.web.api import openapi


def test_page_has_a_section_for_each_call(app: Flask) -> None:
    page = app.test_client().get("/docs").text
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(page)
    assert len(tree.findall(".//h1")) == 1
    sections = {one.get("id"): "".join(one.itertext()) for one in tree.iter("section")}
    assert list(sections) == [call.name for call in openapi.calls()]
    for call in openapi.calls():
        words = sections[call.name].split()
        assert call.path in words
        assert {one.name for one in call.parameters} <= set(words)
        assert {answer.status for answer in call.answers} <= set(words)
        assert "curl" in words
    # Nothing from elsewhere, and no script in the page.
    for node in tree.iter():
        for name in ("src", "href"):
            assert not (node.get(name) or "").startswith(("http", "//"))
        assert not any(name.startswith("on") or name == "style" for name in node.attrib)
    assert all(not (script.text or "").strip() for script in tree.iter("script"))


def test_manual_names_each_call_with_its_parameters_and_every_error() -> None:
    manual = (ROOT / "docs" / "api.md").read_text()
    for call in openapi.calls():
        _, found, rest = manual.partition(f"### {call.method} {call.path}\n")
        assert found, call.path
        section = rest.partition("\n### ")[0].partition("\n## ")[0]
        assert "$ curl" in section
        for one in call.parameters:
            for name in (one.name, *one.spellings):
                assert f"`{name}`" in section, (call.path, name)
    statuses = {answer.status for call in openapi.calls() for answer in call.answers}
    for status in statuses - {"200", "304"}:
        assert f"\n| {status} |" in manual, status
