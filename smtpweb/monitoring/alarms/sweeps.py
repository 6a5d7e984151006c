"""Create events that depend on time, not on a check: repeats, expiry, long degradation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from sqlalchemy import Select, delete, exists, select, update
from sqlalchemy.orm import InstrumentedAttribute

from ...accounts.ownership import is_kept
from ...config import settings
from ...database.models import AlarmChannel, AlarmEvent, AlarmSweep, Smtp
from ...database.session import db, now, writing
from ...registry import expiry, states
from ...registry.states import SmtpState
from . import events, quiet_hours
from .kinds import Kind

T = TypeVar("T")

PORTION = 100  # rows per transaction
EXPIRY_DAYS = (21, 7, 1)
DEGRADED_AFTER = timedelta(days=1)
_HOURLY = timedelta(hours=1)
_LASTING = (Kind.LOST, Kind.LAST_LOST, Kind.DEGRADED)


def run() -> None:
    """Create due events; several workers can do so at the same time."""
    while _repeat_due() == PORTION:
        pass
    while _weekly_reports() == PORTION:
        pass
    if _my_turn("expiry", _HOURLY):
        _expiring()
        _degraded()
        _forget_old()


def _my_turn(name: str, every: timedelta) -> bool:
    """Check if this process is the one to run a sweep that is due, and set its next time."""
    moment = now()
    next_at = db.session.scalar(select(AlarmSweep.next_at).where(AlarmSweep.name == name))
    if next_at is not None and next_at > moment:
        return False
    with writing() as session:
        insert = events.insert_into(AlarmSweep)
        session.execute(
            insert.values(name=name, next_at=moment).on_conflict_do_nothing(index_elements=["name"])
        )
        moved = session.execute(
            update(AlarmSweep)
            .where(AlarmSweep.name == name, AlarmSweep.next_at <= moment)
            .values(next_at=moment + every)
            .execution_options(synchronize_session=False)
        )
        return bool(moved.rowcount)  # type: ignore[attr-defined]


# --- repeats ---------------------------------------------------------------------------------


def _repeat_due() -> int:
    """Repeat open events, and end those of servers that are steady again; return how many."""
    moment = now()
    due = select(AlarmEvent.id).where(AlarmEvent.again_at <= moment)
    if not db.session.scalar(due.limit(1)):
        return 0
    with writing() as session:
        due_events = session.scalars(_due(AlarmEvent, AlarmEvent.again_at, moment)).all()
        for event in due_events:
            kind = Kind(event.kind)
            if kind is Kind.UNSTEADY:
                events.settle_unsteady(event)
            else:
                _repeat(event, kind, moment)
        return len(due_events)


def _due(
    table: type[T], column: InstrumentedAttribute[datetime | None], moment: datetime
) -> Select[T]:
    """Select and lock a portion of the rows whose time has come, without those that are locked."""
    return (
        select(table)
        .where(column <= moment)
        .order_by(column)
        .limit(PORTION)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def _repeat(event: AlarmEvent, kind: Kind, moment: datetime) -> None:
    smtp = db.session.get(Smtp, event.smtp_id, populate_existing=True)
    state = states.smtp_state(smtp) if smtp else None
    expected = SmtpState.DEGRADED if kind is Kind.DEGRADED else SmtpState.DISABLED
    if smtp is None or state is not expected:
        event.ended, event.again_at = moment, None
        return
    # The app's other servers may have changed since the last notification.
    kept = {name: event.facts.get(name) for name in ("check", "code", "new")}
    event.facts = events.facts_of(smtp) | kept | {"since": event.at.isoformat()}
    if kind in (Kind.LOST, Kind.LAST_LOST):
        kind = Kind.LOST if event.facts["working"] else Kind.LAST_LOST
        event.kind = kind.value
    event.repeats += 1
    event.again_at = moment + events.REPEATED_AFTER
    channels = events.channels_of(event.user_id, event.app_id, kind)
    events.deliver(event.id, kind, channels, number=event.repeats)


def _degraded() -> None:
    """Create events for servers that have been degraded for a day."""
    lasting = exists().where(
        AlarmEvent.smtp_id == Smtp.id,
        AlarmEvent.kind == Kind.DEGRADED.value,
        AlarmEvent.ended.is_(None),
    )
    statement = (
        select(Smtp)
        .join(Smtp.app)
        .where(
            Smtp.degraded_since <= now() - DEGRADED_AFTER,
            states.smtp_is(SmtpState.DEGRADED),
            ~lasting,
            is_kept,
        )
    )
    _for_each(statement, _notify_degraded)


def _notify_degraded(smtp: Smtp) -> None:
    since = smtp.degraded_since or now()
    facts = events.facts_of(smtp) | {"since": since.isoformat()}
    key = f"degraded:{smtp.id}:{since.isoformat()}"
    events.notify(Kind.DEGRADED, key, smtp, facts, again_at=now() + events.REPEATED_AFTER)


def _for_each(statement: Select[Smtp], notify: Callable[[Smtp], None]) -> None:
    """Call ``notify`` for each of these SMTP servers, in one transaction for each portion."""
    statement = statement.order_by(Smtp.id).limit(PORTION)
    last = ""
    while True:
        with writing() as session:
            smtps = session.scalars(statement.where(Smtp.id > last)).all()
            for smtp in smtps:
                notify(smtp)
        if len(smtps) < PORTION:
            return
        last = smtps[-1].id


# --- expiry ----------------------------------------------------------------------------------


def _expiring() -> None:
    """Create events for certificates and passwords that expire within 21, 7 and 1 days."""
    for what, column in expiry.COLUMNS.items():
        moment = now()
        statement = (
            select(Smtp)
            .join(Smtp.app)
            .where(column > moment, column <= moment + timedelta(days=EXPIRY_DAYS[0]), is_kept)
        )
        _for_each(statement, partial(_notify_expiry, what=what, column=column.key, moment=moment))


def _notify_expiry(smtp: Smtp, *, what: str, column: str, moment: datetime) -> None:
    if states.smtp_state(smtp) is SmtpState.OFF:
        return
    expires: datetime = getattr(smtp, column)
    left = expires - moment
    threshold = min(days for days in EXPIRY_DAYS if left <= timedelta(days=days))
    facts = events.facts_of(smtp) | {
        "what": expiry.named(what, smtp),
        "expires": expires.astimezone(UTC).isoformat(),
        "days": left.days,
    }
    key = f"expiring:{what}:{smtp.id}:{expires.isoformat()}:{threshold}"
    events.notify(Kind.EXPIRING, key, smtp, facts)


# --- weekly reports, old rows ------------------------------------------------------------------


def _weekly_reports() -> int:
    moment = now()
    if not db.session.scalar(
        select(AlarmChannel.id).where(AlarmChannel.weekly_at <= moment).limit(1)
    ):
        return 0
    with writing() as session:
        due_channels = session.scalars(_due(AlarmChannel, AlarmChannel.weekly_at, moment)).all()
        for channel in due_channels:
            due = channel.weekly_at or moment
            channel.weekly_at = quiet_hours.next_report(moment, channel.timezone)
            if channel.off_since is not None:
                continue
            event_id = events.add_event(
                user_id=channel.user_id,
                app_id=channel.app_id,
                kind=Kind.WEEKLY,
                key=f"weekly:{channel.id}:{due.isoformat()}",
                facts={"until": moment.isoformat()},
            )
            if event_id is not None:
                events.deliver(event_id, Kind.WEEKLY, [channel])
        return len(due_channels)


def _forget_old() -> None:
    """Remove old events and their deliveries after the retention period of checks."""
    days = settings().keep_checks
    if not days:
        return
    old = (
        select(AlarmEvent.id)
        .where(AlarmEvent.at < now() - timedelta(days=days), AlarmEvent.again_at.is_(None))
        .order_by(AlarmEvent.at)
        .limit(PORTION)
        .with_for_update(skip_locked=True)
    )
    count = PORTION
    while count == PORTION:
        with writing() as session:
            removed = session.execute(
                delete(AlarmEvent)
                .where(AlarmEvent.id.in_(old))
                .execution_options(synchronize_session=False)
            )
            count = removed.rowcount  # type: ignore[attr-defined]
