"""Labels for pages: states of SMTP servers, apps and checks, stages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from flask_babel import (
    format_percent,
    lazy_gettext,
    ngettext,
    pgettext,
)
from flask_babel import gettext as _

from ...checking import verdict
from ...checking.service import is_under_way
from ...database.models import App, Check, Smtp
from ...database.session import AnyRow, now
from ...mailcheck import Encryption, Outcome, Reply, Report, Stage, Step
from ...mailcheck.core.modes import ENCRYPTION_NAMES, Mode
from ...registry import expiry, states
from ...registry.overview import Summary
from ...registry.states import AppState, SmtpState
from ..http.i18n import say
from . import times


class State(NamedTuple):
    """The label of a state; ``tone`` is Bootstrap's name of its colour, ``icon`` one of ours."""

    words: str
    tone: str
    icon: str


ENCRYPTION = {
    Encryption.IMPLICIT: lazy_gettext("Implicit TLS"),
    Encryption.STARTTLS: "STARTTLS",
    Encryption.NONE: lazy_gettext("unencrypted"),
}

# For each stage: its command or protocol, and what happens in it.
STAGES = {
    Stage.TOKEN: (
        lazy_gettext("Access token"),
        lazy_gettext("Ask the authorization server for an access token (OAuth 2.0)"),
    ),
    Stage.POLICY: (
        lazy_gettext("Policy"),
        lazy_gettext("Is smtpweb allowed to connect to this host and port?"),
    ),
    Stage.RESOLVE: ("DNS", lazy_gettext("Look up the host's addresses")),
    Stage.CONNECT: ("TCP", lazy_gettext("Connect to the port")),
    Stage.TLS: ("TLS", lazy_gettext("Encrypt, and verify the certificate")),
    Stage.GREETING: (lazy_gettext("Greeting"), lazy_gettext("The server introduces itself")),
    Stage.EHLO: ("EHLO", lazy_gettext("The server lists its capabilities")),
    Stage.STARTTLS: ("STARTTLS", lazy_gettext("Switch the connection to TLS")),
    Stage.AUTH: ("AUTH", lazy_gettext("Sign in to the server")),
    Stage.MAIL: ("MAIL FROM", lazy_gettext("The server accepts the sender")),
    Stage.RCPT: ("RCPT TO", lazy_gettext("The server accepts the recipient")),
    Stage.DATA: ("DATA", lazy_gettext("Hand over the message")),
    Stage.ACCEPTED: (
        lazy_gettext("Accepted"),
        lazy_gettext("The server is now responsible for delivering the message"),
    ),
}

OUTCOMES = {
    Outcome.DONE: State(lazy_gettext("done"), "success", "done"),
    Outcome.FAILED: State(lazy_gettext("failed"), "danger", "failed"),
    Outcome.SKIPPED: State(lazy_gettext("not used"), "secondary", "skipped"),
    Outcome.NOT_REACHED: State(lazy_gettext("not reached"), "secondary", "waiting"),
    Outcome.UNDER_WAY: State(lazy_gettext("running"), "info", "clock"),
}

