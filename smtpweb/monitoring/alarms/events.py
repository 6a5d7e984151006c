"""Events, and a delivery of each for every channel that selects it.

Both are stored in the transaction of the change itself, so nothing is lost when a process dies.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ...database.models import (
    AlarmChannel,
    AlarmDelivery,
    AlarmEvent,
    App,
    Incident,
    Smtp,
    StatusChange,
    User,
    new_id,
)
from ...database.session import db, now
from ...mailcheck.diagnosis import catalogue
from ...registry import states, status
from ...registry.states import SmtpState
from . import quiet_hours
from .kinds import Kind, wants

REPEATED_AFTER = timedelta(days=1)
# So many changes within an hour cause one notification, and silence until an hour without any.
UNSTEADY_CHANGES = 3
STEADY_AFTER = timedelta(hours=1)
WORKING = (SmtpState.ACTIVE.value, SmtpState.DEGRADED.value)
# Events that end when the server works again, or when a person turns it off.
_LASTING = (Kind.LOST.value, Kind.LAST_LOST.value, Kind.DEGRADED.value)


def notice(change: StatusChange) -> None:
    """Create events for a change of an SMTP server's state; part of the caller's transaction.

    It is one of ``registry.status.listeners``.
    """
    # A user who checks a new server sees that it fails, but does not see scheduled checks.
    is_new = change.before == SmtpState.UNCHECKED
    worked = change.before in WORKING or (is_new and change.by == status.MACHINE)
    works = change.after in WORKING
    if change.check_id is None:
        # A person turned it off or on, which needs no notification but ends earlier events.
        end_lasting(change.smtp_id, change.at)
        return
    if change.before == SmtpState.DEGRADED and change.after == SmtpState.ACTIVE:
        end_lasting(change.smtp_id, change.at)
    if worked == works or not (works or change.after == SmtpState.DISABLED):
        return
    smtp = db.session.get(Smtp, change.smtp_id)
    if smtp is None:
        return
    is_known = works and lasts(change.smtp_id)
    if works and not is_known and _unsteady(change.smtp_id) is None:
        return  # no failure was notified, so there is no recovery to notify
    facts = facts_of(smtp, change) | {"new": is_new}
    if _is_unsteady(smtp, change, facts):
        return
    if works:
        lost = db.session.scalars(_open(change.smtp_id).order_by(AlarmEvent.at)).first()
        facts["since"] = (lost.at if lost else change.at).isoformat()
        end_lasting(change.smtp_id, change.at)
        notify(Kind.RECOVERED, f"change:{change.id}", smtp, facts)
    else:
        lose(smtp, f"change:{change.id}", facts)


def lose(smtp: Smtp, key: str, facts: dict[str, Any]) -> None:
    """Create the event that an SMTP server does not work, repeated every day."""
    kind = Kind.LOST if facts["working"] else Kind.LAST_LOST
    notify(kind, key, smtp, facts, again_at=now() + REPEATED_AFTER)


def end_lasting(smtp_id: str, moment: datetime) -> None:
    """End the open events of this server, so that they are not repeated."""
    db.session.execute(
        update(AlarmEvent)
        .where(
            AlarmEvent.smtp_id == smtp_id,
            AlarmEvent.kind.in_(_LASTING),
            AlarmEvent.ended.is_(None),
        )
        .values(ended=moment, again_at=None)
        .execution_options(synchronize_session=False)
    )


def lasts(smtp_id: str) -> bool:
    """Check if the server has been reported as lost, and not yet as recovered."""
    return db.session.scalar(_open(smtp_id).with_only_columns(AlarmEvent.id).limit(1)) is not None


def _open(smtp_id: str) -> Any:
    return select(AlarmEvent).where(
        AlarmEvent.smtp_id == smtp_id,
        AlarmEvent.kind.in_((Kind.LOST.value, Kind.LAST_LOST.value)),
        AlarmEvent.ended.is_(None),
    )


def facts_of(smtp: Smtp, change: StatusChange | None = None) -> dict[str, Any]:
    """Return the current facts about an SMTP server and its app, as JSON values."""
    counted = select(func.count(), func.count().filter(usable())).where(Smtp.app_id == smtp.app_id)
    total, working = db.session.execute(counted).one()
    in_use = db.session.execute(
        select(Smtp.host, Smtp.port)
        .where(Smtp.app_id == smtp.app_id, usable())
        .order_by(Smtp.priority, Smtp.created, Smtp.id)
        .limit(1)
    ).first()
    name = db.session.scalar(select(App.name).where(App.id == smtp.app_id))
    return {
        "app": name,
        "host": smtp.host,
        "port": smtp.port,
        "total": total,
        "working": working,
        "inuse": f"{in_use.host}:{in_use.port}" if in_use else None,
        "check": change.check_id if change else None,
        "code": change.cause if change else None,
    }


def usable() -> ColumnElement[bool]:
    """Return the condition that an app can send through an SMTP server."""
    return states.smtp_is(SmtpState.ACTIVE, SmtpState.DEGRADED, SmtpState.UNCHECKED)


# --- servers that change too often -----------------------------------------------------------


def _unsteady(smtp_id: str) -> AlarmEvent | None:
    return db.session.scalar(
        select(AlarmEvent).where(
            AlarmEvent.smtp_id == smtp_id,
            AlarmEvent.kind == Kind.UNSTEADY.value,
            AlarmEvent.ended.is_(None),
        )
    )


def _is_unsteady(smtp: Smtp, change: StatusChange, facts: dict[str, Any]) -> bool:
    """Check if this change is one of too many; create the event at the third within an hour."""
    moment = now()
    unsteady = _unsteady(smtp.id)
    if unsteady is None:
        crossed = StatusChange.before.in_(WORKING) != StatusChange.after.in_(WORKING)
        changes = db.session.scalar(
            select(func.count()).where(
                StatusChange.smtp_id == smtp.id,
                StatusChange.at > moment - STEADY_AFTER,
                StatusChange.check_id.is_not(None),
                StatusChange.before.not_in((SmtpState.UNCHECKED.value,)),
                crossed,
            )
        )
        if (changes or 0) < UNSTEADY_CHANGES:
            return False
        end_lasting(smtp.id, moment)
        key, again_at = f"unsteady:{change.id}", moment + STEADY_AFTER
        notify(Kind.UNSTEADY, key, smtp, facts, again_at=again_at)
    else:
        unsteady.again_at = moment + STEADY_AFTER
    # Still notify, once an hour, that the app cannot send any email at all.
    recently = exists().where(
        AlarmEvent.app_id == smtp.app_id,
        AlarmEvent.kind.in_((Kind.LAST_LOST.value, Kind.UNSTEADY.value)),
        AlarmEvent.at > moment - STEADY_AFTER,
    )
    if change.after in WORKING or facts["working"]:
        return True
    return bool(db.session.scalar(select(recently)))


def settle_unsteady(event: AlarmEvent) -> None:
    """Report the current state of a server after an hour without a change."""
    event.ended, event.again_at = now(), None
    smtp = db.session.get(Smtp, event.smtp_id)
    if smtp is None or states.smtp_state(smtp) is SmtpState.OFF:
        return
    facts = facts_of(smtp) | {
        "check": event.facts.get("check"),
        "code": event.facts.get("code"),
        "since": event.at.isoformat(),
    }
    if states.smtp_state(smtp) is SmtpState.DISABLED:
        lose(smtp, f"settled:{event.id}", facts)
    else:
        notify(Kind.RECOVERED, f"settled:{event.id}", smtp, facts)


# --- events and their deliveries ---------------------------------------------------------------


def notify(
    kind: Kind,
    key: str,
    smtp: Smtp,
    facts: dict[str, Any],
    *,
    again_at: datetime | None = None,
) -> bool:
    """Create an event of an SMTP server with its deliveries; False if ``key`` already exists."""
    app = db.session.get_one(App, smtp.app_id)
    event_id = add_event(
        user_id=app.user_id,
        app_id=app.id,
        smtp_id=smtp.id,
        kind=kind,
        key=key,
        facts=facts,
        again_at=again_at,
    )
    if event_id is None:
        return False
    deliver(event_id, kind, channels_of(app.user_id, app.id, kind))
    return True


def add_event(
    *,
    user_id: str,
    kind: Kind,
    key: str,
    facts: dict[str, Any],
    app_id: str | None = None,
    smtp_id: str | None = None,
    again_at: datetime | None = None,
) -> str | None:
    """Create an event and return its id; None if there is one with this key."""
    db.session.flush()  # what it refers to may be new
    event_id = new_id()
    written = db.session.scalar(
        insert_into(AlarmEvent)
        .values(
            id=event_id,
            user_id=user_id,
            app_id=app_id,
            smtp_id=smtp_id,
            kind=kind.value,
            key=key,
            facts=facts,
            at=now(),
            again_at=again_at,
            repeats=0,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(AlarmEvent.id)
    )
    return event_id if written else None


def channels_of(user_id: str, app_id: str | None, kind: Kind) -> list[AlarmChannel]:
    """Return the channels for this app that are on and select events of this kind."""
    of_app: ColumnElement[bool] = AlarmChannel.app_id.is_(None)
    if app_id is not None:
        of_app = or_(of_app, AlarmChannel.app_id == app_id)
    rows = db.session.scalars(
        select(AlarmChannel).where(
            AlarmChannel.user_id == user_id, of_app, AlarmChannel.off_since.is_(None)
        )
    )
    return [channel for channel in rows if wants(channel.events, kind)]


def deliver(
    event_id: str,
    kind: Kind,
    channels: list[AlarmChannel],
    *,
    number: int = 0,
) -> None:
    """Create the deliveries of an event, due now or at the end of a channel's quiet hours."""
    moment = now()
    for channel in channels:
        due_at = moment
        if kind is not Kind.TEST:
            due_at = quiet_hours.after(
                moment, channel.quiet_from, channel.quiet_until, channel.timezone
            )
        add_delivery(event_id, channel.id, channel.id, due_at, number=number)


