"""Write a string as source code: one function for each language that snippets are written in.

Each returns a literal that the language reads back as exactly this string, and raises
:class:`Unwritable` if the language has none. The strings are values that ``validators`` accepted,
so they are one line; characters that are not visible are escaped where the language allows it.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass


class Unwritable(ValueError):
    """A value cannot be written in this format; the argument is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a language writes a string, and how it reads an environment variable by its name."""

    quote: Callable[[str], str]
    read_variable: Callable[[str], str]


def python(value: str) -> str:
    """Return a Python string literal."""
    return _in_double_quotes(value, lambda char: rf"\U{ord(char):08x}")


def javascript(value: str) -> str:
    """Return a JavaScript string literal (ECMAScript 2019, of which JSON is a subset)."""
    return _in_double_quotes(value, _utf16)


def java(value: str) -> str:
    """Return a Java string literal, in ASCII: its compiler may read files in any encoding.

    The escape of a backslash is unambiguous: after an even number of backslashes only, a further
    one starts a Unicode escape (JLS 3.3).
    """
    return json.dumps(value)


def c_sharp(value: str) -> str:
    """Return a C# regular string literal."""
    return _in_double_quotes(value, _utf16)


def go(value: str) -> str:
    """Return a Go interpreted string literal."""
    return _in_double_quotes(value, lambda char: rf"\U{ord(char):08x}")


def php(value: str) -> str:
    """Return a PHP single-quoted string, in which only two characters are special."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def ruby(value: str) -> str:
    """Return a Ruby single-quoted string, in which only two characters are special."""
    return php(value)


def shell(value: str) -> str:
    """Return a word for a POSIX shell."""
    return shlex.quote(value)


def dotenv(value: str) -> str:
    """Return a double-quoted value for ``.env`` files as phpdotenv and Symfony read them."""
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def spring_property(value: str) -> str:
    """Return a value for a Java properties file that Spring reads, in ASCII.

    Spring replaces ``${name}``; a placeholder that never exists, with ``$`` as its default,
    results in the dollar sign itself.
    """
    plain = value.replace("${", "${literal.dollar:$}{")
    escaped = re.sub(r"[^ -\[\]-~]", lambda found: _property_escape(found[0]), plain)
    return re.sub(r"^ ", r"\\ ", escaped)


def msmtp(value: str) -> str:
    """Return an argument for ``msmtprc``: quotes keep its spaces, and nothing is escaped."""
    return f'"{value}"'


LANGUAGES = {
    "python": Language(python, lambda name: f'os.environ["{name}"]'),
    "javascript": Language(javascript, lambda name: f"process.env.{name}"),
    "php": Language(php, lambda name: f"getenv('{name}')"),
    "java": Language(java, lambda name: f'System.getenv("{name}")'),
    "c_sharp": Language(c_sharp, lambda name: f'Environment.GetEnvironmentVariable("{name}")'),
    "go": Language(go, lambda name: f'os.Getenv("{name}")'),
    "ruby": Language(ruby, lambda name: f"ENV.fetch('{name}')"),
    "shell": Language(shell, lambda name: f'"${name}"'),
    "dotenv": Language(dotenv, lambda name: f'"${{{name}}}"'),
    "spring": Language(spring_property, lambda name: f"${{{name}}}"),
    "msmtp": Language(msmtp, lambda name: f'"YOUR_{name}"'),
}


def _in_double_quotes(value: str, escape: Callable[[str], str]) -> str:
    quoted = (
        f"\\{char}" if char in '\\"' else char if char.isprintable() else escape(char)
        for char in value
    )
    return f'"{"".join(quoted)}"'


def _utf16(char: str) -> str:
    r"""Escape a character as ``\uXXXX``, twice if it needs a surrogate pair."""
    return json.dumps(char)[1:-1] if ord(char) > 0x7F else f"\\u{ord(char):04x}"


def _property_escape(char: str) -> str:
    return "\\\\" if char == "\\" else _utf16(char)