# Labels of the states, which the registry defines.
SMTP_STATES = {
    SmtpState.ACTIVE: State(lazy_gettext("Active"), "success", "done"),
    SmtpState.DEGRADED: State(lazy_gettext("Active, degraded"), "warning", "alert"),
    SmtpState.OFF: State(lazy_gettext("Off"), "secondary", "skipped"),
    SmtpState.DISABLED: State(lazy_gettext("Disabled: last check failed"), "danger", "failed"),
    SmtpState.UNCHECKED: State(lazy_gettext("Not checked yet"), "secondary", "waiting"),
    SmtpState.UNCHECKABLE: State(lazy_gettext("Cannot be checked"), "warning", "alert"),
}
# Where the last check stands beside the state
_SHORT_STATES = SMTP_STATES | {
    SmtpState.DISABLED: State(lazy_gettext("Disabled"), "danger", "failed"),
    SmtpState.DEGRADED: State(lazy_gettext("Degraded"), "warning", "alert"),
}
# Filters of a list of SMTP servers: (value in the URL, label)
SMTP_FILTER = [
    (SmtpState.ACTIVE.value, lazy_gettext("active")),
    (SmtpState.DEGRADED.value, lazy_gettext("active, degraded")),
    (SmtpState.OFF.value, lazy_gettext("off")),
    (SmtpState.DISABLED.value, lazy_gettext("disabled")),
    (SmtpState.UNCHECKABLE.value, lazy_gettext("cannot be checked")),
    (SmtpState.UNCHECKED.value, lazy_gettext("not checked yet")),
]
APP_STATES = {
    AppState.DOWN: State(
        lazy_gettext("No active SMTP server: this app cannot send"),
        "danger",
        "failed",
    ),
    AppState.EMPTY: State(lazy_gettext("No SMTP server yet"), "secondary", "waiting"),
    AppState.UNCHECKABLE: State(lazy_gettext("Cannot be checked"), "warning", "alert"),
    AppState.PARTLY: State(lazy_gettext("Some have a problem"), "warning", "alert"),
    AppState.UNCHECKED: State(lazy_gettext("Not checked yet"), "secondary", "waiting"),
    AppState.WORKING: State(lazy_gettext("It works"), "success", "done"),
}

_NOT_YET = State(lazy_gettext("not yet"), "secondary", "waiting")


# The pages of a provider, by their keys in providers.toml
LINKS = {
    "app_password": lazy_gettext("App passwords and keys"),
    "settings": lazy_gettext("SMTP settings"),
    "sender": lazy_gettext("Verify a sender"),
    "status": lazy_gettext("State of the service"),
    "unblock": lazy_gettext("Have a block lifted"),
    "quota": lazy_gettext("Sending limits"),
}


class Rung(NamedTuple):
    """One stage of a check as displayed: its name, what happens in it, and its outcome."""

    stage: Stage
    name: str
    what: str
    outcome: State
    milliseconds: float | None


def texts() -> Iterator[str]:
    """Yield the texts defined in layers without translation, for translators."""
    yield from ENCRYPTION_NAMES.values()


def smtp_state(smtp: Smtp) -> State:
    """Return the state of an SMTP server, or that a check is running."""
    return _state_of(smtp, SMTP_STATES)


def short_state(smtp: Smtp) -> State:
    """Return the state for a row of a list, which also shows the last check."""
    return _state_of(smtp, _SHORT_STATES)


def _state_of(smtp: Smtp, labels: Mapping[SmtpState, State]) -> State:
    if smtp.checking_until and smtp.checking_until > now():
        return State(_("Checking now"), "info", "clock")
    return labels[states.smtp_state(smtp)]


def has_problem(smtp: Smtp) -> bool:
    """Return whether an SMTP server needs attention."""
    return states.smtp_state(smtp) in states.SMTP_PROBLEMS


def since_last_check(smtp: Smtp, last: Check | AnyRow | None) -> str:
    """Return why the last check does not apply to the current settings; "" if it does."""
    if last is None or is_under_way(last):
        return ""
    if last.smtp_version < smtp.settings_version:
        return str(_("changed since the last check"))
    if last.finished is None:
        return str(_("last check cancelled") if last.cancelled else _("last check interrupted"))
    return ""


def app_state(app: App, summary: Summary | None) -> State:
    """Return the state of an app; ``summary`` is None if it has no SMTP server."""
    state = summary.state if summary else AppState.EMPTY
    _words, tone, icon = APP_STATES[state]
    return State(_app_words(app, summary, state), tone, icon)


