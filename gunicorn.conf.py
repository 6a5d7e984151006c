"""How gunicorn serves smtpweb. Its command line overrides what stands here."""

import os
import signal
import sys

from sqlalchemy.exc import SQLAlchemyError

from smtpweb import installation, logs
from smtpweb.checking import runner
from smtpweb.config import load
from smtpweb.database.session import cause, db
from smtpweb.errors import ConfigError

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
# More threads make reads no faster: they are there to wait for SMTP servers. Beyond the checks
# and the pages that follow one there are always some left, so that neither starves readers.
threads = max(24, _settings.check_slots + _settings.stream_slots + 8)
# Settings are read, and a wrong one stops the start, before any worker exists.
preload_app = True

# API clients reuse a connection after seconds of silence, and fail if it is gone by then.
keepalive = 75
# A worker that is told to stop may finish the checks under way.
graceful_timeout = _settings.check_timeout + 10
timeout = max(60, _settings.check_timeout + 10)
# Whatever may leak is given back now and then, never in both workers at once.
max_requests = 200_000
max_requests_jitter = 50_000
# The heartbeat files: on a disk they can stall a worker for as long as the disk does.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108

limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
# Only SMTPWEB_TRUSTED_PROXIES decides whose X-Forwarded-* headers count.
forwarded_allow_ips = ""
secure_scheme_headers = {}
forwarder_headers = ""
control_socket_disable = True

# No access log: a proxy in front has one, and paths and queries hold ids and tokens.
accesslog = None
logconfig_dict = logs.configuration(production=_settings.production)


def on_starting(server):
    """See that this installation is fit to serve: in the master, before there is any worker."""
    app = server.app.wsgi()
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


def when_ready(server):
    """Tell where we are, and how the first account is made."""
    url = _settings.base_url or str(server.LISTENERS[0])
    print(f"smtpweb is ready at {url}", flush=True)
    if server.needs_first_account:
        print(
            f"There is no account yet: open {url}/setup and enter the code {server.set_up_code}",
            flush=True,
        )


def post_worker_init(_worker):
    """Leave Ctrl-C, which reaches all processes of a terminal, to the master.

    It tells the workers by SIGQUIT. A worker that hears both at the same moment can lock up.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def worker_exit(_server, _worker):
    """Wait for the checks that were begun from pages: no request of theirs is waited for."""
    runner.wait_for_all()


def worker_int(_worker):
    """End at once when told so by SIGQUIT: threads that wait for SMTP servers are not waited for.

    What they were writing is rolled back, and their checks stay without an outcome.
    """
    os._exit(0)
