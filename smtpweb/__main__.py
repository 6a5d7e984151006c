"""``python -m smtpweb``: create keys, migrate, then become gunicorn; with arguments, run a command.

``python -m smtpweb users create ...`` is the same as ``flask --app wsgi users create ...``.
"""

from __future__ import annotations

import os
import socket
import sys

from flask import Flask
from flask.cli import FlaskGroup
from flask_migrate import upgrade
from sqlalchemy.exc import SQLAlchemyError

from . import config
from .app import create_app
from .database.session import cause, db
from .errors import ConfigError


def main() -> None:
    """Serve, or run the command that the arguments name."""
    if len(sys.argv) > 1:
        FlaskGroup(create_app=_application, add_version_option=False).main(prog_name="smtpweb")
    serve()


def serve() -> None:
    """Serve; on a configuration error exit with status 2 and one sentence on stderr."""
    os.umask(0o077)  # only this user may read the database, like the keys
    try:
        refuse_taken(config.web_port(os.environ))
        config.make_first_keys()
        bring_up_to_date(config.load())
    except ConfigError as error:
        print(f"smtpweb: {error}", file=sys.stderr)
        sys.exit(2)
    os.chdir(config.HOME)
    os.execv(sys.executable, gunicorn())  # noqa: S606 - no user input


def _application() -> Flask:
    try:
        return create_app(config.load())
    except ConfigError as error:
        print(f"smtpweb: {error}", file=sys.stderr)
        sys.exit(2)


def gunicorn() -> list[str]:
    """The command that serves this installation."""
    return [sys.executable, "-m", "gunicorn", "--config", str(config.ROOT / "gunicorn.conf.py")]


def refuse_taken(number: int) -> None:
    """Raise :class:`ConfigError` if this port of 127.0.0.1 cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does
        try:
            probe.bind(("127.0.0.1", number))
            probe.listen()
        except OSError as error:
            raise ConfigError(
                f"Cannot listen on 127.0.0.1:{number} ({error.strerror}):"
                " choose another port, such as PORT=8001."
            ) from None


def bring_up_to_date(settings: config.Settings) -> None:
    """Run the pending migrations."""
    app = create_app(settings)
    with app.app_context():
        try:
            upgrade()
        except SQLAlchemyError as error:
            raise ConfigError(f"The database cannot be upgraded: {cause(error)}") from None
        finally:
            db.engine.dispose()


if __name__ == "__main__":
    main()
