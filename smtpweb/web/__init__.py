"""The doors that know a request: JSON API and pages."""

from flask import Flask

from ..extensions import csrf
from . import api, errors, headers, probes


def register(app: Flask) -> None:
    """Add blueprints, error replies and headers to the application."""
    for blueprint in (api.bp, api.login_bp):
        # No cookie signs anybody in there, so there is nothing to forge.
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
        app.register_blueprint(blueprint, url_prefix="/api", name=f"{blueprint.name}_base")
    app.register_blueprint(probes.bp)
    errors.register(app)
    headers.register(app)
