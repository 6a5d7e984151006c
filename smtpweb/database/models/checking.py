"""Tables of checks; a check is a row from the moment it is requested."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ...mailcheck import Outcome, Report, Stage, Step
from ..session import Base, UtcDateTime
from .accounts import User
from .columns import Created, Id, Time, only_where
from .registry import Smtp


class StartedWork(Base):
    """A check or a search that counts against its user's limits.

    No operation of its user removes it. It counts as running until ``until`` at the latest, so
    one whose worker died expires. The ``id`` of a check is that of its ``Check``.
    """

    __tablename__ = "started_work"
    __table_args__ = (Index(None, "user_id", "kind", "started"),)

    id: Mapped[Id]
    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(10))
    started: Mapped[Created]
    until: Mapped[Time]


class Check(Base):
    """A check of an SMTP server. ``finished`` null: queued, running, or interrupted.

    ``kind``: "hand", "bulk" or "scheduled". ``mode``: "email", or "probe", which ends after RCPT
    and sends no email. ``queued``: when it was queued; null once it has begun.
    """

    __tablename__ = "check"
    __table_args__ = (
        Index(None, "smtp_id", "started"),
        Index(None, "user_id", "started"),
        Index(None, "started"),  # for removing the oldest
        # The metrics of a day are read from this index alone: rows are large.
        Index(None, "finished", "accepted", "stage"),
        # At most one queued check per server. Partial, because few of the stored checks are queued.
        Index("uq_check_queued", "smtp_id", unique=True, **only_where("queued IS NOT NULL")),
        Index("ix_check_queued_user_id", "user_id", "queued", **only_where("queued IS NOT NULL")),
    )

    id: Mapped[Id]
    smtp_id: Mapped[str] = mapped_column(ForeignKey("smtp.id", ondelete="CASCADE"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    smtp_version: Mapped[int]
    kind: Mapped[str] = mapped_column(String(10), default="hand")
    mode: Mapped[str] = mapped_column(String(10), default="email")
    queued: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The URL of smtpweb for the user who queued it, for the link in the test email.
    base_url: Mapped[str | None] = mapped_column(String(300))
    started: Mapped[Created]
    ends_by: Mapped[Time]
    finished: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted: Mapped[bool | None]
    # Whether the outcome changed the SMTP server: false if it was edited during the check, or if
    # the cause was on our side.
    applied: Mapped[bool] = mapped_column(default=False)
    stage: Mapped[str | None] = mapped_column(String(20))
    code: Mapped[str | None] = mapped_column(String(80))
    title: Mapped[str | None] = mapped_column(String(500))
    # Values in the texts of the cause; null in older checks, which only have the texts.
    facts: Mapped[dict[str, str] | None] = mapped_column(JSON)
    report_json: Mapped[dict[str, Any] | None] = mapped_column("report", JSON)
    # Milliseconds by stage, and "total"; differences from the last accepted check, see ``facts``.
    times: Mapped[dict[str, float] | None] = mapped_column(JSON(none_as_null=True))
    changes: Mapped[list[dict[str, str]] | None] = mapped_column(JSON(none_as_null=True))
    # The steps so far of a check that is being followed, for whichever worker shows it.
    progress: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    # The digest of the one-time link in the test email by which its reader confirms the arrival.
    arrival_digest: Mapped[str | None] = mapped_column(String(64), index=True, unique=True)
    arrived: Mapped[datetime | None] = mapped_column(UtcDateTime)

    smtp: Mapped[Smtp] = relationship(back_populates="checks")
    user: Mapped[User | None] = relationship()

    @property
    def steps(self) -> tuple[Step, ...]:
        """Return all stages in order, from the report or from the progress so far."""
        report = self.report
        return report.steps if report else steps_of(self.progress)

    @property
    def report(self) -> Report | None:
        """Return the report, or None if there is none yet."""
        return Report.from_dict(self.report_json) if self.report_json else None


def steps_of(progress: list[dict[str, Any]] | None) -> tuple[Step, ...]:
    """Return the progress of a check as steps, one for every stage in order."""
    reached = {
        step["stage"]: Step(Stage(step["stage"]), Outcome(step["outcome"]), step["milliseconds"])
        for step in progress or ()
    }
    return tuple(reached.get(stage) or Step(stage, Outcome.NOT_REACHED) for stage in Stage)
