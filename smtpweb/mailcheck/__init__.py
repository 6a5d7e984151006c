"""Talk to one SMTP server, say what is wrong. Knows neither Flask nor the database."""

from .blocking import check
from .egress import EgressPolicy, EgressRuleError
from .looped import check_async, check_many
from .probe import Answer, probe
from .report import Encryption, Line, Mode, Outcome, Reply, Report, Side, Stage, Step, Target

__all__ = [
    "Answer",
    "EgressPolicy",
    "EgressRuleError",
    "Encryption",
    "Line",
    "Mode",
    "Outcome",
    "Reply",
    "Report",
    "Side",
    "Stage",
    "Step",
    "Target",
    "check",
    "check_async",
    "check_many",
    "probe",
]
