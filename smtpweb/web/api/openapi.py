"""The API's description (``openapi.json``, written by hand), and its calls for the docs page.

Tests check it against the code: same routes, same limits, and every response matches its schema.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ... import __version__
from ...errors import Sentence
from ...mailcheck.core.once import once

_FILE = Path(__file__).with_name("openapi.json")
FORM = "application/x-www-form-urlencoded"


@once
def text() -> str:
    """Return the description as served."""
    return json.dumps(document(), separators=(",", ":"))


@once
def document() -> dict[str, Any]:
    """Return the description; do not modify the result."""
    loaded: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    loaded["info"]["version"] = __version__
    return loaded


@dataclass(frozen=True)
class Parameter:
    """One parameter of a call; ``kind`` and ``limits`` are text for readers."""

    name: str
    kind: str
    limits: str
    required: bool
    default: str
    spellings: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Answer:
    """One response to a call; ``example`` is multi-line JSON, or ""."""

    status: str
    text: str
    example: str


@dataclass(frozen=True)
class Call:
    """One call of the API; ``scope`` is the token's required scope, "" if no token is required."""

    name: str
    method: str
    path: str
    tag: str
    title: str
    text: str
    scope: str
    parameters: tuple[Parameter, ...]
    answers: tuple[Answer, ...]
    curl: str


@once
def calls() -> tuple[Call, ...]:
    """Return all calls, in the order of the description."""
    return tuple(
        _call(method, path, operation)
        for path, item in document()["paths"].items()
        for method, operation in item.items()
    )


def texts() -> Iterator[str]:
    """Yield the texts of the description that the page shows, for translators."""
    yield from document()["info"]["description"].split("\n\n")
    yield document()["components"]["securitySchemes"]["token"]["description"]
    for call in calls():
        yield from (call.title, call.text)
        yield from (parameter.text for parameter in call.parameters)
        yield from (answer.text for answer in call.answers)


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Return ``node`` with its ``$ref`` resolved; its own members override the referenced ones."""
    if "$ref" not in node:
        return node
    found: Any = document()
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return resolve(found) | {name: value for name, value in node.items() if name != "$ref"}


def _call(method: str, path: str, operation: dict[str, Any]) -> Call:
    security = operation["security"]
    return Call(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        tag=operation["tags"][0],
        title=operation["summary"],
        text=operation.get("description", ""),
        scope=security[0]["token"][0] if security else "",
        parameters=tuple(_parameters(operation)),
        answers=tuple(_answer(status, one) for status, one in operation["responses"].items()),
        curl=_curl(method.upper(), path, operation, bool(security)),
    )


def _parameters(operation: dict[str, Any]) -> Iterator[Parameter]:
    for node in operation.get("parameters", ()):
        one = resolve(node)
        yield _parameter(one["name"], resolve(one["schema"]) | one, bool(one.get("required")), ())
    body = operation.get("requestBody")
    if body is None:
        return
    schema = resolve(body["content"][FORM]["schema"])
    described = {name: resolve(node) for name, node in schema["properties"].items()}
    for name, one in described.items():
        if "x-alias-of" in one:
            continue
        spellings = (alias for alias, of in described.items() if of.get("x-alias-of") == name)
        yield _parameter(name, one, name in schema.get("required", ()), tuple(spellings))


def _parameter(
    name: str, schema: dict[str, Any], required: bool, spellings: tuple[str, ...]
) -> Parameter:
    limits = ""
    if "minimum" in schema:
        limits = Sentence("%(least)s to %(most)s", least=schema["minimum"], most=schema["maximum"])
    elif "enum" in schema:
        limits = " | ".join(schema["enum"])
    elif "maxLength" in schema:
        limits = Sentence("at most %(most)s characters", most=schema["maxLength"])
    elif "pattern" in schema:
        limits = Sentence("24 hexadecimal digits")
    return Parameter(
        name=name,
        kind=Sentence("email address") if schema.get("format") == "email" else schema["type"],
        limits=limits,
        required=required,
        default=json.dumps(schema["default"]).strip('"') if "default" in schema else "",
        spellings=spellings,
        text=schema.get("description", ""),
    )


def _answer(status: str, node: dict[str, Any]) -> Answer:
    response = resolve(node)
    example = ""
    for media in response.get("content", {}).values():
        example = json.dumps(media["example"], indent=2)
    return Answer(status, response["description"], example)


def _curl(method: str, path: str, operation: dict[str, Any], with_token: bool) -> str:
    """Return the example as a curl command, for a shell where URL and TOKEN are set."""
    lines = ["curl"]
    if with_token:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    query = ""
    if method == "GET":
        given = {node["name"]: node["example"] for node in map(resolve, operation["parameters"])}
        query = f"?{urlencode(given)}"
    else:
        for name, value in operation["requestBody"]["content"][FORM]["example"].items():
            word = value if isinstance(value, str) else json.dumps(value)
            lines.append(f"--data-urlencode {shlex.quote(f'{name}={word}')}")
    lines.append(f'"$URL{path}{query}"')
    return " \\\n  ".join(lines)
