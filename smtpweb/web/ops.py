"""Endpoints for other programs: liveness, readiness, metrics and the API's description.

They require no authentication and set no cookie. ``deploy/nginx.conf`` blocks ``/metrics`` from
outside: the metrics contain no personal data, but they are not meant to be public.
"""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request

from ..monitoring import readiness
from .api import openapi
from .http import auth
from .presentation import quoting

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
    from .presentation import exposition  # loaded on first use, see smtpweb/deferred.py

    text, kind = exposition.of_installation(request.headers.get("Accept", ""))
    return Response(text, content_type=kind)


@bp.get("/openapi.json")
def description() -> Response:
    """The API's description in OpenAPI 3.1."""
    return Response(openapi.text(), mimetype="application/json")


@bp.get("/docs")
def docs() -> str:
    """The same description as an HTML page."""
    address = quoting.shell(auth.shown_url())
    return render_template(
        "docs.html", api=openapi.document(), calls=openapi.calls(), address=address
    )
