"""Explain an error that somebody pasted. Nothing of it is stored or logged."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import cast

from flask import current_app

from .. import validators
from ..errors import BadInput, Sentence, TooMany
from ..mailcheck.diagnosis import providers
from ..mailcheck.explain import explanation
from ..mailcheck.explain.explanation import MAX_TEXT, Explanation

MOST = 60  # texts
SECONDS = 600
_MOST_KEYS = 10_000  # networks or users that are remembered


class Allowance:
    """So many texts in so many seconds for each network or user of this process."""

    def __init__(self, most: int = MOST, seconds: int = SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str) -> None:
        """Count one more; raises :class:`TooMany`."""
        now = time.monotonic()
        with self._lock:
            taken = self._taken.pop(key, None) or deque()
            while taken and taken[0] <= now - self._seconds:
                taken.popleft()
            self._taken[key] = taken  # at the end: the one that came last
            if len(self._taken) > _MOST_KEYS:
                self._taken.popitem(last=False)
            if len(taken) >= self._most:
                raise TooMany(
                    Sentence(
                        "At most %(number)s texts are explained in %(minutes)s minutes.",
                        number=self._most,
                        minutes=self._seconds // 60,
                    ),
                    retry_after=int((taken[0] if taken else now) + self._seconds - now) + 1,
                )
            taken.append(now)


def explain(text: str, host: str, provider: str, key: str) -> Explanation:
    """What happened according to ``text``.

    ``key``: the network or user that the limit counts. Raises :class:`BadInput`,
    :class:`TooMany`.
    """
    cast(Allowance, current_app.extensions["smtpweb.explanations"]).take(key)
    return explain_for_all(text, host, provider)


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
