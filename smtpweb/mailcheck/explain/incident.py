"""What happened according to a pasted text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..core.failure import Symptom
from ..core.raw_reply import RawReply
from ..core.types import Stage


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server in question, as far as the text names it."""

    host: str = ""
    port: int | None = None
    encryption: str = ""  # a value of Encryption, or "" if unknown


@dataclass(frozen=True, slots=True)
class Incident:
    """The stage and symptom at which a session ended; ``facts`` use the catalogue's names."""

    stage: Stage
    symptom: Symptom
    reply: RawReply | None = None
    facts: dict[str, Any] = field(default_factory=dict)
