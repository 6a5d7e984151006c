"""Check an SMTP server: claim it, send a test email, store the result and apply it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import defer, joinedload

from .. import mailcheck
from ..accounts.ownership import visible_checks
from ..accounts.tokens import Caller
from ..config import settings
from ..database.models import Check, Due, Smtp, new_id
from ..database.session import AnyRow, db, now, writing
from ..errors import Busy, NotFound, Sentence
from ..mailcheck import Purpose, Report, Target
from ..mailcheck.core.failure import Symptom
from ..registry import checkability, grants, overview, smtps
from . import arrival, connections, limits, recipients, retention, tokens, verdict, wording

log = logging.getLogger(__name__)

LEASE_MARGIN = timedelta(seconds=5)  # beyond the deadline, for storing the result


def longest() -> timedelta:
    """Return how long a check may take, until its result is stored."""
    return timedelta(seconds=settings().check_timeout) + LEASE_MARGIN


def run(
    caller: Caller,
    smtp_id: str,
    *,
    mode: str = verdict.EMAIL,
    base_url: str | None = None,
    limited: bool = True,
    access_token: str = "",
) -> Check:
    """Send a test email through the SMTP server, store the result, enable or disable the server.

    ``mode``: "probe" ends after RCPT, and sends none; the result counts like that of an email.
    ``access_token``: sign in with it instead of what is stored, this time only. ``base_url`` is
    our public URL, unless a setting gives it; without either, the email has no
    link to confirm delivery. Raises :class:`NotFound`, :class:`Busy` and :class:`TooMany`. No
    transaction and no connection is held while we wait for the network.
    """
    slots = limits.take_slot()
    try:
        begun, target = begin(caller, smtp_id, mode=mode, base_url=base_url, limited=limited)
        if access_token and isinstance(target, Target):
            target = connections.with_access_token(target, access_token)
        return carry_out(begun, target)
    finally:
        slots.release()


def begin(
    caller: Caller,
    smtp_id: str,
    *,
    mode: str = verdict.EMAIL,
    base_url: str | None = None,
    limited: bool = True,
    recipient: str | None = None,
) -> tuple[Check, Target | Report]:
    """Claim the SMTP server and read everything the check needs, in one transaction.

    ``recipient``: one email to this address of the user's; see :mod:`.recipients`.
    """
    moment = now()
    base_url = settings().base_url or base_url
    link, digest = "", None
    if base_url and mode == verdict.EMAIL:
        link, digest = arrival.new_link(base_url)
    ends_by = moment + longest()
    with writing() as session:
        smtp = smtps.find_for_update(caller.user_id, smtp_id)
        if smtp.checking_until and smtp.checking_until > moment:
            raise Busy(
                Sentence("A check of this SMTP server is already running."),
                retry_after=int((smtp.checking_until - moment).total_seconds()) + 1,
            )
        check_id = new_id()
        if limited:
            limits.take_share(caller.user_id, limits.CHECK, check_id, ends_by)
        if recipient is not None:
            recipient = recipients.accept(caller.user_id, recipient)
            limits.take_share(caller.user_id, limits.ELSEWHERE, new_id(), moment)
        # Before any write, as the password may be unreadable
        target = target_of(smtp, link, Purpose(mode), recipient)
        begun = Check(
            id=check_id,
            smtp_id=smtp.id,
            user_id=caller.user_id,
            smtp_version=smtp.version,
            mode=mode,
            started=moment,
            ends_by=ends_by,
            arrival_digest=digest if isinstance(target, Target) else None,
            recipient=recipient,
        )
        smtp.checking_until = ends_by
        session.add(begun)
    return begun, target


def carry_out(
    begun: Check,
    target: Target | Report,
    ask: Callable[[Target], Report] | None = None,
) -> Check:
    """Run a check that was begun, by ``ask`` if given, and store the result."""
    try:
        if isinstance(target, Target):
            target = tokens.with_token(begun.smtp_id, target)
        report = target if isinstance(target, Report) else (ask or mailcheck.check)(target)
    except BaseException:
        release(begun)  # our bug: the check stays without a result, which shows it
        raise
    log.info(
        "check %s of %s:%s by %s: %s at %s", begun.id, report.host, report.port,
        begun.user_id, report.code, report.stage,
    )  # fmt: skip
    return _finish(begun, report)


def is_under_way(check: Check | AnyRow) -> bool:
    """Check if this check or row is running or queued; one past its time was interrupted."""
    return check.finished is None and (check.queued is not None or check.ends_by > now())


def target_of(
    smtp: Smtp,
    arrival_url: str,
    purpose: Purpose = Purpose.EMAIL,
    recipient: str | None = None,
) -> Target | Report:
    """Return what to check, as plain values; or the report if it need not be attempted.

    ``recipient``: instead of the app's test address.

    Raises :class:`SecretUnreadable`.
    """
    app = smtp.app
    grants.require_readable(smtp)
    rcpt_to = recipient or app.testemail
    mail_from = checkability.sender(smtp, app.defaultfromemail)
    if not mail_from:
        return mailcheck.not_tried(
            Symptom.NO_FROM,
            host=smtp.host,
            port=smtp.port,
            rcpt_to=rcpt_to,
            encryption=smtp.encryption,
        )
    if refusal := connections.refusal(smtp, rcpt_to):
        return refusal
    return connections.target_of(
        smtp,
        mail_from,
        rcpt_to,
        from_name=smtp.defaultfromname or app.defaultfromname or "",
        arrival_url=arrival_url,
        content=wording.content_of(smtp, arrival_url, now()) if purpose is Purpose.EMAIL else None,
        purpose=purpose,
    )


def _finish(begun: Check, report: Report) -> Check:
    """Store the result, and apply it to the server unless that has been edited since."""
    with writing() as session:
        limits.give_back_share(begun.id)
        smtp = _claimed(begun)
        if smtp is not None:
            session.add(begun)
            due = session.get(Due, smtp.id, populate_existing=True, with_for_update=True)
            with session.no_autoflush:  # each row is written once, at the end
                verdict.settle(smtp, due, begun, report)
    if smtp is None:
        raise NotFound("SMTP")  # removed in the meantime, along with its checks
    retention.prune()
    return begun


def cancel(user_id: str, check_id: str) -> bool:
    """Cancel a check that is running; return False if it has ended. Raises :class:`NotFound`.

    Its SMTP server stays claimed until the conversation has ended, which takes a moment.
    """
    with writing():
        check = find(user_id, check_id)
        # Only its own row: PostgreSQL refuses to lock the optional side of a join
        db.session.refresh(
            check, ["finished", "queued", "ends_by", "cancelled"], with_for_update=True
        )
        if not is_under_way(check) or check.queued is not None or check.cancelled is not None:
            return False
        check.cancelled = check.ends_by = now()
        return True


def release(begun: Check) -> None:
    """Release the SMTP server of a check that ends without a result."""
    with writing():
        limits.give_back_share(begun.id)
        smtp = _claimed(begun)
        if smtp and smtp.checking_until == begun.ends_by:
            smtp.checking_until = None


def _claimed(begun: Check) -> Smtp | None:
    return db.session.scalar(
        select(Smtp).where(Smtp.id == begun.smtp_id).with_for_update(),
        execution_options={"populate_existing": True},
    )


def find(user_id: str, check_id: str) -> Check:
    """Return one check with its SMTP server and app; raise :class:`NotFound`."""
    found = db.session.scalar(
        visible_checks(user_id).options(joinedload(Check.user)).where(Check.id == check_id)
    )
    if found is None:
        raise NotFound("Check")
    return found


def earlier(user_id: str, check_id: str, count: int) -> str:
    """Return the id of the check ``count`` before this one, or of the oldest in the bar of lists.

    Raises :class:`NotFound`.
    """
    check = find(user_id, check_id)
    ids = db.session.scalars(
        select(Check.id)
        .where(
            Check.smtp_id == check.smtp_id,
            or_(
                Check.started < check.started,
                and_(Check.started == check.started, Check.id >= check.id),
            ),
        )
        .order_by(Check.started.desc(), Check.id)  # as in ``overview.marks``
        .limit(min(count, overview.MARKS - 1) + 1)
    ).all()
    return ids[-1]


def history(smtp: Smtp, page: int, size: int) -> tuple[list[Check], int]:
    """Return one page of the server's checks, newest first (``page`` from 0), and the total."""
    total = db.session.scalar(select(func.count()).where(Check.smtp_id == smtp.id)) or 0
    checks = db.session.scalars(
        select(Check)
        .where(Check.smtp_id == smtp.id)
        .options(joinedload(Check.user), defer(Check.report_json))
        .order_by(Check.started.desc(), Check.id)
        .offset(page * size)
        .limit(size)
    )
    return list(checks), total
