"""Set up templates: strict variables, filters, and cacheable static files."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_login import current_user
from jinja2 import StrictUndefined

from ...registry import overview
from ..http import form_owner
from . import (
    causes,
    channel_labels,
    confidence,
    dark_theme,
    dns_labels,
    grant_labels,
    labels,
    past,
    remedies,
)

_DAY = 86400
_YEAR = 365 * _DAY
# Browsers request these URLs even if no page links to them.
_ICONS = ("/favicon.ico", "/apple-touch-icon.png")


def register(app: Flask) -> None:
    """Set up the application's templates and static files."""
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters |= {
        "relative": labels.relative,
        "exact": labels.exact,
        "duration": labels.duration,
    }
    app.jinja_env.globals |= {
        "words": labels,
        "past": past,
        "dns_labels": dns_labels,
        "grant_labels": grant_labels,
        "alarm_words": channel_labels,
        "has_demo_mailbox": "demo" in app.blueprints,
        "causes": causes,
        "confidence": confidence.sentences,
        "fixes": remedies,
        "current_user": current_user,
        "form_owner": form_owner.token,
        "count_problems": overview.count_problems,
    }
    folders = {"static": app.static_folder}
    folders["bootstrap.static"] = app.blueprints["bootstrap"].static_folder

    @app.url_defaults
    def name_version(endpoint: str, values: dict[str, Any]) -> None:
        folder = folders.get(endpoint)
        if folder and "filename" in values:
            values["v"] = _digest(Path(folder) / values["filename"])
        elif endpoint == "dark.rules":
            values["v"] = _digest(dark_theme.source())

    for address in _ICONS:
        app.add_url_rule(
            address, "static", app.view_functions["static"], defaults={"filename": address[1:]}
        )

    @app.after_request
    def cache(response: Response) -> Response:
        if request.path in _ICONS and response.status_code < 400:
            response.headers["Cache-Control"] = f"public, max-age={_DAY}"
        # The content of a versioned URL never changes.
        kept = request.endpoint in folders or request.endpoint == "dark.rules"
        if kept and "v" in request.args and response.status_code < 400:
            response.headers["Cache-Control"] = f"public, max-age={_YEAR}, immutable"
        return response


@functools.cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
