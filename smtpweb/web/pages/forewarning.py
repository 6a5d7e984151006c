"""Warnings of likely failures at the fields of a form, before anything is saved or sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wtforms import Field

from ... import validators
from ...extensions import services
from ...mailcheck import Encryption
from ...providers import preflight, presets
from ...providers.dns_records import warnings as dns_warnings
from ...providers.settings import Settings
from ..http.i18n import say
from .forms import Form
from .noted_fields import notes_of

if TYPE_CHECKING:
    from dns.resolver import Resolver

JUDGED = ("host", "encryption", "port", "username", "password", "defaultfromemail")


def reserve(form: Form) -> None:
    """Give the fields of a form a place for warnings and hints, which a script may fill in."""
    for field in _judged(form):
        notes_of(field).warnings = []
    for name in ("username", "password"):
        if name in form:
            notes = notes_of(form[name])
            notes.hint = notes.hint or ""


def warn(form: Form, settings: Settings, resolver: Resolver | None = None) -> None:
    """Add warnings about likely failures of these settings to the fields of the form.

    ``resolver``: also add warnings from looking up the host in DNS.
    """
    looked_up = dns_warnings.look_up(settings, resolver) if resolver else ()
    for warning in (*looked_up, *preflight.warnings(settings)):
        if warning.field in form:
            notes = notes_of(form[warning.field])
            notes.warnings = [*(notes.warnings or ()), say(warning.text)]


def hint(form: Form, host: str) -> None:
    """Say what the provider of this host requires as user name and password."""
    known = presets.of_host(host)
    if known:
        notes_of(form["username"]).hint = f"{known.name}: {say(known.user)}"
        notes_of(form["password"]).hint = f"{known.name}: {say(known.password)}"


def findings(form: Form) -> dict[str, Any]:
    """Return warnings and hints for the page's script, by HTML field name."""
    notes = {field.name: notes_of(field) for field in _judged(form)}
    return {
        "warnings": {name: note.warnings for name, note in notes.items()},
        "hints": {name: note.hint for name, note in notes.items() if note.hint is not None},
    }


def resolver() -> Resolver | None:
    """Return what looks up hosts while somebody types; None: this machine has no DNS."""
    import dns.resolver  # loaded on first use, see smtpweb/deferred.py

    try:
        return services().resolver or dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return None


def port_of(text: str | None) -> int | None:
    """Return a port as typed, None if it cannot be parsed."""
    try:
        return validators.port(text or "")
    except ValueError:
        return None


def encryption_of(text: str | None) -> Encryption:
    """Return an encryption as sent, STARTTLS if there is no such one."""
    try:
        return Encryption(text or "")
    except ValueError:
        return Encryption.STARTTLS


def _judged(form: Form) -> Iterator[Field]:
    return (form[name] for name in JUDGED if name in form)
