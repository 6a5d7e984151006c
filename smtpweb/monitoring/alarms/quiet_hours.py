"""Quiet hours: a span of the day in which a channel gets nothing; it comes when they end."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = 24 * 60  # minutes
REPORT_WEEKDAY, REPORT_HOUR = 0, 8  # Monday


def zone(name: str) -> ZoneInfo:
    """The time zone of this IANA name; ValueError where there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone: {name}") from None


def after(moment: datetime, start: int | None, end: int | None, timezone: str) -> datetime:
    """The first moment from ``moment`` on that is outside the quiet hours."""
    if start is None or end is None or start == end:
        return moment
    local = moment.astimezone(zone(timezone))
    minute = local.hour * 60 + local.minute
    is_quiet = start <= minute < end if start < end else minute >= start or minute < end
    if not is_quiet:
        return moment
    # By the clock on the wall: an hour that summer time adds or takes away is no part of it.
    day = local.date() if minute < end else local.date() + timedelta(days=1)
    ends = datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=local.tzinfo)
    return max(moment, ends.astimezone(moment.tzinfo))


def next_report(moment: datetime, timezone: str) -> datetime:
    """Monday at eight, by the clock there, after ``moment``."""
    local = moment.astimezone(zone(timezone))
    day = local.date() + timedelta(days=(REPORT_WEEKDAY - local.weekday()) % 7)
    for week in (0, 7):
        date = day + timedelta(days=week)
        at = datetime(date.year, date.month, date.day, REPORT_HOUR, tzinfo=local.tzinfo)
        if at > local:
            break
    return at.astimezone(moment.tzinfo)
