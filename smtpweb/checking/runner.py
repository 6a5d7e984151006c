"""Checks that run by themselves, in a thread of their worker, and that any worker can follow.

What a check has done so far is written into its row, so that its page can be served from
anywhere, and its reader may leave. Only checks begun from a page are watched in this way.
"""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import cast

from flask import Flask, current_app
from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError

from .. import mailcheck
from ..accounts.ownership import visible_checks
from ..accounts.tokens import Caller
from ..database.models import Check, steps_of
from ..database.session import AnyRow, cause, db, fetch, writing
from ..errors import Busy, NotFound, Sentence, TooMany
from ..mailcheck import Report, Stage, Step, Target
from . import limits, service

log = logging.getLogger(__name__)

PACE = 0.25  # seconds between two looks at a check, and at least between two writes
_HEARTBEAT = 5.0  # seconds without news after which the connection is tried
_ORDER = {stage: place for place, stage in enumerate(Stage)}


# --- running -------------------------------------------------------------------------------


def start(caller: Caller, smtp_id: str, base_url: str | None = None) -> str:
    """Begin a check and let it go on by itself; gives its id. Raises what ``checks.run`` raises."""
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    slots = limits.take_slot()
    try:
        begun, target = service.begin(caller, smtp_id, base_url=base_url)
        db.session.expunge(begun)  # from here on it is the thread's
        check_id = begun.id
        try:
            _Background(app, slots, begun, target).start()
        except RuntimeError:  # the system gives no more threads
            service.release(begun)
            raise Busy(Sentence("Too many checks are under way."), retry_after=5) from None
    except BaseException:
        slots.release()
        raise
    return check_id


def wait_for_all() -> None:
    """Return when the checks that run in this process have ended; each has its deadline."""
    for thread in threading.enumerate():
        if isinstance(thread, _Background):
            thread.join()


class _Background(threading.Thread):
    """One check. No daemon: a worker that is told to stop ends when its checks have."""

    def __init__(
        self,
        app: Flask,
        slots: threading.BoundedSemaphore,
        begun: Check,
        target: Target | Report,
    ) -> None:
        super().__init__(name=f"check {begun.id}", daemon=False)
        self._app, self._slots = app, slots
        self._begun, self._target = begun, target
        self._steps: tuple[Step, ...] = ()

    def run(self) -> None:
        """Check, and keep the outcome."""
        try:
            with self._app.app_context():
                service.carry_out(self._begun, self._target, self._watched)
        except NotFound:
            log.info("check %s: its SMTP was removed meanwhile", self._begun.id)
        except SQLAlchemyError as error:
            log.error("check %s: its outcome was not kept: %s", self._begun.id, cause(error))
        except Exception:
            log.exception("check %s ended by a bug of ours", self._begun.id)
        finally:
            self._slots.release()

    def _watched(self, target: Target) -> Report:
        """Check in a further thread, which never waits for the database that is written here."""
        written: tuple[Step, ...] = ()
        with ThreadPoolExecutor(1, "asks") as asking:
            report = asking.submit(mailcheck.check, target, self._note)
            while not wait([report], PACE).done:
                if self._steps != written:
                    written = self._steps
                    _write(self._begun.id, written)
            return report.result()

    def _note(self, step: Step) -> None:
        # Where the conversation starts over, what was told of later stages is void
        before = (one for one in self._steps if _ORDER[one.stage] < _ORDER[step.stage])
        self._steps = (*before, step)


def _write(check_id: str, steps: tuple[Step, ...]) -> None:
    """Show the steps so far. Not worth a check: where it fails, the page just learns less."""
    try:
        with writing() as session:
            session.execute(
                update(Check)
                .where(Check.id == check_id)
                .values(progress=[dataclasses.asdict(step) for step in steps])
                .execution_options(synchronize_session=False)
            )
    except SQLAlchemyError as error:
        log.warning("check %s: its progress was not written: %s", check_id, cause(error))


# --- following -----------------------------------------------------------------------------


class Following:
    """The steps of a check as they come; None now and then, where there is nothing new.

    Ends with the check, or when its time is over. Between two looks it holds no connection and
    no transaction. Must be closed.
    """

    def __init__(self, user_id: str, check_id: str) -> None:
        """Raises :class:`NotFound`, and where too many are followed :class:`Busy`,
        :class:`TooMany` where all of them are this user's.
        """
        self._which = (
            visible_checks(user_id)
            .where(Check.id == check_id)
            .with_only_columns(Check.progress, Check.finished, Check.ends_by, Check.queued)
        )
        self._first = self._look()
        if self._first is None:
            raise NotFound("Check")
        slots = limits.of_worker().streams
        full = slots.take(user_id)
        if full == "user":
            raise TooMany(
                Sentence("Too many of your pages are following a check: close one of them."), 5
            )
        if full:
            raise Busy(Sentence("Too many checks are watched at this moment."), retry_after=5)
        self._user_id = user_id
        self._slots: limits.Slots | None = slots
        # A stream lasts as long as its check: the connection of its request is given back now
        db.session.close()

    def __iter__(self) -> Iterator[tuple[Step, ...] | None]:
        told: tuple[Step, ...] | None = None
        at = time.monotonic()
        row = self._first
        while row is not None:
            steps = steps_of(row.progress)
            if steps != told or time.monotonic() - at > _HEARTBEAT:
                yield None if steps == told else steps
                told, at = steps, time.monotonic()
            if not service.is_under_way(row):
                return
            time.sleep(PACE)
            row = self._look()

    def _look(self) -> AnyRow | None:
        return next(iter(fetch(self._which)), None)

    def close(self) -> None:
        """Make room for the next one."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back(self._user_id)
