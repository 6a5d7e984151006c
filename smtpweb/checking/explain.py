"""Explain an error message that a user pasted. Nothing of it is stored or logged."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from .. import validators
from ..errors import BadInput, Sentence
from ..mailcheck.diagnosis import providers
from ..mailcheck.explain.unwrapping import MAX_TEXT, TooLong
from . import limits

if TYPE_CHECKING:
    from ..mailcheck.explain.explanation import Explanation


def explain(text: str, host: str, provider: str, key: str) -> Explanation:
    """Explain what happened according to ``text``.

    ``key``: the network or user that is rate-limited. Raises :class:`BadInput`,
    :class:`TooMany`.
    """
    count(key)
    return explain_for_all(text, host, provider)


def count(key: str) -> None:
    """Count one more text of this network or user, before reading any of it.

    Raises :class:`TooMany`.
    """
    limits.of_worker().explanations.take(key)


def explain_for_all(text: str, host: str = "", provider: str = "") -> Explanation:
    """Like :func:`explain`, but without a limit, for the command line."""
    faults: dict[str, list[str]] = {}
    name, port = "", None
    try:
        validators.pasted_text(text)
    except ValueError as error:
        faults["text"] = [error.args[0]]
    try:
        name, port = _host_and_port(host.strip())
    except ValueError as error:
        faults["host"] = [error.args[0]]
    if provider and providers.named(provider) is None:
        faults["provider"] = [Sentence("There is no provider with this name.")]
    if faults:
        raise BadInput(faults)
    try:
        found: Explanation = _reader().explain(text, host=name, port=port, provider=provider)
    except TooLong:
        raise BadInput(
            {"text": [Sentence("At most %(number)s KiB are read.", number=MAX_TEXT // 1024)]}
        ) from None
    return found


def shown(text: str) -> str:
    """Return the displayable part of a pasted text: "" if it is too long to be read."""
    try:
        readable: str = _reader().readable(text)
    except TooLong:
        return ""
    return readable


def _reader() -> ModuleType:
    # Hundreds of patterns are compiled: not at the start of processes that may never need them.
    from ..mailcheck.explain import explanation

    return explanation


def _host_and_port(typed: str) -> tuple[str, int | None]:
    """Split ``smtp.example.com`` or ``smtp.example.com:587``."""
    if not typed:
        return "", None
    name, colon, port = typed.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in name or name.endswith("]")):
        return validators.host(name), validators.port(port)
    return validators.host(typed), None
