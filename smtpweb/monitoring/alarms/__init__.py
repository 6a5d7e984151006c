"""Alarms: events, the channels that are notified of them, and deliveries."""

from .deliveries import deliver_due
from .events import notice, notice_incident, notice_operator

__all__ = ["deliver_due", "notice", "notice_incident", "notice_operator"]
