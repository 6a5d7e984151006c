"""Endpoints for other programs: liveness, readiness, metrics and the API's description.

They require no authentication and set no cookie. ``deploy/nginx.conf`` blocks ``/metrics`` from
outside: the metrics contain no personal data, but they are not meant to be public.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from flask import Blueprint, Response, render_template, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from .. import installation
from ..checking import metrics as check_metrics
from ..database.session import cause
from .api import openapi

log = logging.getLogger(__name__)

bp = Blueprint("probes", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Liveness: this process responds. The database is not queried: a restart would not fix it."""
    return _line("ok")


@bp.get("/readyz")
def readyz() -> Response:
    """Readiness: the database responds and has the right schema."""
    try:
        problem = installation.schema_problem()
    except (DBAPIError, PoolTimeout) as error:
        # Driver messages can contain host names and paths, so they are only logged.
        log.error("not ready: %s", cause(error))
        problem = "The database cannot be reached right now."
    return _line(problem, 503) if problem else _line("ok")


def _line(text: str, status: int = 200) -> Response:
    return Response(f"{text}\n", status, mimetype="text/plain")


@bp.get("/metrics")
def metrics() -> Response:
    """Prometheus metrics, read from the database on request, so all workers report the same."""
    registry = CollectorRegistry()
    registry.register(_Collector())
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=kind)


class _Collector:
    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            found = check_metrics.read()
        except (DBAPIError, PoolTimeout) as error:
            log.error("no figures: %s", cause(error))
            yield GaugeMetricFamily("smtpweb_storage_reachable", _STORAGE, 0)
            return
        yield GaugeMetricFamily("smtpweb_storage_reachable", _STORAGE, 1)
        smtps = GaugeMetricFamily(
            "smtpweb_smtps", "SMTP servers registered, by state.", labels=["state"]
        )
        smtps.add_metric(["enabled"], found.smtps_enabled)
        smtps.add_metric(["disabled"], found.smtps_disabled)
        yield smtps
        yield GaugeMetricFamily("smtpweb_apps", "Apps registered.", found.apps)
        checks = GaugeMetricFamily(
            "smtpweb_checks_last_day",
            "Checks finished in the last 24 hours, by outcome and the stage that they reached.",
            labels=["outcome", "stage"],
        )
        for (accepted, stage), count in sorted(found.checks.items()):
            checks.add_metric(["accepted" if accepted else "failed", stage], count)
        yield checks
        if found.last_check_age is not None:
            yield GaugeMetricFamily(
                "smtpweb_last_check_age_seconds",
                "Seconds since a check finished; absent while none has.",
                found.last_check_age,
            )
        yield GaugeMetricFamily(
            "smtpweb_stale_seals",
            "Secrets not encrypted with the newest key: 'flask keys rotate' encrypts them again.",
            found.stale_seals,
        )


_STORAGE = "Whether the database answered: 1 or 0. If it did not, there are no other metrics."


@bp.get("/openapi.json")
def description() -> Response:
    """The API's description in OpenAPI 3.1."""
    return Response(openapi.text(), mimetype="application/json")


@bp.get("/docs")
def docs() -> str:
    """The same description as an HTML page."""
    return render_template("docs.html", api=openapi.document(), calls=openapi.calls())
