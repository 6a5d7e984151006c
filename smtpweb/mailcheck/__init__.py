"""Check one SMTP server and diagnose failures. Independent of Flask and the database."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
from .flow.not_tried import no_token, not_tried

if TYPE_CHECKING:
    from .drivers.aio import check_async, check_many
    from .drivers.probe import Answer, probe
    from .drivers.sync import Stop, check

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

# Whoever only reads settings and reports does not load DNS, TLS, SASL and the conversation.
_ON_FIRST_USE = {
    "Answer": "drivers.probe",
    "Stop": "drivers.sync",
    "check": "drivers.sync",
    "check_async": "drivers.aio",
    "check_many": "drivers.aio",
    "probe": "drivers.probe",
}


def __getattr__(name: str) -> Any:
    """Import on first use (PEP 562) what the others do not need."""
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_ON_FIRST_USE[name]}", __name__), name)
    globals()[name] = value
    return value
