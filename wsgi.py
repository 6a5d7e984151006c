"""What gunicorn and the flask command serve: ``app``."""

import gc
import sys

# What modules create while they load stays: collecting garbage took an eighth of the time.
gc.disable()

from smtpweb import config  # noqa: E402
from smtpweb.app import create_app  # noqa: E402
from smtpweb.errors import ConfigError  # noqa: E402

try:
    app = create_app(config.load())
except ConfigError as error:
    print(f"smtpweb: {error}", file=sys.stderr)
    sys.exit(2)  # not 1, by which `smtps check` says that a check failed

gc.freeze()
gc.enable()