def add_delivery(
    event_id: str,
    channel_id: str | None,
    recipient: str,
    due_at: datetime,
    *,
    number: int = 0,
    leased_by: str | None = None,
) -> str | None:
    """Create a delivery and return its id; None if this recipient already has it."""
    delivery_id = new_id()
    written = db.session.scalar(
        insert_into(AlarmDelivery)
        .values(
            id=delivery_id,
            event_id=event_id,
            channel_id=channel_id,
            recipient=recipient,
            number=number,
            created=now(),
            due_at=due_at,
            leased_by=leased_by,
            attempts=0,
        )
        .on_conflict_do_nothing(index_elements=["event_id", "recipient", "number"])
        .returning(AlarmDelivery.id)
    )
    return delivery_id if written else None


def insert_into(model: type[Any]) -> Any:
    """Return an INSERT with ON CONFLICT for the database in use."""
    dialect = db.session.get_bind().dialect.name
    return (sqlite if dialect == "sqlite" else postgresql).insert(model)


# --- causes on our side, channels switched off --------------------------------------------------


def notice_operator(key: str, facts: dict[str, Any]) -> None:
    """Notify every administrator of a cause on our side, once for each ``key``.

    ``facts``: ``code`` (of the checks), ``title``, ``checks`` (how many are affected).
    """
    for admin_id in db.session.scalars(select(User.id).where(User.is_admin)).all():
        event_id = add_event(
            user_id=admin_id, kind=Kind.OPERATOR, key=f"{key}:{admin_id}", facts=facts
        )
        if event_id is not None:
            _deliver_or_email_account(event_id, Kind.OPERATOR, admin_id, None, None)


