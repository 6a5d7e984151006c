"""What DNS says, in words."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext

from ...providers.dns_records import lookup
from ...providers.dns_records.lookup import Finding
from ..http.i18n import say
from .labels import State

SUBJECTS = {
    "mx": lazy_gettext("Incoming email (MX)"),
    "spf": "SPF",
    "dkim": "DKIM",
    "dmarc": "DMARC",
    "ehlo": lazy_gettext("EHLO name"),
    "reverse": lazy_gettext("Reverse DNS"),
    "blocklist": lazy_gettext("Block list"),
}


def text(finding: Finding) -> str:
    """Return what a finding says."""
    return say(finding.text)


def state(finding: Finding) -> State:
    """Return the state of a finding."""
    return {
        lookup.State.GOOD: State(_("in order"), "success", "done"),
        lookup.State.NOTE: State(_("note"), "secondary", "alert"),
        lookup.State.BAD: State(_("problem"), "danger", "failed"),
        lookup.State.UNKNOWN: State(_("unknown"), "secondary", "skipped"),
    }[finding.state]
