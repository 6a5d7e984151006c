"""The pages of a batch: check many SMTP servers of an app, and show its progress."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from ... import validators
from ...checking import batches
from ...checking.batches import Batch
from ...database.session import now
from ...errors import BadInput, Sentence
from ...monitoring import workers
from ...registry import apps
from ..http import auth
from .blueprint import bp

MOST_CHOSEN = 50  # as many as a page shows; their ids are in the URL


@bp.post("/apps/<id:app_id>/checks")
def check_many(app_id: str) -> AnyResponse:
    """Start checking the selected SMTP servers, or all; or continue with the remaining ones."""
    app = apps.find(auth.user().id, app_id)
    batch = _batch(app.id, request.form)
    if not batch.smtp_ids and "all" not in request.form:
        flash(_("Select at least one server."), "warning")
        return redirect(url_for(".show_app", app_id=app.id), 303)
    batches.start(auth.page_caller(), batch, auth.base_url())
    return _to(batch)


@bp.post("/apps/<id:app_id>/checks/stop")
def stop_batch(app_id: str) -> AnyResponse:
    """Remove the remaining checks of a batch from the queue."""
    app = apps.find(auth.user().id, app_id)
    batches.stop(auth.user().id, app.id)
    flash(_("Stopped. Checks that are already running will finish."), "success")
    return _to(_batch(app.id, request.form))


@bp.get("/apps/<id:app_id>/checks")
def show_batch(app_id: str) -> str:
    """Show the progress of a batch, which is identified only by its URL."""
    app = apps.find(auth.user().id, app_id)
    batch = _batch(app.id, request.args)
    standing = batches.standing(auth.user().id, batch)
    return render_template(
        "checks/batch.html",
        app=app,
        batch=batch,
        since=_seconds(batch.since),
        standing=standing,
        has_worker=not standing.queued or workers.is_any_alive(),
    )


def _to(batch: Batch) -> AnyResponse:
    since = _seconds(batch.since)
    url = url_for(".show_batch", app_id=batch.app_id, since=since, smtp=batch.smtp_ids)
    return redirect(url, 303)


def _batch(app_id: str, sent: MultiDict[str, str]) -> Batch:
    try:
        ids = tuple(dict.fromkeys(validators.object_id(value) for value in sent.getlist("smtp")))
        if len(ids) > MOST_CHOSEN:
            raise ValueError(Sentence("At most %(number)s at a time.", number=MOST_CHOSEN))
    except ValueError as error:
        raise BadInput({"smtp": [error.args[0]]}) from None
    return Batch(app_id, _moment(sent, "since"), () if "all" in sent else ids)


def _moment(sent: MultiDict[str, str], name: str) -> datetime:
    """Return a time sent as whole seconds since 1970, at most now; now if it is absent."""
    moment = now()
    if sent.get(name):
        try:
            seconds = validators.integer(sent[name], 0, 2**32)
        except ValueError as error:
            raise BadInput({name: [error.args[0]]}) from None
        moment = min(moment, datetime.fromtimestamp(seconds, UTC))
    # A page opened much later shows what has been checked since, not what is running.
    return max(moment, now() - timedelta(days=30)).replace(microsecond=0)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
