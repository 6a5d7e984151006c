"""The two drivers of the mail check, with a common call signature."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from smtpweb import mailcheck
from smtpweb.mailcheck import Report, Step, Target


class Check(Protocol):
    """One check of a target by one of the drivers."""

    def __call__(self, target: Target, watch: Callable[[Step], None] | None = None) -> Report: ...


def blocking(target: Target, watch: Callable[[Step], None] | None = None) -> Report:
    return mailcheck.check(target, watch)


def looped(target: Target, watch: Callable[[Step], None] | None = None) -> Report:
    return asyncio.run(mailcheck.check_async(target, watch))
