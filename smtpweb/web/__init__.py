"""The HTTP layer: JSON API and pages."""

from flask import Flask

from ..errors import Sentence
from ..extensions import csrf, login_manager, services
from ..monitoring.alarms import texts
from . import errors, ops
from .api import access_tokens, monitoring, problems, views  # noqa: F401  (likewise)
from .api import alarms as alarms_api  # noqa: F401  (its routes are those of views.bp)
from .http import auth, compression, i18n, security_headers
from .pages import (  # noqa: F401  (most add their routes to blueprint.bp)
    account,
    alarms,
    appearance,
    apps,
    arrival,
    batches,
    blueprint,
    checks,
    demo_mailbox,
    discovery,
    dns_records,
    drafts,
    elsewhere,
    error,
    explain,
    home,
    login,
    oauth,
    offers,
    operation,
    schedule,
    servers,
    smtps,
    start,
    transfers,
    undo,
    use,
)
from .presentation import causes, dark_theme, templating


def register(app: Flask) -> None:
    """Register blueprints, error handlers and response headers on the application."""
    for api in (views.bp, views.login_bp):
        # The API does not authenticate by cookie, so requests to it cannot be forged.
        csrf.exempt(api)
        app.register_blueprint(api)
        app.register_blueprint(api, url_prefix="/api", name=f"{api.name}_base")
    app.url_map.converters["id"] = auth.IdConverter
    public = (login.bp, ops.bp, dark_theme.bp, arrival.bp, explain.bp, offers.bp, appearance.bp)
    for bp in (*public, account.bp, blueprint.bp):
        app.register_blueprint(bp)
    if services(app).settings.demo_mailbox is not None:
        app.register_blueprint(demo_mailbox.bp)
    login_manager.login_view = "login.sign_in"
    login_manager.login_message = Sentence("Sign in to see this page.")
    login_manager.login_message_category = "info"
    login_manager.localize_callback = i18n.say
    i18n.register(app)
    templating.register(app)
    app.extensions[texts.SAID] = causes.said
    errors.register(
        app,
        reply=lambda problem: (problems if i18n.is_api() else error).reply(problem),
        rescue=drafts.rescue,
    )
    security_headers.register(app)
    compression.register(app)
