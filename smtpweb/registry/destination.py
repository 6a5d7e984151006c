"""Where a stored password is sent, and whether it must be re-entered: one rule for all callers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from ..database.models import Smtp
from ..mailcheck.core.addresses import parse_host
from . import fields

_BOUND = tuple(field.name for field in fields.SMTP.values() if field.binds_password)


class Fate(Enum):
    """What an edit does to the password of an SMTP server."""

    GIVEN = auto()  # a new password, or an empty one, was submitted
    KEPT = auto()
    FORGOTTEN = auto()  # its original destination would no longer be known
    LACKING = auto()  # authentication requires one, and there is none
    NEEDED_AGAIN = auto()  # it is only sent to the destination it was entered for


def moves(smtp: Smtp, changes: Mapping[str, Any]) -> bool:
    """Check whether a password would be sent to another server or in another way.

    ``changes`` are those of an edit; fields left out keep their values. starttls and auth count
    too: without them the password would be sent in plain text, or for another purpose.
    """
    return any(
        _same(name, changes[name]) != _same(name, getattr(smtp, name))
        for name in _BOUND
        if name in changes
    )


def fate_of_password(smtp: Smtp, changes: Mapping[str, Any]) -> Fate:
    """Return what happens to the stored password when these changes are applied."""
    auth = changes.get("auth", smtp.auth)
    if "password" in changes:
        return Fate.LACKING if auth and not changes["password"] else Fate.GIVEN
    if not smtp.password_sealed:
        return Fate.LACKING if auth else Fate.KEPT
    if not moves(smtp, changes):
        return Fate.KEPT
    return Fate.NEEDED_AGAIN if auth else Fate.FORGOTTEN


def _same(name: str, value: Any) -> Any:
    """Return a value in the form used for comparison.

    Hosts stored before version 0.2 may be spelled differently from the name that is looked up.
    """
    if name == "host" and value:
        try:
            return parse_host(value).name
        except ValueError:
            return value
    return value or None
