"""Where a stored password goes, and whether it must be entered again: one rule for all callers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from ..database.models import Smtp
from ..mailcheck.core.addresses import parse_host
from . import fields

_BOUND = tuple(field.name for field in fields.SMTP.values() if field.binds_password)


class Fate(Enum):
    """What an edit makes of the password of an SMTP server."""

    GIVEN = auto()  # a new one, or none, was sent
    KEPT = auto()
    FORGOTTEN = auto()  # nothing could say later what it was entered for
    LACKING = auto()  # authentication needs one, and there is none
    NEEDED_AGAIN = auto()  # it is only sent to where it was entered for


def moves(smtp: Smtp, changes: Mapping[str, Any]) -> bool:
    """Whether a password of this SMTP server would be sent to another server or in another way.

    ``changes`` are those of an edit; what they leave out stays. starttls and auth count too:
    without them it would be sent in plain text, or for another use.
    """
    return any(
        _same(name, changes[name]) != _same(name, getattr(smtp, name))
        for name in _BOUND
        if name in changes
    )


def fate_of_password(smtp: Smtp, changes: Mapping[str, Any]) -> Fate:
    """What becomes of the password where this SMTP server, as it is stored, is changed so."""
    auth = changes.get("auth", smtp.auth)
    if "password" in changes:
        return Fate.LACKING if auth and not changes["password"] else Fate.GIVEN
    if not smtp.password_sealed:
        return Fate.LACKING if auth else Fate.KEPT
    if not moves(smtp, changes):
        return Fate.KEPT
    return Fate.NEEDED_AGAIN if auth else Fate.FORGOTTEN


def _same(name: str, value: Any) -> Any:
    """A value as it is compared.

    Hosts of before version 0.2 may be stored in another spelling than the one that is looked up.
    """
    if name == "host" and value:
        try:
            return parse_host(value).name
        except ValueError:
            return value
    return value or None
