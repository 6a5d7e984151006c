"""What an SMTP server is called: its own name, else its provider and user name, else its address.

The same name leads on every page, in messages and in the output of commands.
"""

from __future__ import annotations

from ..database.models import Smtp, hides_username
from ..database.rows import SmtpNamed
from ..providers import presets

# What a row needs to have a name
COLUMNS = (Smtp.name, Smtp.host, Smtp.port, Smtp.auth, Smtp.username, Smtp.username_is_secret)


def shown(smtp: SmtpNamed) -> str:
    """Return the name of an SMTP server or row; never a user name that is secret."""
    if smtp.name:
        return smtp.name
    provider = presets.of_host(smtp.host)
    if provider is None:
        return address(smtp)
    if smtp.auth and smtp.username and not hides_username(smtp):
        return f"{provider.name} · {smtp.username}"
    return provider.name


def label(smtp: SmtpNamed) -> str:
    """Return the name for whoever is not its user: without the user name."""
    provider = presets.of_host(smtp.host)
    return smtp.name or (provider.name if provider else address(smtp))


def address(smtp: SmtpNamed) -> str:
    """Return the address of an SMTP server or row: "host:port"."""
    return f"{smtp.host}:{smtp.port}"


def with_address(smtp: SmtpNamed) -> str:
    """Return the name with the address behind it, unless they are the same."""
    name, where = shown(smtp), address(smtp)
    return name if name == where else f"{name} ({where})"
