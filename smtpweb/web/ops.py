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
    """Readiness: everything that smtpweb needs, or the part of it that ``only`` names.

    A load balancer asks ``/readyz?only=database``: without a worker pages still answer.
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
            found = metrics.read()
        except (DBAPIError, PoolTimeout) as error:
            log.error("no figures: %s", cause(error))
            yield GaugeMetricFamily("smtpweb_storage_reachable", _STORAGE, 0)
            return
        yield GaugeMetricFamily("smtpweb_storage_reachable", _STORAGE, 1)
        yield _labelled(
            GaugeMetricFamily, "smtps", "SMTP servers registered, by state.", ["state"],
            {(state,): count for state, count in found.smtps.items()},
        )  # fmt: skip
        yield _labelled(
            CounterMetricFamily, "checks", "Finished checks.",
            ["outcome", "stage", "code", "kind"], found.checks,
        )  # fmt: skip
        stages = SummaryMetricFamily(
            "smtpweb_stage_seconds", "Time of the stages of checks.", labels=["stage"]
        )
        for stage, (count, seconds) in sorted(found.stages.items()):
            stages.add_metric([stage], count, seconds)
        yield stages
        yield _labelled(
            CounterMetricFamily, "deliveries", "Alarms handed over, by kind of channel.",
            ["kind", "outcome"], found.deliveries,
        )  # fmt: skip
        yield _labelled(
            GaugeMetricFamily, "certificates",
            "Servers whose certificate ends within so many days, or has ended.", ["days"],
            {(str(days),): count for days, count in found.certificates.items()},
        )  # fmt: skip
        for name, value in _gauges(found).items():
            if value is not None:
                yield GaugeMetricFamily(f"smtpweb_{name}", _GAUGES[name], value)


def _labelled(
    kind: Any, name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    family: Metric = kind(f"smtpweb_{name}", text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)  # type: ignore[attr-defined]
    return family


def _gauges(found: metrics.Figures) -> dict[str, float | None]:
    return {
        "apps": found.apps,
        "certificate_days_least": found.least_certificate_days,
        "queued_checks": found.queued,
        "oldest_queued_seconds": found.oldest_queued_age,
        "due_checks": found.due,
        "due_lag_seconds": found.lag,
        "workers": found.workers,
        "worker_heartbeat_age_seconds": found.last_heartbeat_age,
        "incidents": found.incidents,
        "last_check_age_seconds": found.last_check_age,
        "stale_seals": found.stale_seals,
    }


_GAUGES = {
    "apps": "Apps registered.",
    "certificate_days_least": "Days until the first certificate ends; absent while none is known.",
    "queued_checks": f"Checks that wait for a worker, at most {metrics.MOST}.",
    "oldest_queued_seconds": "For how long the first of them waits; absent while none does.",
    "due_checks": f"Scheduled checks whose time has come, at most {metrics.MOST}.",
    "due_lag_seconds": "For how long the first of them has been due; 0 while none is.",
    "workers": "Workers that gave a heartbeat in the last two minutes.",
    "worker_heartbeat_age_seconds": "Seconds since the last one; absent while there was none.",
    "incidents": "Causes on our side that keep checks from saying anything now.",
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
