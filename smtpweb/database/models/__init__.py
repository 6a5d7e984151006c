"""The tables. Models contain no queries, no rules and no network access."""

from .accounts import ApiToken, BrowserSession, FailedLogin, Installation, User
from .alarms import AlarmChannel, AlarmDelivery, AlarmEvent, AlarmSweep
from .checking import Check, StartedWork, steps_of
from .columns import new_id
from .history import CheckDay, Tally
from .monitoring import Due, Incident, MaintenanceWindow, StatusChange, Worker
from .oauth import SmtpOauth
from .registry import (
    App,
    FormDraft,
    IdempotencyKey,
    Smtp,
    UndoableAct,
    encryption_of,
    hides_username,
)

__all__ = [
    "AlarmChannel",
    "AlarmDelivery",
    "AlarmEvent",
    "AlarmSweep",
    "ApiToken",
    "App",
    "BrowserSession",
    "Check",
    "CheckDay",
    "Due",
    "FailedLogin",
    "FormDraft",
    "IdempotencyKey",
    "Incident",
    "Installation",
    "MaintenanceWindow",
    "Smtp",
    "SmtpOauth",
    "StartedWork",
    "StatusChange",
    "Tally",
    "UndoableAct",
    "User",
    "Worker",
    "encryption_of",
    "hides_username",
    "new_id",
    "steps_of",
]
