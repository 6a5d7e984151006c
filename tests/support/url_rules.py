"""URL rules that are not compiled again for each application of each test.

Werkzeug generates and compiles two functions per URL rule, the greater part of what it takes to
create an application. They depend only on the rule, its converters and its defaults, so the
applications of all tests can share them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_Builder = Callable[..., tuple[str, str]]


def keep_compiled() -> None:
    """Let all URL rules of this process that are equal share their generated functions."""
    compiled: dict[tuple[Any, ...], _Builder] = {}
    compile_builder = Rule._compile_builder

    def kept(rule: Rule, append_unknown: bool = True) -> _Builder:
        converters = tuple((name, type(used)) for name, used in rule._converters.items())
        defaults = tuple(sorted((rule.defaults or {}).items()))
        key = (rule.rule, tuple(rule._trace), converters, defaults, append_unknown)
        if key not in compiled:
            compiled[key] = compile_builder(rule, append_unknown)
        return compiled[key]

    Rule._compile_builder = kept  # type: ignore[assignment,method-assign]
