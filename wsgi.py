"""What gunicorn and the flask command serve: ``app``."""

import sys

from smtpweb import config
from smtpweb.app import create_app
from smtpweb.errors import ConfigError

try:
    app = create_app(config.load())
except ConfigError as error:
    sys.exit(f"smtpweb: {error}")
