"""Deliveries: claim due ones, attempt them, and store the results.

A delivery is stored before it is attempted. A worker claims it with a lease; if the worker dies,
another one claims it when the lease ends. So no delivery is lost, and none is sent twice within
a lease. The id of a webhook and the Message-ID of an email are the same for all attempts, so
that receivers can recognize duplicates.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from flask import Flask, current_app
from flask_babel import force_locale
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import joinedload

from ... import installation
from ...database.models import AlarmChannel, AlarmDelivery, AlarmEvent, User, new_id
from ...database.session import cause, db, now, writing
from ...errors import SecretUnreadable
from . import events, sweeps, texts
from .kinds import Kind
from .senders import chat, mail, webhook
from .senders.outcome import Attempt, Message

log = logging.getLogger(__name__)

CLAIMED = 50  # rows at a time
SENDERS = 16  # threads
LEASE = timedelta(seconds=120)
LONGEST_ATTEMPT = 30.0  # seconds, see ``senders``; a worker shutting down waits no longer
BACK_OFF = (timedelta(seconds=15), timedelta(minutes=2))  # after the first and second attempt
FAILING_FOR = timedelta(days=1)  # after which a channel is switched off
# More deliveries to one email address or chat are combined in one message.
MOST_SINGLE = 3


def deliver_due(seconds: float = 50.0, is_over: Callable[[], bool] = lambda: False) -> int:
    """Create due events and deliver for at most so long; return how many were attempted.

    ``is_over`` returns whether the process must end; then no further attempt is begun.
    """
    sweeps.run()
    app = cast(Flask, current_app._get_current_object())  # type: ignore[attr-defined]
    until = time.monotonic() + seconds
    attempted = 0
    with ThreadPoolExecutor(SENDERS, "alarm") as threads:
        under_way: set[Future[int]] = set()
        while True:
            if time.monotonic() < until and len(under_way) < SENDERS and not is_over():
                claimed = _claim()
                under_way |= {threads.submit(_carry_out, app, group, is_over) for group in claimed}
            else:
                claimed = []
            if not under_way:
                return attempted
            done, under_way = wait(under_way, None if not claimed else 0, FIRST_COMPLETED)
            attempted += sum(future.result() for future in done)


@dataclass(frozen=True, slots=True)
class _Group:
    """Deliveries to one recipient, claimed ``until`` a time of the monotonic clock."""

    ids: tuple[str, ...]
    owner: str
    until: float


def _claim() -> list[_Group]:
    """Claim due deliveries, grouped by recipient."""
    moment, owner, until = now(), new_id(), time.monotonic() + LEASE.total_seconds()
    due = select(AlarmDelivery.id).where(AlarmDelivery.due_at <= moment)
    if not db.session.scalar(due.limit(1)):
        db.session.commit()  # release the connection
        return []
    with writing() as session:
        rows = session.execute(
            update(AlarmDelivery)
            .where(
                AlarmDelivery.id.in_(
                    due.order_by(AlarmDelivery.due_at)
                    .limit(CLAIMED)
                    .with_for_update(skip_locked=True)
                )
            )
            .values(due_at=moment + LEASE, leased_by=owner, attempts=AlarmDelivery.attempts + 1)
            .returning(AlarmDelivery.id, AlarmDelivery.recipient)
            .execution_options(synchronize_session=False)
        ).all()
    db.session.commit()
    groups = defaultdict(list)
    for delivery_id, recipient in rows:
        groups[recipient].append(delivery_id)
    return [_Group(tuple(ids), owner, until) for ids in groups.values()]


def _carry_out(app: Flask, group: _Group, is_over: Callable[[], bool]) -> int:
    with app.app_context():
        try:
            return _deliver(group, is_over)
        except SQLAlchemyError as error:
            log.error("alarms were not delivered: %s", cause(error))  # retried after the lease
        except Exception:
            log.exception("alarms were not delivered, by a bug of ours")
        finally:
            db.session.remove()
    return 0


def _deliver(group: _Group, is_over: Callable[[], bool] = lambda: False) -> int:
    claimed = _claimed(group)
    if not claimed:
        return 0
    channel = claimed[0].channel
    if channel is not None and channel.off_since is not None:
        tests = [delivery for delivery in claimed if delivery.event.kind == Kind.TEST]
        _drop(group, [delivery for delivery in claimed if delivery not in tests])
        claimed = tests
    batches = [[delivery] for delivery in claimed]
    if len(claimed) > MOST_SINGLE and (channel is None or channel.kind != "webhook"):
        batches = [claimed]
    attempted = 0
    for number, batch in enumerate(batches):
        if time.monotonic() > group.until - LONGEST_ATTEMPT or is_over():
            _postpone(group, batches[number:], timedelta(0))
            break
        attempt = send(batch)
        attempted += 1
        if not _settle(group, batch, attempt):
            # Postpone the rest, too, so that everything arrives in order.
            _postpone(group, batches[number + 1 :], BACK_OFF[0])
            break
    return attempted


def _claimed(group: _Group) -> list[AlarmDelivery]:
    return list(
        db.session.scalars(
            select(AlarmDelivery)
            .join(AlarmDelivery.event)
            .where(AlarmDelivery.id.in_(group.ids), AlarmDelivery.leased_by == group.owner)
            .options(
                joinedload(AlarmDelivery.event),
                joinedload(AlarmDelivery.channel).joinedload(AlarmChannel.app),
            )
            .order_by(AlarmEvent.at, AlarmDelivery.number)
        ).unique()
    )


def send(batch: Sequence[AlarmDelivery]) -> Attempt:
    """Attempt deliveries to one recipient in one message, with no transaction open meanwhile."""
    first = batch[0]
    channel, event = first.channel, first.event
    user = db.session.get_one(User, event.user_id)
    with force_locale(user.language or "en"):
        try:
            if channel is None or channel.kind == "email":
                to = _target(channel) or user.email
                content = mail.content_of(_message(batch), first.id)
                avoid = {item.event.smtp_id for item in batch if _is_about_failure(item.event)}
                servers = mail.servers(
                    user.id, event.app_id, [smtp_id for smtp_id in avoid if smtp_id], to, content
                )
                db.session.commit()
                return mail.send(servers)
            url, secret = _target(channel), ""
            if channel.kind == "webhook":
                box = installation.secret_box()
                secret = box.open(channel.id, channel.secret_sealed or "")
        except SecretUnreadable:
            return Attempt(False, "Its stored address cannot be read: enter it again.")
        if channel.kind == "webhook":
            payload = texts.payload(event)
            db.session.commit()
            return webhook.send(url, secret, first.id, payload)
        message = _message(batch)
        db.session.commit()
        return chat.send(url, message)


def _message(batch: Sequence[AlarmDelivery]) -> Message:
    if len(batch) == 1:
        return texts.message(batch[0].event)
    return texts.digest([delivery.event for delivery in batch])


def _is_about_failure(event: AlarmEvent) -> bool:
    """Check if the event is about a server that failed, which must not be used to send it."""
    return event.kind not in (Kind.RECOVERED, Kind.EXPIRING, Kind.WEEKLY)


def _target(channel: AlarmChannel | None) -> str:
    if channel is None or channel.target_sealed is None:
        return ""
    return installation.secret_box().open(channel.id, channel.target_sealed)


# --- results -----------------------------------------------------------------------------------


def _settle(group: _Group, batch: Sequence[AlarmDelivery], attempt: Attempt) -> bool:
    """Store the result; return False if the delivery will be retried."""
    if not batch:
        return True
    moment = now()
    kept = True
    with writing() as session:
        channel = _lock_channel(batch[0].channel_id)
        rows = session.scalars(
            select(AlarmDelivery)
            .where(
                AlarmDelivery.id.in_([delivery.id for delivery in batch]),
                AlarmDelivery.leased_by == group.owner,
            )
            .options(joinedload(AlarmDelivery.event))
            .with_for_update(of=AlarmDelivery),
            execution_options={"populate_existing": True},
        ).all()
        gone = attempt.gone or (channel is not None and channel.off_since is not None)
        for row in rows:
            row.result, row.leased_by = attempt.result, None
            last = gone or row.attempts > len(BACK_OFF) or row.event.kind == Kind.TEST
            if attempt.delivered or last:
                row.finished, row.delivered, row.due_at = moment, attempt.delivered, None
            else:
                kept = False
                row.due_at = moment + BACK_OFF[row.attempts - 1]
        if channel is not None and rows:
            _note(channel, attempt)
    log.info(
        "alarm %s to %s: %s", batch[0].event_id, batch[0].recipient,
        "delivered" if attempt.delivered else attempt.result,
    )  # fmt: skip
    return kept


def _lock_channel(channel_id: str | None) -> AlarmChannel | None:
    if channel_id is None:
        return None
    return db.session.scalar(
        select(AlarmChannel)
        .where(AlarmChannel.id == channel_id)
        .options(joinedload(AlarmChannel.app))
        .with_for_update(of=AlarmChannel),
        execution_options={"populate_existing": True},
    )


def _note(channel: AlarmChannel, attempt: Attempt) -> None:
    """Store the last result of a channel; switch it off if it is gone or has failed for a day."""
    moment = now()
    channel.last_at, channel.last_delivered = moment, attempt.delivered
    channel.last_result = attempt.result
    if attempt.delivered:
        channel.failing_since = None
        if channel.off_reason != "hand":  # a successful test switches it on again
            channel.off_since = channel.off_reason = None
        return
    if attempt.ours or channel.off_since is not None:
        return
    channel.failing_since = channel.failing_since or moment
    if attempt.gone:
        switch_off(channel, "gone")
    elif channel.failing_since <= moment - FAILING_FOR:
        switch_off(channel, "failing")


def switch_off(channel: AlarmChannel, reason: str) -> None:
    """Switch a channel off and notify its owner; part of the caller's transaction."""
    channel.off_since, channel.off_reason = now(), reason
    events.notice_channel_off(channel)


