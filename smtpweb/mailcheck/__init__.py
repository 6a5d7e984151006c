"""Check one SMTP server and diagnose failures. Independent of Flask and the database."""

from .core.egress import EgressPolicy, EgressRuleError
from .core.failure import Stopped
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
from .diagnosis.token import Grant, NetworkFault, TokenFailure, diagnose_token_error
from .drivers.aio import check_async, check_many
from .drivers.probe import Answer, probe
from .drivers.sync import Stop, check
from .flow.not_tried import no_token, not_tried

__all__ = [
    "Answer",
    "Content",
    "EgressPolicy",
    "EgressRuleError",
    "Encryption",
    "Grant",
    "Line",
    "Mode",
    "NetworkFault",
    "Outcome",
    "Purpose",
    "Reply",
    "Report",
    "Side",
    "Stage",
    "Step",
    "Stop",
    "Stopped",
    "Target",
    "TokenFailure",
    "check",
    "check_async",
    "check_many",
    "diagnose_token_error",
    "no_token",
    "not_tried",
    "probe",
]
