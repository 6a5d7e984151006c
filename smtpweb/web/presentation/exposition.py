"""Metrics in the formats of Prometheus: of the installation, and of one SMTP server."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, choose_encoder
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ...database.models import Smtp
from ...database.session import cause, now
from ...monitoring import metrics

log = logging.getLogger(__name__)


def of_installation(accept: str) -> tuple[bytes, str]:
    """Return the metrics and their content type, chosen by the header Accept."""
    registry = CollectorRegistry()
    registry.register(_Collector())
    encode, kind = choose_encoder(accept)
    return encode(registry), kind


def of_server(smtp: Smtp, last: Any) -> tuple[bytes, str]:
    """Return the metrics of an SMTP server and its last check, and their content type.

    ``last``: as returned by :func:`.standing.last_check`.
    """
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(name, text, registry=registry).set(value)

    gauge("probe_success", "Whether the last check was accepted.", bool(last and last.accepted))
    gauge("smtpweb_probe_enabled", "Whether the server is enabled.", smtp.enabled)
    if last:
        age = max(0.0, (now() - last.finished).total_seconds())
        gauge("smtpweb_probe_age_seconds", "Seconds since the last check finished.", age)
        times = last.times or {}
        if "total" in times:
            gauge("probe_duration_seconds", "Duration of the last check.", times["total"] / 1000)
        stages = Gauge(
            "smtpweb_probe_stage_seconds",
            "Duration of the last check by stage.",
            ["stage"],
            registry=registry,
        )
        for stage, milliseconds in times.items():
            if stage != "total":
                stages.labels(stage).set(milliseconds / 1000)
        info = Gauge(
            "smtpweb_probe_info",
            "Last stage and code of the last check.",
            ["stage", "code"],
            registry=registry,
        )
        info.labels(last.stage or "", last.code or "").set(1)
    if smtp.certificate_expires:
        gauge(
            "probe_ssl_earliest_cert_expiry",
            "Expiry of the certificate in seconds since 1970.",
            smtp.certificate_expires.timestamp(),
        )
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


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
