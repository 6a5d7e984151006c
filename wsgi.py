"""What gunicorn and the flask command serve: ``app``."""

import sys

from smtpweb import config
from smtpweb.app import create_app
from smtpweb.errors import ConfigError

try:
    app = create_app(config.load())
except ConfigError as error:
    print(f"smtpweb: {error}", file=sys.stderr)
    sys.exit(2)  # not 1, by which `smtps check` says that a check failed
