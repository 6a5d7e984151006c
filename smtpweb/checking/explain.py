"""Explain an error that somebody pasted. Nothing of it is stored or logged."""

from __future__ import annotations

from .. import validators
from ..errors import BadInput, Sentence
from ..mailcheck.diagnosis import providers
from ..mailcheck.explain import explanation
from ..mailcheck.explain.explanation import MAX_TEXT, Explanation
from . import limits


def explain(text: str, host: str, provider: str, key: str) -> Explanation:
    """What happened according to ``text``.

    ``key``: the network or user that the limit counts. Raises :class:`BadInput`,
    :class:`TooMany`.
    """
    count(key)
    return explain_for_all(text, host, provider)


def count(key: str) -> None:
    """Count one more text of this network or user, before any of it is read.

    Raises :class:`TooMany`.
    """
    limits.of_worker().explanations.take(key)


def explain_for_all(text: str, host: str = "", provider: str = "") -> Explanation:
    """The same without a limit, for the command line."""
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
        return explanation.explain(text, host=name, port=port, provider=provider)
    except explanation.TooLong:
        raise BadInput(
            {"text": [Sentence("At most %(number)s KiB are read.", number=MAX_TEXT // 1024)]}
        ) from None


def shown(text: str) -> str:
    """What may be shown of a pasted text: nothing where it is too long to be read."""
    try:
        return explanation.readable(text)
    except explanation.TooLong:
        return ""


def _host_and_port(typed: str) -> tuple[str, int | None]:
    """``smtp.example.com`` or ``smtp.example.com:587``."""
    if not typed:
        return "", None
    name, colon, port = typed.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in name or name.endswith("]")):
        return validators.host(name), validators.port(port)
    return validators.host(typed), None
