"""Bootstrap's dark colours for systems that prefer them, without any script.

Bootstrap switches by an attribute that only a script can set. Its few dark rules are served again
for ``:root``; the layout links them with ``media="(prefers-color-scheme: dark)"``.
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
    """Return the dark rules of the installed Bootstrap."""
    response = Response(made_from(source()), mimetype="text/css")
    response.headers["Cache-Control"] = "no-cache"
    return response


def source() -> Path:
    """Return the path of Bootstrap's style sheet."""
    folder = current_app.blueprints["bootstrap"].static_folder or ""
    return Path(folder, "css", "bootstrap.min.css")


@functools.cache
def made_from(path: Path) -> str:
    """Return a style sheet's rules for ``data-bs-theme="dark"``, rewritten for the whole page."""
    made = []
    for selectors, body in _RULE.findall(path.read_text(encoding="utf-8")):
        dark = [one for one in selectors.split(",") if one.startswith(_DARK)]
        if dark:
            made.append(f"{','.join(dark).replace(_DARK, ':root')}{{{body}}}\n")
    return "".join(made)
