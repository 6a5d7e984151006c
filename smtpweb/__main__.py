"""``python -m smtpweb``: create keys, migrate, serve and work; with arguments, run a command.

``python -m smtpweb users create ...`` is the same as ``flask --app wsgi users create ...``.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping

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
    sys.exit(run_all(os.environ))


def run_all(environment: Mapping[str, str]) -> int:
    """Run gunicorn, and a worker that is started again when it dies, until gunicorn ends.

    SIGINT and SIGTERM end both; returns gunicorn's exit status.
    """
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda given, _frame: received.append(given))
    web = _start(gunicorn(), environment)
    worker: subprocess.Popen[bytes] | None = None
    wait, start_at = _FIRST_WAIT, time.monotonic()
    try:
        while web.poll() is None:
            if received:
                web.send_signal(received.pop(0))
                _end(worker)
            elif worker is None and time.monotonic() >= start_at:
                started, worker = time.monotonic(), _start(worker_command(), environment)
            elif worker is not None and worker.poll() is not None:
                if time.monotonic() - started > _LONGEST_WAIT:
                    wait = _FIRST_WAIT  # it did its work before it died
                start_at, wait = time.monotonic() + wait, min(wait * 2, _LONGEST_WAIT)
                worker = None
            time.sleep(_PACE)
        return web.returncode
    finally:
        _end(web)
        _end(worker)
        for process in (web, worker):
            if process is not None:
                process.wait()


_PACE = 0.1  # seconds between two looks at the processes
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0  # seconds before a worker that died is started again


def _start(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, cwd=config.HOME, env=dict(environment))  # noqa: S603


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None and process.poll() is None:
        process.terminate()


def _application() -> Flask:
    try:
        return create_app(config.load())
    except ConfigError as error:
        print(f"smtpweb: {error}", file=sys.stderr)
        sys.exit(2)


def gunicorn() -> list[str]:
    """The command that serves this installation."""
    return [sys.executable, "-m", "gunicorn", "--config", str(config.ROOT / "gunicorn.conf.py")]


def worker_command() -> list[str]:
    """The command of a worker that ends with the process that starts it."""
    return [sys.executable, "-m", "smtpweb", "worker", "--with-parent"]


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
