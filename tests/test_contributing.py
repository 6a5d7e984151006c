"""CONTRIBUTING.md: its recipes name real files, and following them is enough."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from smtpweb.config import ROOT
from tests.support.serving import clean_environment, fresh_clone

USUAL_CHANGES = {
    "Add a provider",
    "Add a cause",
    "Name a failure of a token request",
    "Teach the diagnosis a meaning",
    "Add an API parameter",
    "Add a setting",
    "Add a column to a list",
    "Add an AUTH mechanism",
    "Add a language",
    "Add an alarm channel",
    "Add a limit",
    "Add a page",
}
# Packages that a checkout without them has no file of
OPTIONAL = (
    "smtpweb/monitoring/",
    "tests/monitoring/",
)
OPTIONAL_TESTS = ("tests/monitoring",)
_PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|toml|md|json|po|html|css)))`")
_STEP = re.compile(r"^\d+\. (.*(?:\n   .*)*)", re.MULTILINE)

Edit = Callable[[Path], None]


def recipes() -> dict[str, str]:
    """The text of each recipe by its heading."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split("\n## Recipes\n")[1].split("\n## ")[0]
    _, *sections = text.split("\n### ")
    return {title: body for title, _, body in (section.partition("\n") for section in sections)}


def steps(recipe: str) -> list[list[str]]:
    """The paths that each step of a recipe names."""
    return [_PATH.findall(step) for step in _STEP.findall(recipes()[recipe])]


def test_usual_changes_each_have_a_recipe() -> None:
    assert set(recipes()) == USUAL_CHANGES
    for title in USUAL_CHANGES:
        assert len([paths for paths in steps(title) if paths]) >= 2, title


@pytest.mark.parametrize("title", sorted(USUAL_CHANGES))
def test_recipe_ends_with_a_command_that_can_be_run(title: str) -> None:
    last = recipes()[title].strip().rsplit("\n\n", 1)[-1]
    (arguments,) = re.findall(r'`make test ARGS="([^"]+)"', last)
    for name in arguments.split():
        assert name.startswith(OPTIONAL_TESTS) or (ROOT / name).exists(), name


@pytest.mark.parametrize("title", sorted(USUAL_CHANGES))
def test_recipe_names_files_that_exist(title: str) -> None:
    for name in _PATH.findall(recipes()[title]):
        if "/" not in name and not (ROOT / name).exists():
            continue  # a file of the folder that the sentence is about
        awaited = next((package for package in OPTIONAL if name.startswith(package)), None)
        if awaited is None or (ROOT / awaited).exists():
            assert (ROOT / name).exists(), (title, name)


def test_contributing_is_linked_and_links_to_what_exists() -> None:
    assert "CONTRIBUTING.md" in (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#]+)", (ROOT / "CONTRIBUTING.md").read_text()):
        assert (ROOT / link).exists(), link


# --- two recipes, followed in a copy -----------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the project with a repository of its own, for tests that ask git for its files."""
    copy = fresh_clone(tmp_path)
    for command in (["init", "--quiet"], ["add", "--all"]):
        subprocess.run(["git", *command], cwd=copy, check=True, capture_output=True)
    return copy


def run(clone: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy; the modules imported are those of the copy."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=clone,
        env=clean_environment(clone.parent),
        capture_output=True,
        text=True,
        check=False,
    )


def failures(clone: Path, *tests: str) -> str:
    """What pytest says of these tests in the copy, "" if they pass; 0 and 1 are its exit codes."""
    result = run(clone, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *tests)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    assert "passed" in result.stdout, result.stdout + result.stderr
    return result.stdout if result.returncode else ""


def follow(clone: Path, recipe: str, edits: dict[str, Edit], guards: tuple[str, ...]) -> None:
    """Make the edits: one for each step of the recipe. Without that of the README, guards fail."""
    required = {paths[0] for paths in steps(recipe) if not paths[0].startswith("docs/")}
    assert set(edits) == {name for name in required if (clone / name).exists()}
    for name, edit in edits.items():
        if name != "README.md":
            edit(clone / name)
    assert "README.md" in failures(clone, *guards)
    edits["README.md"](clone / "README.md")
    assert failures(clone, *guards) == ""


def replaced(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Edit:
    """An edit that replaces the only match of a pattern."""

    def edit(path: Path) -> None:
        text, count = re.subn(pattern, replacement, path.read_text(), flags=re.MULTILINE)
        assert count == 1, (path, pattern)
        path.write_text(text)

    return edit


def appended(entry: str) -> Edit:
    """An edit that adds to the end of a file."""

    def edit(path: Path) -> None:
        path.write_text(f"{path.read_text()}\n{entry}")

    return edit


def test_recipe_for_a_provider_is_enough(clone: Path) -> None:
    edits = {
        "smtpweb/providers/presets.toml": appended(
            '[[provider]]\nid = "letterbox"\nname = "Letterbox"\nhost = "smtp.letterbox.example"\n'
            'modes = ["587 starttls", "465 implicit"]\nuser = "address"\npassword = "mailbox"\n'
            'source = "V"\nchecked = 2026-11-27\n'
        ),
        "smtpweb/mailcheck/diagnosis/providers.toml": appended(
            '[[provider]]\nid = "letterbox"\nname = "Letterbox"\n'
            'submission = ["smtp.letterbox.example"]\nchecked = 2026-11-27\n'
        ),
        "README.md": replaced(
            r"presets of (\d+) providers", lambda match: f"presets of {int(match[1]) + 1} providers"
        ),
    }
    follow(
        clone,
        "Add a provider",
        {name: edit for name, edit in edits.items() if (clone / name).exists()},
        ("tests/providers/test_presets.py", "tests/test_guards.py", "-k", "preset or readme"),
    )
    offered = run(
        clone,
        "-c",
        "from smtpweb.providers import presets as p; print(p.of_host('smtp.letterbox.example').id)",
    )
    assert offered.stdout == "letterbox\n", offered.stderr


def test_recipe_for_a_setting_is_enough(clone: Path) -> None:
    def config(path: Path) -> None:
        replaced(r"^    max_smtps: int = 0\n", "    max_smtps: int = 0\n    max_users: int = 0\n")(
            path
        )
        replaced(
            r"^( +)max_smtps=source.*\n",
            lambda match: (
                f'{match[0]}{match[1]}max_users=source.read("MAX_USERS", _whole(0, 999_999), 0),\n'
            ),
        )(path)

    edits = {
        "smtpweb/config.py": config,
        "tests/test_config.py": appended(
            "\ndef test_the_number_of_users_has_no_limit_by_default(instance):\n"
            "    assert config.load({}, instance).max_users == 0\n"
            '    assert config.load({"SMTPWEB_MAX_USERS": "7"}, instance).max_users == 7\n'
            '    with pytest.raises(ConfigError, match="SMTPWEB_MAX_USERS must be a whole"):\n'
            '        config.load({"SMTPWEB_MAX_USERS": "many"}, instance)\n'
        ),
        "README.md": replaced(
            r"^\| `SMTPWEB_MAX_SMTPS` \|.*\n",
            lambda match: f"{match[0]}| `SMTPWEB_MAX_USERS` | 0 | accounts; 0: any number |\n",
        ),
    }
    guards = ("tests/test_config.py", "tests/test_guards.py", "-k", "setting or users or default")
    follow(clone, "Add a setting", edits, guards)
