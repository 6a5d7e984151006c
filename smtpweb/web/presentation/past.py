"""The words of pages for history: reasons of changes, differences, kinds of checks."""

from __future__ import annotations

from flask_babel import lazy_gettext

from ...registry.status import Reason

# Why a state changed: values of ``registry.status.Reason``.
REASONS = {
    Reason.CHECK_ACCEPTED: lazy_gettext("a check was accepted"),
    Reason.CHECK_FAILED: lazy_gettext("a check failed"),
    Reason.FAILED_TEMPORARILY: lazy_gettext("a check failed temporarily"),
    Reason.CANNOT_BE_CHECKED: lazy_gettext("it cannot be checked"),
    Reason.EDITED: lazy_gettext("it was changed"),
    Reason.TURNED_OFF: lazy_gettext("it was turned off"),
    Reason.ENABLED: lazy_gettext("it was enabled"),
    Reason.TIME_OVER: lazy_gettext("its pause ended"),
}
# What can differ from the last accepted check: values of ``checking.facts.KINDS``.
CHANGES = {
    "certificate": lazy_gettext("Certificate"),
    "capabilities": lazy_gettext("Capabilities"),
    "mechanisms": lazy_gettext("Authentication mechanisms"),
    "greeting": lazy_gettext("Greeting"),
    "address": lazy_gettext("Address"),
}
KINDS = {
    "hand": lazy_gettext("by hand"),
    "bulk": lazy_gettext("bulk"),
    "scheduled": lazy_gettext("scheduled"),
}


def reason(code: str) -> str:
    """Return why a state changed; the code itself if a later version wrote it."""
    known = {reason.value: words for reason, words in REASONS.items()}
    return str(known.get(code, code))
