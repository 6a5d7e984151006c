"""Tables of what has been: sums of days, and counters for monitoring systems."""

from __future__ import annotations

from datetime import date

from sqlalchemy import JSON, Double, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ..session import Base


class CheckDay(Base):
    """The checks of an SMTP server that finished on one day (UTC).

    ``other``: they say nothing about the server. ``times`` has, for each stage that took any
    time and for "total", [how many, their sum, the slowest], in milliseconds.
    """

    __tablename__ = "check_day"

    smtp_id: Mapped[str] = mapped_column(
        ForeignKey("smtp.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True, index=True)
    accepted: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    other: Mapped[int] = mapped_column(default=0)
    times: Mapped[dict[str, list[float]]] = mapped_column(JSON, default=dict)


class Tally(Base):
    """A counter is the sum of its rows: whoever counts adds one, and waits for nobody.

    Triggers add those of ``smtps`` (by state), ``seals`` (by key) and ``apps``. Rows of the same
    counter are replaced by their sum now and then.
    """

    __tablename__ = "tally"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    label: Mapped[str] = mapped_column(String(200))
    delta: Mapped[float] = mapped_column(Double)