def _app_words(app: App, summary: Summary | None, state: AppState) -> str:
    if summary is None or state is AppState.DOWN:
        return str(APP_STATES[state].words)
    counts = {"num": summary.active, "total": summary.total}
    if summary.on_backup and app.strategy == "PRIORITY":
        if summary.active:
            return str(
                ngettext(
                    "%(num)d of %(total)d works, using a backup",
                    "%(num)d of %(total)d work, using a backup",
                    **counts,
                )
            )
        if state is AppState.UNCHECKABLE:
            return str(_("Using a backup that cannot be checked"))
        return str(_("Using a backup that has not been checked yet"))
    if summary.active == summary.total:
        return str(ngettext("It works", "All %(num)d work", summary.total))
    if summary.active:
        return str(ngettext("%(num)d of %(total)d works", "%(num)d of %(total)d work", **counts))
    if state is AppState.PARTLY:  # none works, and not all have a problem
        problems = summary.disabled + summary.uncheckable
        return str(
            ngettext(
                "%(num)d of %(total)d has a problem, the others have not been checked yet",
                "%(num)d of %(total)d have a problem, the others have not been checked yet",
                problems,
                total=summary.total,
            )
        )
    return str(APP_STATES[state].words)


def not_proved(check: Check) -> list[str]:
    """Return what an accepted check left open."""
    return left_open() if check.accepted and check.mode == verdict.PROBE else []


def left_open() -> list[str]:
    """Return what no connection test proves."""
    return [say(one) for one in verdict.NOT_PROVED.values()]


def other_mode(mode: Mode) -> str:
    """Say that another port of the host works."""
    return str(
        _(
            "Use port %(port)s with %(mode)s: there the same host answers with a valid certificate."
            " No credentials and no email were sent there.",
            port=mode.port,
            mode=ENCRYPTION[mode.encryption],
        )
    )


def why_still_disabled(check: Check) -> str:
    """Say why an accepted check left the server disabled; empty if it did not."""
    reason = verdict.why_still_disabled(check)
    return say(reason) if reason else ""


def check_state(check: Check | AnyRow) -> State:
    """Return the state of a check."""
    if check.queued is not None:
        return State(_("Queued"), "secondary", "waiting")
    if check.finished is None:
        if is_under_way(check):
            return State(_("Running"), "info", "clock")
        if check.cancelled:
            return State(_("Cancelled"), "secondary", "skipped")
        return State(_("Interrupted"), "warning", "alert")
    if check.arrived and check.accepted:
        return State(
            _("Delivered: confirmed after %(time)s", time=travel(check)), "success", "done"
        )
    if check.accepted and check.mode == verdict.PROBE:
        return State(_("Connection works"), "success", "done")
    if check.accepted:
        return State(_("Accepted"), "success", "done")
    if check.stage == Stage.POLICY:
        return State(_("Not tried"), "warning", "alert")
    return State(_("Failed"), "danger", "failed")


def stage(name: str) -> str:
    """Return the short name of a stage."""
    return str(STAGES[Stage(name)][0])


def at_stage(name: str) -> str:
    """Return the name of a stage for use in a sentence: "Failed at the greeting"."""
    match Stage(name):
        case Stage.TOKEN:
            return str(pgettext("in a sentence", "Access token"))
        case Stage.POLICY:
            return str(pgettext("in a sentence", "Policy"))
        case Stage.GREETING:
            return str(pgettext("in a sentence", "Greeting"))
    return stage(name)


def is_used(app: App, summary: Summary | None, smtp: Smtp) -> bool:
    """Return whether the app currently sends email through this SMTP server."""
    if app.strategy == "RANDOM":
        return smtp.enabled
    return bool(summary and summary.in_use and summary.in_use[0] == smtp.id)


_HAPPENED = (Outcome.UNDER_WAY, Outcome.DONE, Outcome.FAILED)


def rungs(steps: Iterable[Step], *, tokens: bool = False) -> list[Rung]:
    """Return the stages of a check for display, also while it is running.

    That of the access token is left out where nothing happened in it; ``tokens``: not even there.
    """
    listed = list(steps)
    ended = any(
        step.outcome is Outcome.FAILED
        or (step.stage is Stage.ACCEPTED and step.outcome in (Outcome.DONE, Outcome.SKIPPED))
        for step in listed
    )
    states = OUTCOMES if ended else OUTCOMES | {Outcome.NOT_REACHED: _NOT_YET}
    return [
        Rung(step.stage, *STAGES[step.stage], states[step.outcome], step.milliseconds)
        for step in listed
        if step.stage is not Stage.ACCEPTED
        and (step.stage is not Stage.TOKEN or tokens or step.outcome in _HAPPENED)
    ]


