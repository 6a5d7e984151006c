"""How the tests themselves are named and laid out, so that the next person finds them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from smtpweb.config import ROOT
from tests.support.threads import each_of

TESTS = ROOT / "tests"
SOURCES = [path for path in sorted(TESTS.rglob("*.py")) if "node_modules" not in path.parts]
MODULES = [path for path in SOURCES if path.name.startswith("test_")]
# Words that a sentence begins with, but no subject.
NO_SUBJECT = re.compile(
    r"test_(an?|the|it|there|this|that|these|those|what|who|whoever|whatever|which|where|while"
    r"|when|no|not|none|nobody|nothing|somebody|every|each|all|any|both|one|two|several|many|some"
    r"|only|other|another|our|of|with|without|in|on|at|to|by|for|from|over|until|before|after|if"
    r"|beyond)_"
)
# Folders of tests that are no package of ours.
OTHER_FOLDERS = {"support", "real", "__pycache__"}


def named(module: Path) -> Iterator[str]:
    """The names of the tests in a module."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name


def imported(module: Path) -> Iterator[str]:
    """The modules that a module imports, as absolute names."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(TESTS)))
def test_names_of_tests_begin_with_their_subject(module: Path) -> None:
    names = list(named(module))
    assert names
    assert [name for name in names if NO_SUBJECT.match(name)] == []


def test_modules_of_tests_are_imported_by_no_other() -> None:
    for module in SOURCES:
        parts = [name.split(".") for name in imported(module) if name.startswith("tests.")]
        assert [name for name in parts if any(part.startswith("test_") for part in name)] == []


def test_folders_of_tests_mirror_the_packages() -> None:
    for module in MODULES:
        folder = module.parent.relative_to(TESTS)
        if not OTHER_FOLDERS & set(folder.parts):
            assert (ROOT / "smtpweb" / folder / "__init__.py").exists(), folder


def test_rows_that_are_proved_together_each_count() -> None:
    def prove(number: int) -> None:
        assert number < 2, "too many"

    each_of({"one": 1}, prove)
    with pytest.raises(AssertionError, match=r"two: .*too many") as failed:
        each_of({"one": 1, "two": 2, "three": 3}, prove)
    assert "three: " in str(failed.value)
    assert "one: " not in str(failed.value)
