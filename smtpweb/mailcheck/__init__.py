"""Talk to one SMTP server, say what is wrong. Knows neither Flask nor the database."""

from .core.egress import EgressPolicy, EgressRuleError
from .core.types import (
    Encryption,
    Line,
    Mode,
    Outcome,
    Purpose,
    Reply,
    Report,
    Side,
    Stage,
    Step,
    Target,
)
from .drivers.aio import check_async, check_many
from .drivers.probe import Answer, probe
from .drivers.sync import check
from .flow.check import not_tried

__all__ = [
    "Answer",
    "EgressPolicy",
    "EgressRuleError",
    "Encryption",
    "Line",
    "Mode",
    "Outcome",
    "Purpose",
    "Reply",
    "Report",
    "Side",
    "Stage",
    "Step",
    "Target",
    "check",
    "check_async",
    "check_many",
    "not_tried",
    "probe",
]
