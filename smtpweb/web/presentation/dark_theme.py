"""Bootstrap's dark colours for whoever's system asks for them, without any script.

Bootstrap switches by an attribute that only a script can set. Its few dark rules are served once
more for the root of the page; the layout links them with ``media="(prefers-color-scheme: dark)"``.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from flask import Blueprint, Response, current_app

_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
_DARK = "[data-bs-theme=dark]"

bp = Blueprint("dark", __name__)


@bp.get("/bootstrap/dark.css")
def rules() -> Response:
    """The dark rules of the Bootstrap that is installed here."""
    response = Response(made_from(source()), mimetype="text/css")
    response.headers["Cache-Control"] = "no-cache"
    return response


def source() -> Path:
    """Bootstrap's own style sheet."""
    folder = current_app.blueprints["bootstrap"].static_folder or ""
    return Path(folder, "css", "bootstrap.min.css")


@functools.cache
def made_from(path: Path) -> str:
    """The rules of a style sheet that hold below ``data-bs-theme="dark"``, for the whole page."""
    made = []
    for selectors, body in _RULE.findall(path.read_text(encoding="utf-8")):
        dark = [one for one in selectors.split(",") if one.startswith(_DARK)]
        if dark:
            made.append(f"{','.join(dark).replace(_DARK, ':root')}{{{body}}}\n")
    return "".join(made)