def _drop(group: _Group, deliveries: Sequence[AlarmDelivery]) -> None:
    """End deliveries to a channel that is off, undelivered."""
    if not deliveries:
        return
    with writing() as session:
        session.execute(
            update(AlarmDelivery)
            .where(
                AlarmDelivery.id.in_([delivery.id for delivery in deliveries]),
                AlarmDelivery.leased_by == group.owner,
            )
            .values(
                due_at=None, leased_by=None, finished=now(), delivered=False,
                result="Switched off.",
            )
            .execution_options(synchronize_session=False)
        )  # fmt: skip


def _postpone(
    group: _Group, batches: Sequence[Sequence[AlarmDelivery]], wait_for: timedelta
) -> None:
    """Release claimed deliveries that were not attempted."""
    ids = [delivery.id for batch in batches for delivery in batch]
    if not ids:
        return
    with writing() as session:
        session.execute(
            update(AlarmDelivery)
            .where(AlarmDelivery.id.in_(ids), AlarmDelivery.leased_by == group.owner)
            .values(due_at=now() + wait_for, leased_by=None, attempts=AlarmDelivery.attempts - 1)
            .execution_options(synchronize_session=False)
        )


# --- a test -------------------------------------------------------------------------------------


def deliver_now(delivery_id: str, owner: str) -> Attempt:
    """Attempt a delivery that the caller has leased."""
    group = _Group((delivery_id,), owner, time.monotonic() + LEASE.total_seconds())
    claimed = _claimed(group)
    attempt = send(claimed)
    _settle(group, claimed, attempt)
    return attempt
