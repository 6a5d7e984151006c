"""Times and durations in the words of the reader's language."""

from __future__ import annotations

import functools
from datetime import UTC, datetime

from babel.units import format_unit
from flask_babel import format_decimal, get_locale
from flask_babel import gettext as _

from ...database.session import now

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))  # and their seconds


def relative(moment: datetime) -> str:
    """Return a time relative to now: "3 minutes ago", "in 90 days"."""
    seconds = (moment - now()).total_seconds()
    if abs(seconds) < 1:
        return str(_("just now"))
    lapse = span(abs(seconds))
    return str(_("in %(time)s", time=lapse) if seconds > 0 else _("%(time)s ago", time=lapse))


def span(seconds: float) -> str:
    """Return 1 or more seconds in the largest unit that fits, at most days: "3 minutes"."""
    # Babel's own choice would be weeks and months, and round 10 days to "1 week".
    unit, size = next((unit, size) for unit, size in _UNITS if seconds >= size or size == 1)
    return _in_words(round(seconds / size), unit, str(get_locale()))


@functools.lru_cache(1024)
def _in_words(number: int, unit: str, locale: str) -> str:
    return format_unit(number, f"duration-{unit}", locale=locale)


def exact(moment: datetime) -> str:
    """Return a time in full."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def duration(milliseconds: float) -> str:
    """Return a duration in seconds or milliseconds, whichever fits."""
    if milliseconds >= 1000:
        return f"{format_decimal(milliseconds / 1000, '0.0')} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 1 else str(_("under 1 ms"))


def took(started: datetime, finished: datetime) -> str:
    """Return how long a check took."""
    return duration(max(0.0, (finished - started).total_seconds() * 1000))


def is_past(moment: datetime) -> bool:
    """Return whether this time is in the past."""
    return moment <= now()


def seconds_since(moment: datetime) -> int:
    """Return whole seconds since a time, at least 0."""
    return max(0, int((now() - moment).total_seconds()))


def days_until(moment: datetime) -> int:
    """Return whole days until a time, negative if it is past."""
    return (moment - now()).days


def days_left(until: str) -> int | None:
    """Return whole days until an ISO 8601 time, negative if past; None if it is not a time."""
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - now()).days