def now_doing(steps: Iterable[Step]) -> str:
    """Return in one sentence what a running check is doing."""
    for step in steps:
        name, what = STAGES[step.stage]
        if step.outcome is Outcome.UNDER_WAY:
            return f"{name}: {what}"
        if step.outcome is Outcome.FAILED:
            return str(_("%(stage)s failed. Looking for settings that work…", stage=name))
    return str(_("Checking…"))


def travel(check: Check | AnyRow) -> str:
    """Return the time from the end of the check to the confirmation of delivery."""
    since = check.finished or check.started
    seconds = max(0.0, (check.arrived - since).total_seconds()) if check.arrived else 0.0
    return f"{seconds:.0f} s" if seconds < 60 else times.span(seconds)


def quoted(reply: Reply) -> str:
    """Return a server's reply in one line: code, enhanced status code, text."""
    return " ".join(filter(None, (str(reply.code), reply.enhanced, reply.text)))


def user_name(smtp: Smtp) -> str:
    """Return the user name as a page may show it."""
    return str(_("(hidden)")) if smtp.hides_username else smtp.username or ""


def tls_facts(report: Report) -> list[tuple[str, str]]:
    """Return the known facts about the TLS session and certificate as (name, value)."""
    tls = report.tls
    if tls is None:
        return []
    until = tls.not_after.replace("T", " ").replace("+00:00", " UTC")
    if tls.days_left is not None and tls.days_left >= 0:
        left = ngettext("%(num)s day left", "%(num)s days left", tls.days_left)
        until = f"{until} ({left})"
    elif tls.days_left is not None:
        until = f"{until} ({_('expired')})"
    facts = (
        (_("Problem"), tls.problem),
        (_("Version"), tls.version),
        (_("Cipher"), tls.cipher),
        (_("Certificate"), tls.subject),
        (_("Names"), ", ".join(tls.names)),
        (_("Issuer"), tls.issuer),
        (_("Valid until"), until if tls.not_after else ""),
        (_("Public key (SHA-256)"), tls.pin),
    )
    return [(name, value) for name, value in facts if value]


def heartbeat_state(alive: bool) -> State:
    """Return whether a worker is alive."""
    if alive:
        return State(_("alive"), "success", "done")
    return State(_("not seen"), "danger", "failed")


# What may expire
EXPIRING = {
    expiry.CERTIFICATE: lazy_gettext("Certificate"),
    expiry.CLIENT_CERTIFICATE: lazy_gettext("Client certificate"),
    expiry.PASSWORD: lazy_gettext("Password"),
    expiry.CLIENT_SECRET: lazy_gettext("Client secret"),
}


def certificate_state(days: int) -> State:
    """Return the state of what expires in this many days, such as a certificate."""
    if days < 0:
        return State(_("Expired"), "danger", "failed")
    words = ngettext("%(num)s day left", "%(num)s days left", days)
    return State(words, "success", "done") if days >= 14 else State(words, "warning", "alert")


_NOT_HTML = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def printable(text: str) -> str:
    """Replace characters that are invalid in HTML with U+FFFD."""
    return _NOT_HTML.sub("\ufffd", str(text))  # a message may be lazy


def printable_lines(text: str) -> str:
    """Replace invalid characters, as :func:`printable` does, in each line of a text."""
    return "\n".join(printable(line) for line in text.splitlines())


def state_words(state: str) -> State:
    """Return the words for a value of :class:`SmtpState`."""
    return SMTP_STATES[SmtpState(state)]


def share(part: float) -> str:
    """Return a share, 0 to 1, in percent, rounded down so that only the whole is 100 %."""
    return str(format_percent(math.floor(part * 10_000) / 10_000, "0.##%"))


def percent(part: int, whole: int) -> str:
    """Return a percentage, rounded down so that only the whole is 100 %."""
    return str(format_percent(math.floor(100 * part / whole) / 100))
