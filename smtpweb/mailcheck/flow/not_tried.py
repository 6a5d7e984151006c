"""The reports of checks that end before any connection to the SMTP server."""

from __future__ import annotations

import dataclasses

from ..core.failure import Symptom
from ..core.modes import Encryption
from ..core.redaction import cleaned
from ..core.types import Outcome, Report, Stage, Step
from ..diagnosis.matcher import Diagnosis, Seen, diagnose
from ..diagnosis.token import TokenFailure, diagnose_token_error


def not_tried(
    symptom: Symptom,
    *,
    host: str,
    port: int,
    rcpt_to: str,
    encryption: Encryption,
    **others: str,
) -> Report:
    """Return the report of a check that cannot run, for a cause known without a connection.

    ``others``: facts that the cause names beside these.
    """
    host, rcpt_to = cleaned(host), cleaned(rcpt_to)
    facts = {"host": host, "port": port, "rcpt_to": rcpt_to, **others}
    diagnosis = diagnose(Seen(Stage.POLICY, symptom, None, facts))
    return _report(Stage.POLICY, diagnosis, host, port, rcpt_to, encryption)


def no_token(
    failure: TokenFailure,
    *,
    host: str,
    port: int,
    rcpt_to: str,
    encryption: Encryption,
    milliseconds: float | None = None,
) -> Report:
    """Return the report of a check for which no access token could be obtained.

    ``milliseconds`` is the time that the token request took.
    """
    diagnosis = diagnose_token_error(failure)
    report = _report(Stage.TOKEN, diagnosis, cleaned(host), port, cleaned(rcpt_to), encryption)
    return dataclasses.replace(
        report,
        milliseconds=milliseconds or 0.0,
        steps=tuple(
            Step(stage, Outcome.FAILED, milliseconds)
            if stage is Stage.TOKEN
            else Step(stage, Outcome.NOT_REACHED)
            for stage in Stage
        ),
    )


def _report(
    stage: Stage, diagnosis: Diagnosis, host: str, port: int, rcpt_to: str, encryption: Encryption
) -> Report:
    return Report(
        accepted=False,
        stage=stage,
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
        also_possible=diagnosis.also_possible,
        facts=diagnosis.facts,
    )
