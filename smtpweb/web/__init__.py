"""The doors that know a request: JSON API and pages."""

from flask import Flask

from ..errors import Sentence
from ..extensions import csrf, login_manager
from . import errors, ops
from .api import monitoring, problems, views  # noqa: F401  (its routes are those of views.bp)
from .http import auth, compression, i18n, security_headers
from .pages import (  # noqa: F401  (the routes of most are those of blueprint.bp)
    account,
    apps,
    arrival,
    batches,
    blueprint,
    checks,
    discovery,
    drafts,
    error,
    explain,
    home,
    login,
    operation,
    schedule,
    servers,
    smtps,
)
from .presentation import dark_theme, templating


def register(app: Flask) -> None:
    """Add blueprints, error replies and headers to the application."""
    for api in (views.bp, views.login_bp):
        # No cookie signs anybody in there, so there is nothing to forge.
        csrf.exempt(api)
        app.register_blueprint(api)
        app.register_blueprint(api, url_prefix="/api", name=f"{api.name}_base")
    app.url_map.converters["id"] = auth.IdConverter
    for bp in (login.bp, account.bp, blueprint.bp, ops.bp, dark_theme.bp, arrival.bp, explain.bp):
        app.register_blueprint(bp)
    login_manager.login_view = "login.sign_in"
    login_manager.login_message = Sentence("Sign in to see this page.")
    login_manager.login_message_category = "info"
    login_manager.localize_callback = i18n.say
    i18n.register(app)
    templating.register(app)
    errors.register(
        app,
        reply=lambda problem: (problems if i18n.is_api() else error).reply(problem),
        rescue=drafts.rescue,
    )
    security_headers.register(app)
    compression.register(app)
