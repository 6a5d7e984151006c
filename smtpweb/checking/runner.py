"""Run checks in background threads of their worker; any worker can follow their progress.

The progress of a check is written to its row, so that any worker can serve its page, and the user
may leave the page. Only checks started from a page are tracked in this way.
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
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from .. import mailcheck
from ..accounts.ownership import visible_checks
from ..accounts.tokens import Caller
from ..database.models import Check, steps_of
from ..database.session import AnyRow, cause, db, fetch, writing
from ..errors import Busy, NotFound, Sentence, TooMany
from ..mailcheck import Report, Stage, Step, Stopped, Target
from . import limits, service, verdict

log = logging.getLogger(__name__)

PACE = 0.25  # seconds between two polls of a check, and at least between two writes
_HEARTBEAT = 5.0  # seconds without news before the connection is tested
_ORDER = {stage: place for place, stage in enumerate(Stage)}


# --- running -------------------------------------------------------------------------------


def start(
    caller: Caller,
    smtp_id: str,
    base_url: str | None = None,
    recipient: str | None = None,
    *,
    mode: str = verdict.EMAIL,
) -> str:
    """Start a check in the background; return its id. Raises whatever ``service.run`` raises."""
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    slots = limits.take_slot()
    try:
        begun, target = service.begin(
            caller, smtp_id, mode=mode, base_url=base_url, recipient=recipient
        )
        db.session.expunge(begun)  # from here on it belongs to the thread
        check_id = begun.id
        try:
            _Background(app, slots, begun, target).start()
        except RuntimeError:  # the system cannot start more threads
            service.release(begun)
            raise Busy(Sentence("Too many checks are running."), retry_after=5) from None
    except BaseException:
        slots.release()
        raise
    return check_id


def wait_for_all() -> None:
    """Return when all checks running in this process have ended; each has its deadline."""
    for thread in threading.enumerate():
        if isinstance(thread, _Background):
            thread.join()


class _Background(threading.Thread):
    """One check. Not a daemon: a worker that is stopped exits only after its checks have ended."""

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
        """Check, and store the result."""
        try:
            with self._app.app_context():
                service.carry_out(self._begun, self._target, self._watched)
        except Stopped:
            log.info("check %s was cancelled", self._begun.id)
        except NotFound:
            log.info("check %s: its SMTP was removed meanwhile", self._begun.id)
        except SQLAlchemyError as error:
            log.error("check %s: its outcome was not kept: %s", self._begun.id, cause(error))
        except Exception:
            log.exception("check %s ended by a bug of ours", self._begun.id)
        finally:
            self._slots.release()

    def _watched(self, target: Target) -> Report:
        """Check in a further thread, which never waits for the database writes made here."""
        written: tuple[Step, ...] = ()
        stop = mailcheck.Stop()
        with ThreadPoolExecutor(1, "asks") as asking:
            report = asking.submit(mailcheck.check, target, self._note, stop)
            while not wait([report], PACE).done:
                if self._steps != written:
                    written = self._steps
                    _write(self._begun.id, written)
                if _is_cancelled(self._begun.id):
                    stop.set()
            return report.result()

    def _note(self, step: Step) -> None:
        # If the conversation starts over, steps reported for later stages are void
        before = (one for one in self._steps if _ORDER[one.stage] < _ORDER[step.stage])
        self._steps = (*before, step)


def _write(check_id: str, steps: tuple[Step, ...]) -> None:
    """Publish the steps so far. A failure must not affect the check: the page just shows less."""
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


def _is_cancelled(check_id: str) -> bool:
    """Whether its user has cancelled the check; false if the database does not answer."""
    try:
        return bool(fetch(select(Check.cancelled.is_not(None)).where(Check.id == check_id))[0][0])
    except (SQLAlchemyError, IndexError):  # deleted meanwhile: its end will say so
        return False


# --- following -----------------------------------------------------------------------------


class Following:
    """Iterate over the steps of a check as they arrive; None at times, if there is nothing new.

    Ends with the check, or when its time has expired. Holds no connection and no transaction
    between two polls. Must be closed.
    """

    def __init__(self, user_id: str, check_id: str) -> None:
        """Raise :class:`NotFound`, or if too many checks are followed :class:`Busy`,
        :class:`TooMany` if all of them are this user's.
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
                Sentence(
                    "Too many of your open pages are showing a running check. Close one of them."
                ),
                5,
            )
        if full:
            raise Busy(
                Sentence("Too many running checks are being watched right now."), retry_after=5
            )
        self._user_id = user_id
        self._slots: limits.Slots | None = slots
        # A stream lasts as long as its check: release the connection of its request now
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
        """Release the slot."""
        slots, self._slots = self._slots, None
        if slots is not None:
            slots.give_back(self._user_id)
