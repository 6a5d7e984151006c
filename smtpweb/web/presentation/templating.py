"""Set up templates: strict variables, filters, and cacheable static files."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, request, url_for
from flask_babel import format_decimal
from flask_login import current_user
from jinja2 import StrictUndefined
from markupsafe import Markup

from ...mailcheck.core.modes import USUAL_PORTS
from ...providers import presets
from ...registry import names, overview
from ...validators import LANGUAGES
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
    times,
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
        "relative": times.relative,
        "exact": times.exact,
        "duration": times.duration,
    }
    app.jinja_env.globals |= {
        "url_for": _remembering_url_for(),
        "words": labels,
        "times": times,
        "format_decimal": format_decimal,
        "past": past,
        "dns_labels": dns_labels,
        "grant_labels": grant_labels,
        "alarm_words": channel_labels,
        "icon": functools.cache(icon),
        "has_demo_mailbox": "demo" in app.blueprints,
        "causes": causes,
        "confidence": confidence.sentences,
        "fixes": remedies,
        "names": names,
        "secret_name_hosts": presets.hosts_with_secret_names,
        "usual_ports": {mode.value: str(port) for mode, port in USUAL_PORTS.items()},
        "current_user": current_user,
        "form_owner": form_owner.token,
        "chosen_theme": dark_theme.chosen,
        "languages": LANGUAGES,
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


def _remembering_url_for() -> Callable[..., str]:
    """Return Flask's ``url_for`` for templates: a list asks for hundreds of URLs, often the same.

    What depends on more than the arguments is not kept: relative endpoints, external URLs.
    """

    @functools.lru_cache(4096)
    def built(_root: str, endpoint: str, values: tuple[tuple[str, Any], ...]) -> str:
        return url_for(endpoint, **dict(values))

    def remembered(endpoint: str, **values: Any) -> str:
        if endpoint[0] == "." or any(name[0] == "_" for name in values):
            return url_for(endpoint, **values)
        return built(request.script_root, endpoint, tuple(values.items()))

    return remembered


def icon(name: str) -> Markup:
    """Return an icon of the style sheet; what it means is said beside it."""
    return Markup('<i class="icon icon-{}" aria-hidden="true"></i>').format(name)


@functools.cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
