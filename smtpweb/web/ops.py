"""Endpoints for other programs: liveness, readiness, metrics and the API's description.

They require no authentication and set no cookie. ``deploy/nginx.conf`` blocks ``/metrics`` from
outside: the metrics contain no personal data, but they are not meant to be public.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, render_template, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..database.session import cause
from ..monitoring import metrics, readiness
from .api import openapi

log = logging.getLogger(__name__)

bp = Blueprint("probes", __name__)


@bp.get("/healthz")
def healthz() -> Response:
    """Liveness: this process responds. The database is not queried: a restart would not fix it."""
    return _line("ok")


@bp.get("/readyz")
def readyz() -> Response:
    """Readiness: everything that smtpweb needs, or only the part named by ``only``.

    Load balancers use ``/readyz?only=database``, because pages need no worker.
    """
    only = request.args.get("only")
    parts = readiness.PARTS if only is None else (only,)
    if not set(parts) <= set(readiness.PARTS):
        return _line(f"only must be one of {', '.join(readiness.PARTS)}.", 400)
    problems = readiness.problems(parts)
    return _line("\n".join(problems), 503) if problems else _line("ok")


def _line(text: str, status: int = 200) -> Response:
    return Response(f"{text}\n", status, mimetype="text/plain")


@bp.get("/metrics", endpoint="metrics")
def show_metrics() -> Response:
    """Prometheus metrics, read from the database on request, so all processes report the same."""
    registry = CollectorRegistry()
    registry.register(_Collector())
    encode, kind = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=kind)


class _Collector:
    def collect(self) -> Iterator[Metric]:
        try:
            figures = metrics.read()
        except (DBAPIError, PoolTimeout) as error:
            log.error("no metrics: %s", cause(error))
            yield GaugeMetricFamily("smtpweb_storage_reachable", _STORAGE, 0)
            return
        yield GaugeMetricFamily("smtpweb_storage_reachable", _STORAGE, 1)
        yield _labelled(
            GaugeMetricFamily, "smtps", "SMTP servers registered, by state.", ["state"],
            {(state,): count for state, count in figures.smtps.items()},
        )  # fmt: skip
        yield _labelled(
            CounterMetricFamily, "checks", "Finished checks.",
            ["outcome", "stage", "code", "kind"], figures.checks,
        )  # fmt: skip
        stages = SummaryMetricFamily(
            "smtpweb_stage_seconds", "Time of the stages of checks.", labels=["stage"]
        )
        for stage, (count, seconds) in sorted(figures.stages.items()):
            stages.add_metric([stage], count, seconds)
        yield stages
        yield _labelled(
            CounterMetricFamily, "deliveries", "Deliveries of alarms, by kind of channel.",
            ["kind", "outcome"], figures.deliveries,
        )  # fmt: skip
        yield _labelled(
            GaugeMetricFamily, "certificates",
            "Servers whose certificate expires within so many days, or has expired.", ["days"],
            {(str(days),): count for days, count in figures.certificates.items()},
        )  # fmt: skip
        for name, value in _gauges(figures).items():
            if value is not None:
                yield GaugeMetricFamily(f"smtpweb_{name}", _GAUGES[name], value)


def _labelled(
    kind: Any, name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    family: Metric = kind(f"smtpweb_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)  # type: ignore[attr-defined]
    return family


def _gauges(figures: metrics.Figures) -> dict[str, float | None]:
    return {
        "apps": figures.apps,
        "certificate_days_least": figures.least_certificate_days,
        "queued_checks": figures.queued,
        "oldest_queued_seconds": figures.oldest_queued_age,
        "due_checks": figures.due,
        "due_lag_seconds": figures.lag,
        "workers": figures.workers,
        "worker_heartbeat_age_seconds": figures.last_heartbeat_age,
        "incidents": figures.incidents,
        "last_check_age_seconds": figures.last_check_age,
        "stale_seals": figures.stale_seals,
    }


_GAUGES = {
    "apps": "Apps registered.",
    "certificate_days_least": "Days until the next certificate expires; absent if none is known.",
    "queued_checks": f"Checks queued for a worker, at most {metrics.MOST}.",
    "oldest_queued_seconds": "Seconds that the oldest of them has waited; absent if there is none.",
    "due_checks": f"Scheduled checks that are due, at most {metrics.MOST}.",
    "due_lag_seconds": "Seconds that the oldest of them has been due; 0 while there is none.",
    "workers": "Workers with a heartbeat in the last two minutes.",
    "worker_heartbeat_age_seconds": "Seconds since the last heartbeat; absent if there was none.",
    "incidents": "Open incidents: causes on our side that make checks inconclusive.",
    "last_check_age_seconds": "Seconds since a check finished; absent while none has.",
    "stale_seals": "Secrets that are not sealed under the newest key: 'flask keys rotate' seals"
    " them.",
}
_STORAGE = "Whether the database answered: 1 or 0. If it did not, there are no other metrics."


@bp.get("/openapi.json")
def description() -> Response:
    """The API's description in OpenAPI 3.1."""
    return Response(openapi.text(), mimetype="application/json")


@bp.get("/docs")
def docs() -> str:
    """The same description as an HTML page."""
    return render_template("docs.html", api=openapi.document(), calls=openapi.calls())
