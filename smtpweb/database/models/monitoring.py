"""Tables of monitoring: due checks, workers, changes of state, incidents."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from ..session import Base, UtcDateTime
from .columns import Created, Id, Time, only_where


class Due(Base):
    """When an SMTP server is checked next, independent of the job engine; one row per server.

    ``next_at`` null: no check is scheduled. ``lease_until``: claimed by a worker until then;
    afterwards any worker can claim it. ``attempt``: the number of consecutive failed scheduled
    checks. ``user_id`` (of the owner) and ``host`` are copies, so that claims need no join.
    """

    __tablename__ = "due"
    __table_args__ = (
        Index(None, "next_at", "user_id"),
        Index(None, "host", "lease_until"),
    )

    smtp_id: Mapped[str] = mapped_column(
        ForeignKey("smtp.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(String(24))
    host: Mapped[str] = mapped_column(String(253))
    next_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    email_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # of the next real email
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    leased_by: Mapped[str | None] = mapped_column(String(24))
    attempt: Mapped[int] = mapped_column(default=0)


class StatusChange(Base):
    """One change of an SMTP server's state. ``by``: "machine", or the id of a user.

    ``before`` and ``after`` are values of ``registry.states.SmtpState``; ``reason`` is a code of
    ``registry.status.Reason``. The check may have been removed since; ``cause`` is its code.
    """

    __tablename__ = "status_change"
    __table_args__ = (
        Index(None, "smtp_id", "at"),
        Index(None, "app_id", "at"),
        Index(None, "at"),  # for removing the oldest
    )

    id: Mapped[Id]
    smtp_id: Mapped[str] = mapped_column(ForeignKey("smtp.id", ondelete="CASCADE"))
    app_id: Mapped[str] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"))
    at: Mapped[Created]
    before: Mapped[str] = mapped_column(String(20))
    after: Mapped[str] = mapped_column(String(20))
    by: Mapped[str] = mapped_column(String(24))
    reason: Mapped[str] = mapped_column(String(40))
    check_id: Mapped[str | None] = mapped_column(String(24))
    cause: Mapped[str | None] = mapped_column(String(80))
    note: Mapped[str | None] = mapped_column(String(200))


class MaintenanceWindow(Base):
    """A time during which no check of an SMTP server, or of all in an app, is scheduled.

    Exactly one of ``app_id`` and ``smtp_id`` is set. ``repeat``: "once", "daily" or "weekly".
    """

    __tablename__ = "maintenance_window"

    id: Mapped[Id]
    app_id: Mapped[str | None] = mapped_column(ForeignKey("app.id", ondelete="CASCADE"), index=True)
    smtp_id: Mapped[str | None] = mapped_column(
        ForeignKey("smtp.id", ondelete="CASCADE"), index=True
    )
    starts: Mapped[Time]
    ends: Mapped[Time]
    repeat: Mapped[str] = mapped_column(String(10), default="once")
    by: Mapped[str] = mapped_column(String(24))
    note: Mapped[str | None] = mapped_column(String(200))
    created: Mapped[Created]


class Worker(Base):
    """A worker process. ``seen``: its last heartbeat. Counts are since its start."""

    __tablename__ = "worker"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(100))  # host name and process id
    version: Mapped[str] = mapped_column(String(20))
    started: Mapped[Created]
    seen: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    checks: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    lost: Mapped[int] = mapped_column(default=0)  # results after the end of their lease


class Incident(Base):
    """A cause on our side that makes checks inconclusive; one row while it lasts.

    ``cause`` is the code of the checks. Administrators are notified once for each row.
    """

    __tablename__ = "incident"
    # At most one open incident per cause, even if two workers create it at the same time.
    __table_args__ = (
        Index("uq_incident_lasting", "cause", unique=True, **only_where("ended IS NULL")),
    )

    id: Mapped[Id]
    cause: Mapped[str] = mapped_column(String(80))
    began: Mapped[Created]
    last_at: Mapped[Created]
    ended: Mapped[datetime | None] = mapped_column(UtcDateTime)
    checks: Mapped[int] = mapped_column(default=0)
