"""Configuration of gunicorn, which serves smtpweb; command-line options override it."""

import gc
import os
import signal
import sys

from sqlalchemy.exc import SQLAlchemyError

from smtpweb import deferred, installation, logs
from smtpweb.checking import runner
from smtpweb.config import load
from smtpweb.database.session import cause, db
from smtpweb.errors import ConfigError
from smtpweb.mailcheck.diagnosis import matcher

try:
    _settings = load()
except ConfigError as error:
    print(f"smtpweb: {error}", file=sys.stderr)
    sys.exit(2)

wsgi_app = "wsgi:app"
pythonpath = os.path.dirname(os.path.abspath(__file__))
bind = [f"127.0.0.1:{os.environ.get('PORT') or 8000}"]

worker_class = "gthread"
workers = 2
# Threads do not make reads faster; most of them wait for SMTP servers. There are more than checks
# and event streams can occupy, so that neither starves other requests.
threads = max(24, _settings.check_slots + _settings.stream_slots + 8)
# Read the settings, and exit for a wrong one, before there is any worker.
preload_app = True

# API clients reuse connections that were idle for seconds, and fail if they have been closed.
keepalive = 75
# A stopping worker may finish its running checks.
graceful_timeout = _settings.check_timeout + 10
timeout = max(60, _settings.check_timeout + 10)
# Workers restart now and then, not both at once, to free whatever may have leaked.
max_requests = 200_000
max_requests_jitter = 50_000
# For heartbeat files: a slow disk would block the worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
# Only SMTPWEB_TRUSTED_PROXIES decides which X-Forwarded-* headers are trusted.
forwarded_allow_ips = ""
secure_scheme_headers = {}
forwarder_headers = ""
control_socket_disable = True

# No access log: the reverse proxy has one, and paths and queries contain ids and tokens.
accesslog = None
logconfig_dict = logs.configuration(production=_settings.production)


def on_starting(server):
    """Check in the master process that this installation can serve."""
    app = server.app.wsgi()
    deferred.load()  # here, so that workers share it
    matcher.prepare()
    with app.app_context():
        try:
            installation.make_ready()
            server.needs_first_account = installation.needs_first_account()
            server.set_up_code = installation.set_up_code()
        except ConfigError as error:
            print(f"smtpweb: {error}", file=sys.stderr)
            sys.exit(2)
        except SQLAlchemyError as error:
            print(f"smtpweb: The database cannot be used: {cause(error)}", file=sys.stderr)
            sys.exit(1)
        finally:
            db.session.remove()
            db.engine.dispose()  # no connection may be shared by two processes
    gc.freeze()  # a collection in a worker would copy the pages that all of them share


def when_ready(server):
    """Print the URL, and how to create the first account."""
    url = _settings.base_url or str(server.LISTENERS[0])
    print(f"smtpweb is ready at {url}", flush=True)
    if server.needs_first_account:
        print(
            f"There is no account yet: open {url}/setup and enter the code {server.set_up_code}",
            flush=True,
        )


def post_worker_init(_worker):
    """Let threads alternate quickly, and leave Ctrl-C of a terminal to the master process.

    It sends SIGQUIT to the workers. A worker that gets both at the same moment can lock up.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The one thread that writes to SQLite needs the interpreter again after each statement; ten
    # times as often as by default it need not wait longer for another thread than for the disk.
    sys.setswitchinterval(0.0005)


def worker_exit(_server, _worker):
    """Wait for the checks that were started from pages, which run without a request."""
    runner.wait_for_all()


def worker_int(_worker):
    """Exit immediately on SIGQUIT, without waiting for threads that wait for SMTP servers.

    What they were writing is rolled back, and their checks stay without an outcome.
    """
    os._exit(0)
