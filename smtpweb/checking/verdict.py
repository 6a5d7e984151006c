"""Apply the outcome of a check to its row, to the SMTP server and to its schedule.

The rule is the same for all kinds of checks, except that any failure of a check by hand disables
the server, as the API documents, while a temporary failure of a scheduled check is repeated first.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from ..database.models import Check, Due, Smtp
from ..database.session import AnyRow, db, now
from ..errors import Sentence
from ..mailcheck import Report, Stage
from ..mailcheck.core import report_size
from ..registry import schedule, status
from ..registry.status import Reason
from . import facts

HAND, BULK, SCHEDULED = "hand", "bulk", "scheduled"
EMAIL, PROBE = "email", "probe"
# What an accepted probe leaves open, by the word for it in the API
NOT_PROVED = {
    "content": Sentence("That the server accepts the content of an email: none was sent."),
    "delivery": Sentence("That an email arrives."),
}


def settle(smtp: Smtp, due: Due | None, check: Check, report: Report) -> None:
    """Store the outcome, and apply it unless the SMTP server has been edited since.

    Part of the caller's transaction, with both rows locked. ``due`` is None if the server has no
    row yet, which the worker adds.
    """
    moment = now()
    check.finished, check.queued = moment, None
    check.accepted = report.accepted
    check.stage, check.code, check.title = report.stage, report.code, report.title
    check.facts = report.facts
    check.report_json = report_size.within(report)
    if check.recipient is None:  # else it says as much about that address as about the server
        facts.keep(smtp, check, report)
    is_current = check.recipient is None and check.smtp_version >= smtp.settings_version
    check.applied = is_current and report.judges
    if is_current:
        repeats = _is_repeated(smtp, due, check, report)
        was_enabled = smtp.enabled
        with status.changing(
            smtp, _reason(report, repeats), by=check.user_id or status.MACHINE, check=check
        ):
            _decide(smtp, check, report, repeats)
        if due is not None:
            _note_email(due, check, report, moment)
            due.next_at = _next(smtp, due, report, repeats, was_enabled, moment)
    release(smtp, due, check.ends_by)


def release(smtp: Smtp, due: Due | None, ends_by: datetime) -> None:
    """Release the SMTP server, unless another check has claimed it since."""
    if smtp.checking_until == ends_by:
        smtp.checking_until = None
    if due is not None and due.lease_until == ends_by:
        due.lease_until = due.leased_by = None


def must_email(due: Due | None, moment: datetime) -> bool:
    """Check if a real email is due: a day has passed, or the last one was not accepted."""
    return due is not None and due.email_at is not None and due.email_at <= moment


def why_still_disabled(check: Check) -> Sentence | None:
    """Say why the server is disabled although this check was accepted; None if it is not."""
    smtp = check.smtp
    if smtp.enabled or not check.accepted or not check.applied or check.finished is None:
        return None
    if smtp.off_since is not None:
        if smtp.off_since > check.finished:
            return None  # turned off since then
        return Sentence("The SMTP server stays off: no check enables what a person turned off.")
    last = _last_email(smtp)
    if check.mode == PROBE and last and last.started < check.started and _was_refused(last):
        return Sentence(
            "The SMTP server stays disabled: it refused the content of the last email, and a"
            " connection test sends none. Send a test email to enable it."
        )
    return None  # disabled by a later check


def _is_repeated(smtp: Smtp, due: Due | None, check: Check, report: Report) -> bool:
    return (
        check.kind == SCHEDULED
        and not report.accepted
        and report.judges
        and report.temporary
        and smtp.enabled
        and due is not None
        and due.attempt < len(schedule.REPEATS)
    )


def _reason(report: Report, repeats: bool) -> Reason:
    if not report.judges:
        return Reason.CANNOT_BE_CHECKED
    if report.accepted:
        return Reason.CHECK_ACCEPTED
    return Reason.FAILED_TEMPORARILY if repeats else Reason.CHECK_FAILED


def _decide(smtp: Smtp, check: Check, report: Report, repeats: bool) -> None:
    if not report.judges:
        # A cause on our side says nothing about the server, so scheduled checks do not change it.
        if report.refused_by_policy or check.kind != SCHEDULED:
            smtp.uncheckable = report.code
        return
    smtp.uncheckable = None
    if report.accepted:
        if check.mode == PROBE and not smtp.enabled and _was_refused(_last_email(smtp)):
            return  # a probe does not send what was refused
        smtp.judged, smtp.numerrors, smtp.degraded_since = True, 0, None
        smtp.enabled = smtp.off_since is None
        return
    smtp.numerrors += 1
    if repeats:
        smtp.degraded_since = smtp.degraded_since or now()
        return
    smtp.judged, smtp.enabled, smtp.degraded_since = True, False, None


def _last_email(smtp: Smtp) -> AnyRow | None:
    """Return the outcome of the last email sent with the current settings.

    Not by the time of the next email: that also passes where no emails are sent by the schedule.
    """
    return db.session.execute(
        select(Check.accepted, Check.stage, Check.started)
        .where(
            Check.smtp_id == smtp.id,
            Check.mode == EMAIL,
            Check.applied.is_(True),
            Check.smtp_version >= smtp.settings_version,
        )
        .order_by(Check.started.desc(), Check.id)
        .limit(1)
    ).first()


def _was_refused(email: AnyRow | None) -> bool:
    """Check if the server refused the content of an email."""
    return email is not None and not email.accepted and email.stage == Stage.DATA


def _note_email(due: Due, check: Check, report: Report, moment: datetime) -> None:
    if check.mode != EMAIL or not report.judges:
        return
    if report.accepted:
        due.email_at = moment + schedule.jittered(schedule.DAY)
    elif report.stage is Stage.DATA:
        due.email_at = moment


def _next(
    smtp: Smtp, due: Due, report: Report, repeats: bool, was_enabled: bool, moment: datetime
) -> datetime | None:
    """Return the time of the next check, or None; count failures in ``due.attempt``."""
    every = schedule.interval(smtp.app)
    if every is None or smtp.off_since is not None:
        return None
    wait: timedelta
    if report.refused_by_policy:
        wait = every
    elif not report.judges:
        wait = min(schedule.AFTER_OUR_FAULT, every)
    elif report.accepted and smtp.enabled:
        due.attempt, wait = 0, every
    elif repeats:
        wait = schedule.REPEATS[due.attempt]
        due.attempt += 1
    else:
        due.attempt = 1 if was_enabled else due.attempt + 1
        is_refused = report.stage is Stage.AUTH and not report.temporary
        # Repeated refusals can lock the account.
        wait = schedule.DAY if is_refused else schedule.back_off(every, due.attempt)
    return moment + schedule.jittered(wait)
