"""Where a stored password is sent, and whether it must be re-entered: one rule for all callers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from sqlalchemy import select

from ..database.models import Check, Smtp, encryption_of
from ..database.session import db
from ..mailcheck import Encryption, Mode, Report
from ..mailcheck.core.addresses import parse_host
from . import fields

_BOUND = tuple(field.name for field in fields.SMTP.values() if field.binds_password)
_TRUST = frozenset({"cacertificates", "certificatepin"})
_BOUND_ELSEWHERE = frozenset(_BOUND) - {"port", "starttls", "ssltls"}


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
    return bool(_changed(smtp, changes))


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


def is_proven(smtp: Smtp, changes: Mapping[str, Any]) -> bool:
    """Check whether the last check has seen the same server where these changes lead.

    Then its user may decide to keep the password: only the port and the kind of TLS change, and
    that check found the same host there, with a valid certificate; or only the key to trust
    changes, to the one that the check saw.
    """
    if trusts_seen_key(smtp, changes):
        return True
    if _changed(smtp, changes) & _BOUND_ELSEWHERE:
        return False
    starttls, ssltls = (bool(changes.get(n, getattr(smtp, n))) for n in ("starttls", "ssltls"))
    mode = Mode(changes.get("port", smtp.port), encryption_of(starttls, ssltls))
    report = _newest_report(smtp)
    return (
        report is not None
        and mode.encryption is not Encryption.NONE
        and report.host == smtp.host
        and mode in report.alternatives
    )


def trusts_seen_key(smtp: Smtp, changes: Mapping[str, Any]) -> bool:
    """Check whether these changes only trust the key that the server showed the last check."""
    pin, changed = changes.get("certificatepin"), _changed(smtp, changes)
    if not pin or not changed or not changed <= _TRUST or changes.get("cacertificates"):
        return False
    report = _newest_report(smtp)
    return (
        report is not None
        and (report.host, report.port) == (smtp.host, smtp.port)
        and report.tls is not None
        and report.tls.pin == pin
    )


def _newest_report(smtp: Smtp) -> Report | None:
    newest = db.session.scalar(
        select(Check)
        .where(Check.smtp_id == smtp.id, Check.finished.is_not(None))
        .order_by(Check.started.desc(), Check.id)
        .limit(1)
    )
    return newest.report if newest else None


def _changed(smtp: Smtp, changes: Mapping[str, Any]) -> set[str]:
    """Return which of the fields that bind a password these changes change."""
    return {
        name
        for name in _BOUND
        if name in changes and _same(name, changes[name]) != _same(name, getattr(smtp, name))
    }


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
