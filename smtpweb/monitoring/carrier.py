"""Run due checks: claim, check and settle, with hundreds of checks at a time.

One asyncio loop runs the conversations. Database calls run in threads, so that a slow database
does not delay conversations.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from flask import Flask
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from .. import mailcheck
from ..checking import tokens, verdict
from ..database.models import Check
from ..database.session import cause, db, writing
from ..mailcheck import Report, Stage, Step, Target
from . import claims, settlement
from .claims import Claim
from .settlement import Result

log = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 500  # conversations; each takes at most 80 KiB
PORTION = 100  # checks claimed, or results stored, in one transaction
_SETTLE_AFTER = 0.2  # seconds that a result waits to be stored together with others
_BETWEEN = 0.2  # seconds between two claims, so that each finds several checks
_IDLE = 0.5  # the same if the last one found none
_LOOK = 0.05  # seconds after which it looks whether the worker must end
GRACE = 20.0  # seconds for running checks to finish when the worker must end
_RETRY = 1.0  # seconds, if the database is unavailable
_PROGRESS = 1.0  # seconds between two writes of the progress of checks
_SHOWN = 50  # checks whose progress is written at a time: pages show only a few
_TOKENS = 16  # access tokens requested at a time
_ORDER = {stage: place for place, stage in enumerate(Stage)}


class Carrier:
    """Runs checks until none is due.

    ``is_over`` returns whether the worker must end, ``may_claim`` whether the schedule can be
    relied on; it may use the database.
    """

    def __init__(
        self,
        app: Flask,
        worker_id: str,
        is_over: Callable[[], bool],
        at_once: int = AT_ONCE,
        may_claim: Callable[[], bool] = lambda: True,
    ) -> None:
        self._app, self._worker_id, self._is_over = app, worker_id, is_over
        self._may_claim = may_claim
        self._at_once = at_once
        self._under_way: dict[asyncio.Task[Report | None], Claim] = {}
        self._ended = asyncio.Event()
        self._results: list[Result] = []
        self._steps: dict[str, tuple[Step, ...]] = {}
        self._written: dict[str, tuple[Step, ...]] = {}
        self._progress_at = 0.0
        self._tokens = ThreadPoolExecutor(_TOKENS, "tokens")

    def run(self) -> int:
        """Run checks until none is due; return how many."""
        with self._tokens:
            return asyncio.run(self._run())

    async def _run(self) -> int:
        done = 0
        claim_at = settled_at = 0.0
        over_at: float | None = None
        more = True
        while more or self._under_way or self._results:
            if self._is_over():
                over_at = over_at or time.monotonic()
                more = False
                if time.monotonic() > over_at + GRACE:
                    await self._give_up()
                    break
            room = min(self._at_once - len(self._under_way), PORTION)
            may_claim = over_at is None and room >= min(PORTION, self._at_once) // 2
            if may_claim and time.monotonic() >= claim_at:
                claimed = await self._ask(partial(self._claim, room)) or []
                for claim in claimed:
                    self._begin(claim)
                more = bool(claimed)
                pause = 0.0 if len(claimed) == room else _BETWEEN if more else _IDLE
                claim_at = time.monotonic() + pause
            if self._under_way or not self._results:
                await self._wait(claim_at - time.monotonic() if may_claim else _IDLE)
            due = time.monotonic() - settled_at > _SETTLE_AFTER or not self._under_way
            if self._results and (due or len(self._results) >= PORTION):
                done += await self._settle()
                settled_at = time.monotonic()
                more = over_at is None  # the limit of a user or a host may permit another check
                claim_at = min(claim_at, settled_at + _BETWEEN)
            await self._show_progress()
        return done

    async def _wait(self, seconds: float) -> None:
        """Wait until a check has ended, for so many seconds at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(max(seconds, 0.0), _LOOK)):
                await self._ended.wait()
        self._ended.clear()

    def _claim(self, room: int) -> list[Claim]:
        return claims.claim(self._worker_id, room) if self._may_claim() else []

    def _begin(self, claim: Claim) -> None:
        task = asyncio.create_task(self._check(claim))
        self._under_way[task] = claim
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[Report | None]) -> None:
        claim = self._under_way.pop(task)
        if not task.cancelled():
            self._results.append(Result(claim, task.result()))
            self._ended.set()

    async def _check(self, claim: Claim) -> Report | None:
        if isinstance(claim.target, Report):
            return claim.target
        watch = None
        if claim.kind == verdict.BULK:
            watch = self._watch(claim.check_id)
        try:
            target = await self._with_token(claim.smtp_id, claim.target)
            if target is None or isinstance(target, Report):
                return target
            return await mailcheck.check_async(target, watch)
        except Exception:
            log.exception("check %s ended by a bug of ours", claim.check_id)
            return None
        finally:
            self._steps.pop(claim.check_id, None)
            self._written.pop(claim.check_id, None)

    async def _with_token(self, smtp_id: str, target: Target) -> Target | Report | None:
        """Return the target with an access token if needed; None if the database is unavailable.

        Token requests have threads of their own: they wait for other servers than the database.
        """
        if not tokens.may_need_one(target):
            return target
        return await self._ask(partial(tokens.with_token, smtp_id, target), self._tokens)

    def _watch(self, check_id: str) -> Callable[[Step], None]:
        def note(step: Step) -> None:
            before = self._steps.get(check_id, ())
            kept = (earlier for earlier in before if _ORDER[earlier.stage] < _ORDER[step.stage])
            self._steps[check_id] = (*kept, step)

        return note

    async def _settle(self) -> int:
        """Store results and return how many; keep them while the database is unavailable."""
        portion = self._results[:PORTION]
        if not await self._do(partial(settlement.settle, self._worker_id, portion)):
            return 0
        del self._results[: len(portion)]
        return len(portion)

    async def _give_up(self) -> None:
        """Cancel unfinished checks and return them to other workers."""
        left = [*self._under_way.values(), *(result.claim for result in self._results)]
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if left:
            await self._do(partial(claims.give_back, left))

    async def _show_progress(self) -> None:
        if time.monotonic() - self._progress_at < _PROGRESS:
            return
        self._progress_at = time.monotonic()
        changed = [
            (check_id, steps)
            for check_id, steps in self._steps.items()
            if self._written.get(check_id) != steps
        ][:_SHOWN]
        if changed:
            self._written |= dict(changed)
            await self._do(partial(_write_progress, changed))

    async def _do(self, operation: Callable[[], None]) -> bool:
        """Run a database operation in a thread; return False if the database is unavailable."""

        def done() -> bool:
            operation()
            return True

        return await self._ask(done) or False

    async def _ask(
        self, operation: Callable[[], T], threads: ThreadPoolExecutor | None = None
    ) -> T | None:
        """Query the database in a thread; wait and return None if it is unavailable."""

        def inside() -> T:
            with self._app.app_context():
                try:
                    return operation()
                finally:
                    db.session.remove()

        try:
            return await asyncio.get_running_loop().run_in_executor(threads, inside)
        except SQLAlchemyError as error:
            log.warning("the database is unavailable: %s", cause(error))
            await asyncio.sleep(_RETRY)
            return None


def _write_progress(changed: Sequence[tuple[str, tuple[Step, ...]]]) -> None:
    with writing() as session:
        for check_id, steps in changed:
            session.execute(
                update(Check)
                .where(Check.id == check_id, Check.finished.is_(None))
                .values(progress=[dataclasses.asdict(step) for step in steps])
                .execution_options(synchronize_session=False)
            )
