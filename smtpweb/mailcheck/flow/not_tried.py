"""The report of a check that was not started."""

from __future__ import annotations

from ..core.failure import Symptom
from ..core.modes import Encryption
from ..core.redaction import cleaned
from ..core.types import Report, Stage
from ..diagnosis.matcher import Seen, diagnose


def not_tried(
    symptom: Symptom, *, host: str, port: int, rcpt_to: str, encryption: Encryption
) -> Report:
    """Return the report of a check that cannot run, for a cause known without a connection."""
    host, rcpt_to = cleaned(host), cleaned(rcpt_to)
    facts = {"host": host, "port": port, "rcpt_to": rcpt_to}
    diagnosis = diagnose(Seen(Stage.POLICY, symptom, None, facts))
    return Report(
        accepted=False,
        stage=Stage.POLICY,
        code=diagnosis.id,
        title=diagnosis.title,
        meaning=diagnosis.meaning,
        advice=diagnosis.steps,
        temporary=diagnosis.temporary,
        side=diagnosis.side,
        host=host,
        port=port,
        rcpt_to=rcpt_to,
        encryption=encryption,
        link=diagnosis.link,
        ours=diagnosis.ours,
        confidence=diagnosis.confidence,
        facts=diagnosis.facts,
    )
