"""The Flask extensions and the services of our own; ``create_app`` binds them to an application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app
from flask_babel import Babel
from flask_bootstrap import Bootstrap5
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_wtf import CSRFProtect

if TYPE_CHECKING:  # each part is typed where it is made, in a layer above this one
    from dns.resolver import Resolver

    from .checking.limits import WorkerLimits
    from .config import Settings

babel = Babel()
bootstrap = Bootstrap5()
csrf = CSRFProtect()
login_manager = LoginManager()
migrate = Migrate()


@dataclass
class Services:
    """What one application is made of, beside the extensions of others.

    ``resolver`` None: DNS is asked as the system is set up.
    """

    settings: Settings
    limits: WorkerLimits
    resolver: Resolver | None = None

    def init_app(self, app: Flask) -> None:
        """Make this what :func:`services` gives inside ``app``."""
        app.extensions["smtpweb"] = self


def services(app: Flask | None = None) -> Services:
    """The services of an application; of the current one unless it is given."""
    return cast(Services, (app or current_app).extensions["smtpweb"])
