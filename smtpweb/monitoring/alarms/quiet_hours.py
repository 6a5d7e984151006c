"""Quiet hours: a part of the day during which deliveries to a channel are held."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY = 24 * 60  # minutes
REPORT_WEEKDAY, REPORT_HOUR = 0, 8  # Monday


def zone(name: str) -> ZoneInfo:
    """Return the time zone with this IANA name; raise ValueError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone: {name}") from None


def after(moment: datetime, start: int | None, end: int | None, timezone: str) -> datetime:
    """Return ``moment``, or the end of the quiet hours if it is within them."""
    if start is None or end is None or start == end:
        return moment
    local = moment.astimezone(zone(timezone))
    minute = local.hour * 60 + local.minute
    is_quiet = start <= minute < end if start < end else minute >= start or minute < end
    if not is_quiet:
        return moment
    # Use wall clock time, as daylight saving time can make the span an hour longer or shorter.
    day = local.date() if minute < end else local.date() + timedelta(days=1)
    ends = datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=local.tzinfo)
    return max(moment, ends.astimezone(moment.tzinfo))


def next_report(moment: datetime, timezone: str) -> datetime:
    """Return the next Monday at eight, in this time zone, after ``moment``."""
    local = moment.astimezone(zone(timezone))
    day = local.date() + timedelta(days=(REPORT_WEEKDAY - local.weekday()) % 7)
    for week in (0, 7):
        date = day + timedelta(days=week)
        at = datetime(date.year, date.month, date.day, REPORT_HOUR, tzinfo=local.tzinfo)
        if at > local:
            break
    return at.astimezone(moment.tzinfo)
