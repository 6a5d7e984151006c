"""A literal means the string that it was written for, to the language's own reader."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smtpweb import validators
from smtpweb.web.presentation import quoting
from tests.support import interpreters

# Whatever ends a string, starts an escape or an expansion, in any of the languages
SPECIAL = "'\"\\`$%#!&|;<>(){}[]*?~^=:,@/ \tüЖ漢🦄\xa0\u200b\ufeff\u0301"
NASTY = [
    "",
    " ",
    "'",
    '"',
    "\\",
    "\\'",
    '\\"',
    "\\\\",
    "\\u0041",
    "\\\\u0041",
    "\\N{DASH}",
    "$HOME",
    "${HOME}",
    "$(id)",
    "`id`",
    "#{1}",
    "%s",
    "%{x}",
    "{{x}}",
    "?>",
    "*/",
    "</script>",
    "-n",
    "a b",
    " a ",
    "\xa0a\u200b",
    "ünïcødé 漢字 🦄",
    "a${b}${c:d}$${e}",
    "#a",
    "!a",
    "a=b:c",
    "\u06dd\u180e",
]


def accepted(text: str) -> bool:
    try:
        validators.credential(text)
    except ValueError:
        return False
    return True


VALUES = st.lists(
    (st.text(max_size=20) | st.text(SPECIAL, max_size=20)).filter(accepted), min_size=1, max_size=60
)
bounded = settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def python_values(literals: list[str]) -> list[str]:
    return [str(ast.literal_eval(literal)) for literal in literals]


def c_like_values(literals: list[str]) -> list[str]:
    """What C# reads: the escapes used are those of JSON."""
    return [str(json.loads(literal)) for literal in literals]


@pytest.mark.parametrize(
    ("quote", "read"),
    [
        (quoting.python, python_values),
        (quoting.javascript, interpreters.javascript_values),
        (quoting.php, interpreters.php_values),
        (quoting.ruby, interpreters.ruby_values),
        (quoting.java, interpreters.java_values),
        (quoting.shell, interpreters.shell_values),
        (quoting.go, python_values),  # its escapes used here are those of Python
        (quoting.c_sharp, c_like_values),
    ],
    ids=["python", "javascript", "php", "ruby", "java", "shell", "go", "c_sharp"],
)
@bounded
@given(VALUES)
@example(NASTY)
def test_literal_means_the_value(
    quote: Callable[[str], str], read: Callable[[list[str]], list[str]], values: list[str]
) -> None:
    assert read([quote(value) for value in values]) == values


@given(VALUES)
@example(NASTY)
def test_shell_word_is_one_word(values: list[str]) -> None:
    assert shlex.split(" ".join(map(quoting.shell, values))) == values


def from_dotenv(line: str) -> str:
    """Read a double-quoted value as phpdotenv does: three characters can be escaped."""
    found = re.fullmatch(r'"((?:[^"\\$]|\\["\\$])*)"', line)
    assert found, f"ends too early, or expands a variable: {line}"
    return re.sub(r"\\(.)", r"\1", found[1])


@given(VALUES)
@example(NASTY)
def test_dotenv_value_means_the_value(values: list[str]) -> None:
    assert [from_dotenv(quoting.dotenv(value)) for value in values] == values


def with_placeholders_replaced(value: str) -> str:
    """Replace placeholders as Spring does: of one that is unknown, by its default."""
    return re.sub(r"\$\{[^:{}]*:([^{}]*)\}", r"\1", value)


@bounded
@given(VALUES)
@example(NASTY)
def test_spring_property_means_the_value(values: list[str]) -> None:
    lines = [f"p{n}={quoting.spring_property(value)}" for n, value in enumerate(values)]
    assert "\n".join(lines).isascii()
    found = interpreters.properties("\n".join(lines))
    assert [with_placeholders_replaced(found[f"p{n}"]) for n in range(len(values))] == values
    assert not [value for value in found.values() if re.search(r"\$\{(?!literal\.dollar:)", value)]


@pytest.mark.parametrize("value", NASTY)
def test_msmtp_argument_means_the_value(value: str, tmp_path: Path) -> None:
    text = (
        f"account default\nhost smtp.example.com\nfrom a@b.example\nuser {quoting.msmtp(value)}\n"
    )
    assert interpreters.msmtp_settings(text, tmp_path)["user"] == (value or "(not set)")


@pytest.mark.parametrize("language", sorted(quoting.LANGUAGES))
def test_invisible_characters_are_escaped_where_a_language_can(language: str) -> None:
    raw = {"php", "ruby", "shell", "dotenv", "msmtp"}  # single quotes and files have no escapes
    written = quoting.LANGUAGES[language].quote("a\u200bb\xa0c")
    assert ("\u200b" in written) == (language in raw)
