"""Check one SMTP server and diagnose failures. Independent of Flask and the database."""

from .core.egress import EgressPolicy, EgressRuleError
from .core.modes import Encryption, Mode
from .core.types import (
    Content,
    Line,
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
from .flow.not_tried import not_tried

__all__ = [
    "Answer",
    "Content",
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
