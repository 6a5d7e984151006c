"""What the import of smtpweb leaves for later is left, complete, and can be imported."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from smtpweb import deferred, mailcheck
from smtpweb.config import ROOT
from tests.support.serving import clean_environment, installation_settings

LISTED = {*deferred.BY_SERVERS, *deferred.BY_OTHERS}
# Large libraries that must not come back by another way
LARGE = {
    "alembic", "anyio", "apprise", "dns", "email_validator", "h11", "httpcore", "huey",
    "prometheus_client", "psycopg", "redis", "scramp", "zxcvbn",
}  # fmt: skip


def loaded(code: str, folder: Path) -> set[str]:
    """Return the names of the modules of a fresh process that has run ``code``."""
    env = clean_environment(folder, **installation_settings(folder))
    code = f"{code}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    return set(json.loads(run.stdout))


def imports_in_functions() -> Iterator[tuple[Path, str]]:
    """Yield the modules that functions of smtpweb import, by their full names."""
    for path in sorted((ROOT / "smtpweb").rglob("*.py")):
        package = ".".join(path.relative_to(ROOT).parent.parts)
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    yield from ((path, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    yield from ((path, name) for name in _modules(node, package))


def _modules(node: ast.ImportFrom, package: str) -> Iterator[str]:
    base = package.rsplit(".", node.level - 1)[0] if node.level else ""
    module = ".".join(filter(None, (base, node.module)))
    for alias in node.names:
        below = ROOT.joinpath(*module.split("."), f"{alias.name}.py")
        yield f"{module}.{alias.name}" if below.exists() else module


def test_importing_the_application_leaves_deferred_modules(tmp_path: Path) -> None:
    names = loaded("import wsgi", tmp_path)
    assert "smtpweb.web.pages.smtps" in names  # it is complete otherwise
    assert names & LISTED == set()
    assert {name.split(".")[0] for name in names} & LARGE == set()


def test_load_imports_what_servers_need(tmp_path: Path) -> None:
    names = loaded("import wsgi; from smtpweb import deferred; deferred.load()", tmp_path)
    assert names >= set(deferred.BY_SERVERS)


@pytest.mark.parametrize("name", sorted(LISTED))
def test_deferred_modules_can_be_imported(name: str) -> None:
    assert import_module(name)


def test_imports_in_functions_are_listed() -> None:
    found = list(imports_in_functions())
    assert found
    assert [(str(path), name) for path, name in found if name not in LISTED] == []


def test_list_names_nothing_that_is_gone() -> None:
    by_access = {f"{mailcheck.__name__}.{module}" for module in mailcheck._ON_FIRST_USE.values()}
    used = {name for _, name in imports_in_functions()} | by_access
    assert LISTED - used == set()


def test_mailcheck_offers_all_that_it_names() -> None:
    for name in mailcheck.__all__:
        assert getattr(mailcheck, name) is not None
    assert not hasattr(mailcheck, "no_such_name")
