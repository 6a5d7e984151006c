"""The API of monitoring: lists of checks, status, bulk checks, scrapes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, g

from ... import validators
from ...checking import batches, service
from ...checking.batches import Batch
from ...database.models import Check
from ...database.session import now
from ...errors import BadInput, Sentence
from ...monitoring import standing
from ...registry import apps, smtps
from ..http import auth
from . import parameters, problems, schema
from .views import bp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 2**32 * 1000  # in the year 2106
_JOB = re.compile(r"([0-9a-f]{24})-([0-9]{1,14})", re.ASCII)  # app, milliseconds since 1970


@bp.get("/private/smtps/checks")
@auth.needs("read")
def find_checks() -> Response:
    """List one page of the checks of an SMTP server, newest first."""
    sent = parameters.Sent()
    smtp_id = sent.id("idsmtp")
    number = sent.text("page", lambda value: validators.integer(value, 0, 10**6), required=True)
    size = sent.text("size", lambda value: validators.integer(value, 1, 1000), required=True)
    sent.done()
    if number is None or size is None:  # done() has raised: this is for the type checker
        raise BadInput({})
    smtp = smtps.find(g.caller.user_id, smtp_id)
    rows, total = service.history(smtp, number, size)
    return schema.reply(schema.page([_check(row) for row in rows], number, size, total))


def _check(row: Check) -> dict[str, Any]:
    """Return a check for a list, without report and transcript."""
    if row.finished is not None:
        status = "finished"
    elif row.queued is not None:
        status = "queued"
    else:
        status = "running" if service.is_under_way(row) else "interrupted"
    return {
        "_id": row.id,
        "idsmtp": row.smtp_id,
        "kind": row.kind,
        "mode": row.mode,
        "status": status,
        "started": schema.time(row.started),
        "finished": schema.time(row.finished) if row.finished else None,
        "accepted": row.accepted,
        "applied": row.applied,
        "stage": row.stage,
        "code": row.code,
        "title": row.title,
        "milliseconds": row.times or {},
        "changes": row.changes or [],
    }


@bp.get("/private/smtps/status")
@auth.needs("read")
def show_status() -> Response:
    """Show the state of an app: 200 while one of its SMTP servers works, otherwise 503."""
    sent = parameters.Sent()
    app_id = sent.id("idapp")
    sent.done()
    app = apps.find(g.caller.user_id, app_id)
    state = standing.of_app(app.id)
    members = {
        "idapp": app.id,
        "working": state.working,
        "total": state.total,
        "inuse": state.in_use,
    }
    return schema.reply(members) if state.working else problems.nothing_works(members)


@bp.post("/private/smtps/checkByApp")
@auth.needs("check")
def check_by_app() -> Response:
    """Queue a check of every SMTP server of an app."""
    sent = parameters.Sent()
    app_id = sent.id("idapp")
    sent.done()
    batch = Batch(apps.find(g.caller.user_id, app_id).id, now())
    batches.start(g.caller, batch, auth.base_url())
    job = _job(batch)
    return schema.reply(
        {
            "idjob": job,
            "total": batches.standing(g.caller.user_id, batch).total,
            "url": f"/private/smtps/progress?idjob={job}",
        }
    )


@bp.get("/private/smtps/progress")
@auth.needs("read")
def show_progress() -> Response:
    """Show the progress of a bulk check."""
    sent = parameters.Sent()
    batch = sent.text("idjob", _batch, required=True)
    sent.done()
    if batch is None:  # as above
        raise BadInput({})
    apps.find(g.caller.user_id, batch.app_id)
    progress = batches.standing(g.caller.user_id, batch)
    return schema.reply(
        {
            "idjob": _job(batch),
            "total": progress.total,
            "queued": progress.queued,
            "finished": progress.finished,
            "accepted": progress.accepted,
            "failed": progress.finished - progress.accepted - progress.without_result,
            "done": not progress.going_on,
        }
    )


def _batch(value: str) -> Batch:
    match = _JOB.fullmatch(value)
    if match is None:
        raise ValueError(Sentence("Must be the idjob of a bulk check."))
    since = _EPOCH + timedelta(milliseconds=min(int(match[2]), _LATEST))
    return Batch(match[1], since)


def _job(batch: Batch) -> str:
    return f"{batch.app_id}-{(batch.since - _EPOCH) // timedelta(milliseconds=1)}"


@bp.get("/probe")
@auth.needs("probe")
def probe() -> Response:
    """Expose the last check of an SMTP server under the metric names of the blackbox exporter.

    No check is started, because authenticating at every scrape could lock accounts.
    """
    from ..presentation import exposition  # loaded on first use, see smtpweb/deferred.py

    sent = parameters.Sent()
    smtp_id = sent.id("idsmtp")
    sent.done()
    smtp = smtps.find(g.caller.user_id, smtp_id)
    text, kind = exposition.of_server(smtp, standing.last_check(smtp))
    return Response(text, content_type=kind)
