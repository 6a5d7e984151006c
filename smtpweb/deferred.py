"""What is imported on first use, because most commands and the first requests do without it.

A module that stands here is imported inside the functions that need it, or by a package on first
access to one of its names. The master process of gunicorn calls :func:`load` before it forks: its
workers share these modules, no request waits for an import, and an incomplete installation fails
at the start and not hours later.
"""

from importlib import import_module

# What requests and checks need sooner or later
BY_SERVERS = (
    "dns.resolver",
    "dns.reversename",
    "email_validator",
    "httpcore",
    "smtpweb.mailcheck.drivers.aio",
    "smtpweb.mailcheck.drivers.probe",
    "smtpweb.mailcheck.drivers.sync",
    "smtpweb.monitoring.alarms.weekly",
    "smtpweb.providers.discovery",
    "smtpweb.vetted_http.transport",
    "smtpweb.web.presentation.exposition",
)
# What is used so rarely, or by so few processes, that each loads it by itself
BY_OTHERS = (
    "alembic.script",
    "apprise",
    "authlib.oauth2.rfc7523.assertion",
    "flask_migrate",
    "joserfc.jwk",
    "redis",
    "smtpweb.mailcheck.explain.explanation",
    "smtpweb.monitoring.engine",
    "zxcvbn",
)


def load() -> None:
    """Import what a server needs."""
    for name in BY_SERVERS:
        import_module(name)
