"""Tables of alarms: channels, events, deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ..session import Base, Sealed, UtcDateTime
from .accounts import User
from .columns import Created, Id, Name, Time, only_where
from .registry import App


class AlarmChannel(Base):
    """A channel for alarms of one app, or of all apps of its account if ``app_id`` is null.

    ``kind``: "email", "webhook" or "apprise". The target is an address or a URL, which can contain
    secrets; null: the current email address of the account. ``shown`` is the part that pages can
    show. ``secret_sealed`` signs webhooks. ``events``: kinds separated by spaces. Quiet hours are
    minutes of the day in ``timezone``. ``off_reason``: "hand", "gone" (HTTP 410) or "failing".
    """

    __tablename__ = "alarm_channel"

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    app_id: Mapped[str | None] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    label: Mapped[Name | None]
    target_sealed: Mapped[str | None] = mapped_column(Sealed)
    shown: Mapped[str] = mapped_column(String(300), default="")
    secret_sealed: Mapped[str | None] = mapped_column(Sealed)
    events: Mapped[str] = mapped_column(String(100))
    quiet_from: Mapped[int | None]
    quiet_until: Mapped[int | None]
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    # When the next weekly report is due; null: there are no reports.
    weekly_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    off_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    off_reason: Mapped[str | None] = mapped_column(String(10))
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_delivered: Mapped[bool | None]
    last_result: Mapped[str | None] = mapped_column(String(300))
    created: Mapped[Created]
    modified: Mapped[Created]

    app: Mapped[App | None] = relationship()
    user: Mapped[User] = relationship()

    def __repr__(self) -> str:
        return f"<AlarmChannel {self.id}>"


class AlarmEvent(Base):
    """Something to notify people of. ``key`` identifies it, so that it is stored only once.

    ``facts`` are those of the last notification. The event is open until ``ended``; at ``again_at``
    it is repeated or ended. ``repeats`` counts the repeats.
    """

    __tablename__ = "alarm_event"
    __table_args__ = (
        Index(None, "smtp_id", "kind"),
        Index(None, "app_id", "kind", "at"),
        Index(None, "user_id", "at"),
        Index("ix_alarm_event_again_at", "again_at", **only_where("again_at IS NOT NULL")),
    )

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    app_id: Mapped[str | None] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))
    smtp_id: Mapped[str | None] = mapped_column(ForeignKey("smtp.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(String(200), unique=True)
    facts: Mapped[dict[str, Any]] = mapped_column(JSON)
    at: Mapped[Created]
    ended: Mapped[datetime | None] = mapped_column(UtcDateTime)
    again_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    repeats: Mapped[int] = mapped_column(default=0)


class AlarmDelivery(Base):
    """The delivery of an event to one recipient, stored before the first attempt.

    ``channel_id`` null: to the email address of the account. ``due_at`` null: finished. A worker
    that claims it sets ``due_at`` to the end of its lease and ``leased_by`` to its own id.
    """

    __tablename__ = "alarm_delivery"
    __table_args__ = (
        UniqueConstraint("event_id", "recipient", "number"),
        Index("ix_alarm_delivery_due_at", "due_at", **only_where("due_at IS NOT NULL")),
        Index(None, "channel_id", "finished"),
    )

    id: Mapped[Id]
    event_id: Mapped[str] = mapped_column(ForeignKey("alarm_event.id", ondelete="CASCADE"))
    channel_id: Mapped[str | None] = mapped_column(
        ForeignKey("alarm_channel.id", ondelete="CASCADE")
    )
    recipient: Mapped[str] = mapped_column(String(24))  # the id of the channel, or of the user
    number: Mapped[int] = mapped_column(default=0)  # of the repeat
    created: Mapped[Created]
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    leased_by: Mapped[str | None] = mapped_column(String(24))
    attempts: Mapped[int] = mapped_column(default=0)
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered: Mapped[bool | None]
    result: Mapped[str | None] = mapped_column(String(300))

    event: Mapped[AlarmEvent] = relationship()
    channel: Mapped[AlarmChannel | None] = relationship()


class AlarmSweep(Base):
    """When a sweep is due next: the worker that updates the row runs it."""

    __tablename__ = "alarm_sweep"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    next_at: Mapped[Time]