def notice_incident(incident: Incident) -> None:
    """Notify administrators of a new incident; one of ``monitoring.incidents.listeners``."""
    titles = {cause.id: cause.title for cause in catalogue.causes()}
    title = titles.get(incident.cause, "")
    facts = {
        "code": incident.cause,
        "title": title if title and "{" not in title else incident.cause,
        "checks": incident.checks,
    }
    notice_operator(f"incident:{incident.id}", facts)


def notice_channel_off(channel: AlarmChannel) -> None:
    """Notify the owner through other channels that this one was switched off."""
    facts = {
        "channel": channel.id,
        "kind": channel.kind,
        "shown": channel.label or channel.shown,
        "reason": channel.off_reason,
        "result": channel.last_result,
        "app": channel.app.name if channel.app else None,
    }
    since = channel.off_since or now()
    event_id = add_event(
        user_id=channel.user_id,
        app_id=channel.app_id,
        kind=Kind.CHANNEL_OFF,
        key=f"off:{channel.id}:{since.isoformat()}",
        facts=facts,
    )
    if event_id is not None:
        _deliver_or_email_account(
            event_id, Kind.CHANNEL_OFF, channel.user_id, channel.app_id, channel.id
        )


def _deliver_or_email_account(
    event_id: str,
    kind: Kind,
    user_id: str,
    app_id: str | None,
    but_not: str | None,
) -> None:
    """Deliver to the user's other channels, or to the account's address if there is none."""
    channels = [channel for channel in channels_of(user_id, app_id, kind) if channel.id != but_not]
    if channels:
        deliver(event_id, kind, channels)
    else:
        add_delivery(event_id, None, user_id, now())
