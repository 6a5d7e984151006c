"""Store the results of claimed checks in bulk and apply them, as ``checking.verdict`` decides."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import contains_eager

from ..checking import limits, verdict
from ..database.models import Check, Due, Smtp, Worker
from ..database.session import now, writing
from ..mailcheck import Report
from . import incidents
from .claims import Claim

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The result of a claimed check; ``report`` is None if a bug of ours ended it."""

    claim: Claim
    report: Report | None


def settle(worker_id: str, results: Sequence[Result]) -> None:
    """Store these results and apply them, in one transaction.

    If a server has been removed since, so has its check; if it has been edited, the result is
    stored but not applied.
    """
    moment = now()
    by_smtp = {result.claim.smtp_id: result for result in results}
    ids = list(by_smtp)
    late = failed = 0
    our_causes: Counter[str] = Counter()
    with writing() as session:
        # Always lock in the same order: servers by id, then their rows of "due".
        smtps = session.scalars(
            select(Smtp)
            .join(Smtp.app)
            .options(contains_eager(Smtp.app))
            .where(Smtp.id.in_(ids))
            .order_by(Smtp.id)
            .with_for_update(of=Smtp),
            execution_options={"populate_existing": True},
        ).all()
        dues = {
            due.smtp_id: due
            for due in session.scalars(
                select(Due).where(Due.smtp_id.in_(ids)).order_by(Due.smtp_id).with_for_update(),
                execution_options={"populate_existing": True},
            )
        }
        checks = {
            check.id: check
            for check in session.scalars(
                select(Check).where(Check.id.in_([result.claim.check_id for result in results]))
            )
        }
        for smtp in smtps:
            result = by_smtp[smtp.id]
            claim, report, due = result.claim, result.report, dues.get(smtp.id)
            check = checks.get(claim.check_id)
            if claim.kind == verdict.BULK:
                limits.give_back_share(claim.check_id)
            if report is None or check is None or check.finished is not None:
                verdict.release(smtp, due, claim.ends_by)
                continue
            verdict.settle(smtp, due, check, report)
            late += claim.ends_by < moment
            failed += not report.accepted
            if report.ours and not report.refused_by_policy:
                our_causes[report.code] += 1
        incidents.note(our_causes)
        session.execute(
            update(Worker)
            .where(Worker.id == worker_id)
            .values(
                seen=moment,
                checks=Worker.checks + len(results),
                failed=Worker.failed + failed,
                lost=Worker.lost + late,
            ),
            execution_options={"synchronize_session": False},
        )
