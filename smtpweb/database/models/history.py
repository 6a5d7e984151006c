"""Tables of history: daily sums, and counters for metrics."""

from __future__ import annotations

from datetime import date

from sqlalchemy import JSON, Double, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from ..session import Base


class CheckDay(Base):
    """The checks of an SMTP server that finished on one day (UTC).

    ``other``: checks that say nothing about the server. ``times`` has [count, sum, slowest] in
    milliseconds for each stage that was completed, and for "total" of accepted checks.
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
    """A part of a counter: its value is the sum of its rows, so that writers need no lock.

    Triggers add rows of ``smtps`` (by state), ``seals`` (by key) and ``apps``. From time to time
    the rows of a counter are replaced by their sum.
    """

    __tablename__ = "tally"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    label: Mapped[str] = mapped_column(String(200))
    delta: Mapped[float] = mapped_column(Double)
