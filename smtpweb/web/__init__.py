"""The doors that know a request: JSON API and pages."""

from flask import Flask

from ..errors import Sentence
from ..extensions import csrf, login_manager
from . import (  # noqa: F401  (their routes are those of pages.bp)
    access,
    api,
    app_pages,
    batch_pages,
    check_pages,
    dark,
    errors,
    find_pages,
    headers,
    language,
    login,
    look,
    pages,
    probes,
    received,
    smtp_pages,
)


def register(app: Flask) -> None:
    """Add blueprints, error replies and headers to the application."""
    for blueprint in (api.bp, api.login_bp):
        # No cookie signs anybody in there, so there is nothing to forge.
        csrf.exempt(blueprint)
        app.register_blueprint(blueprint)
        app.register_blueprint(blueprint, url_prefix="/api", name=f"{blueprint.name}_base")
    app.url_map.converters["id"] = access.IdConverter
    for blueprint in (login.bp, login.account_bp, pages.bp, probes.bp, dark.bp, received.bp):
        app.register_blueprint(blueprint)
    login_manager.login_view = "login.sign_in"
    login_manager.login_message = Sentence("Sign in to see this page.")
    login_manager.login_message_category = "info"
    login_manager.localize_callback = language.say
    language.register(app)
    look.register(app)
    errors.register(app)
    headers.register(app)
