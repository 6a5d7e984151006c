"""Alarms: what happened, whom it is told to, and how it gets there."""

from .deliveries import deliver_due
from .events import notice, notice_incident, notice_operator

__all__ = ["deliver_due", "notice", "notice_incident", "notice_operator"]
