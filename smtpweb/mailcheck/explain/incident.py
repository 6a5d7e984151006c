"""What a pasted text says has happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..core.failure import Symptom
from ..core.raw_reply import RawReply
from ..core.types import Stage


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server that was spoken to, as far as the text names it."""

    host: str = ""
    port: int | None = None
    encryption: str = ""  # a value of Encryption, or "" where it is not known


@dataclass(frozen=True, slots=True)
class Incident:
    """At which stage it ended, by what symptom; ``facts`` by the names of the catalogue."""

    stage: Stage
    symptom: Symptom
    reply: RawReply | None = None
    facts: dict[str, Any] = field(default_factory=dict)
