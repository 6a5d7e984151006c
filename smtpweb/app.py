"""Build the application from its settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from . import cli, web
from .accounts import sessions
from .checking import limits
from .config import INSTANCE, MIGRATIONS, ROOT, Settings
from .database import migrations, models
from .database.session import db, engine_options
from .extensions import Services, bootstrap, csrf, login_manager
from .monitoring import alarms, incidents
from .registry import status
from .web.api import frequent_reads
from .web.http import chunked_body, host_header
from .web.http.sessions import PageSessions

T = TypeVar("T")
MOST_BODY = 1024 * 1024


class _SynchronousFlask(Flask):
    """Flask without async views: it need not look for one before each function of a request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function as it is."""
        return func


def create_app(settings: Settings) -> Flask:
    """Build the application without touching the database or the network."""
    app = _SynchronousFlask(
        "smtpweb",
        root_path=str(ROOT),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
        instance_path=str(INSTANCE),
    )
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=MOST_BODY,
        MAX_FORM_MEMORY_SIZE=MOST_BODY,
        SESSION_COOKIE_NAME="__Host-smtpweb" if settings.secure_cookies else "smtpweb",
        SESSION_COOKIE_SECURE=settings.secure_cookies,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=timedelta(days=7),
        # A session ends after a week anyway, and a static file that proxies cache must not carry
        # its cookie.
        SESSION_REFRESH_EACH_REQUEST=False,
        WTF_CSRF_TIME_LIMIT=None,  # a form may stay open as long as its session lasts
        BOOTSTRAP_SERVE_LOCAL=True,
    )
    app.session_interface = PageSessions()
    app.url_map.strict_slashes = False  # an API client follows no redirect on POST
    app.url_map.merge_slashes = False  # likewise; such a redirect would also repeat the Host header
    Services(settings, limits.WorkerLimits.of(settings)).init_app(app)

    frequent_reads.register(app)
    host_header.register(app, settings.base_url)
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=count, x_proto=count, x_host=count
        )
    chunked_body.register(app)
    db.init_app(app)
    csrf.init_app(app)
    bootstrap.init_app(app)
    # Without its context processor, which would load the user on every page, error pages included.
    login_manager.init_app(app, add_context_processor=False)
    login_manager.user_loader(sessions.session_user)
    _listen(status.listeners, alarms.notice)
    _listen(incidents.listeners, alarms.notice_incident)
    web.register(app)
    cli.register(app)
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":  # as the flask command says
        migrations.init_app(app, MIGRATIONS)
    app.shell_context_processor(lambda: {"db": db, **vars(models)})
    return app


def _listen(listeners: list[Callable[[T], None]], listener: Callable[[T], None]) -> None:
    """Add a listener only once, even if a process creates several applications."""
    if listener not in listeners:
        listeners.append(listener)
