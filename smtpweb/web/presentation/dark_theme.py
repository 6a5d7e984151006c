"""Dark colours without any script: for systems that prefer them, or for readers who chose them.

Bootstrap switches by an attribute, and cannot follow the system without a script. Its few dark
rules are served again for ``:root``. The layout links them, and ours, for systems that prefer dark
colours, for everybody if the reader chose dark, and not at all if the reader chose light; so the
first paint already has the right colours.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path

from flask import Blueprint, Response, current_app, request

COOKIE = "smtpweb_theme"
THEMES = ("light", "dark")  # without a choice, the browser decides
_RULE = re.compile(r"([^{}]*)\{([^{}]*)\}")
_DARK = "[data-bs-theme=dark]"

bp = Blueprint("dark", __name__)


@bp.get("/bootstrap/dark.css")
def rules() -> Response:
    """Return the dark rules of the installed Bootstrap."""
    response = Response(made_from(source()), mimetype="text/css")
    response.headers["Cache-Control"] = "no-cache"
    return response


def chosen() -> str:
    """Return the theme that the reader chose in this browser, "" for the system's."""
    theme = request.cookies.get(COOKIE, "")
    return theme if theme in THEMES else ""


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
