"""How pages say things: the state of an SMTP and of a check, the stages, times and durations."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from flask_babel import format_decimal, format_percent, lazy_gettext, ngettext
from flask_babel import gettext as _

from ...checking.service import is_under_way
from ...database.models import App, Check, Smtp
from ...database.session import AnyRow, now
from ...mailcheck import Encryption, Outcome, Reply, Report, Stage, Step
from ...registry import states
from ...registry.overview import Summary
from ...registry.states import AppState, SmtpState


class State(NamedTuple):
    """A state in words; ``tone`` is Bootstrap's word for its colour, ``icon`` one of ours."""

    words: str
    tone: str
    icon: str


ENCRYPTION = {
    Encryption.IMPLICIT: lazy_gettext("TLS from the start"),
    Encryption.STARTTLS: "STARTTLS",
    Encryption.NONE: lazy_gettext("unencrypted"),
}

# Each stage as its command or protocol, and as what happens there.
STAGES = {
    Stage.POLICY: (lazy_gettext("Policy"), lazy_gettext("May this host and port be reached?")),
    Stage.RESOLVE: ("DNS", lazy_gettext("Look up the addresses of the host")),
    Stage.CONNECT: ("TCP", lazy_gettext("Connect to the port")),
    Stage.TLS: ("TLS", lazy_gettext("Encrypt, and verify the certificate")),
    Stage.GREETING: (lazy_gettext("Greeting"), lazy_gettext("The server says who it is")),
    Stage.EHLO: ("EHLO", lazy_gettext("The server says what it can do")),
    Stage.STARTTLS: ("STARTTLS", lazy_gettext("Ask the server to change over to TLS")),
    Stage.AUTH: ("AUTH", lazy_gettext("Sign in with user name and password")),
    Stage.MAIL: ("MAIL FROM", lazy_gettext("The server accepts the sender")),
    Stage.RCPT: ("RCPT TO", lazy_gettext("The server accepts the recipient")),
    Stage.DATA: ("DATA", lazy_gettext("Hand over the message")),
    Stage.ACCEPTED: (
        lazy_gettext("Accepted"),
        lazy_gettext("The server has taken charge of the message"),
    ),
}

OUTCOMES = {
    Outcome.DONE: State(lazy_gettext("done"), "success", "done"),
    Outcome.FAILED: State(lazy_gettext("failed"), "danger", "failed"),
    Outcome.SKIPPED: State(lazy_gettext("not used"), "secondary", "skipped"),
    Outcome.NOT_REACHED: State(lazy_gettext("not reached"), "secondary", "waiting"),
    Outcome.UNDER_WAY: State(lazy_gettext("under way"), "info", "clock"),
}

# Names of the states; what a state is stands in the registry.
SMTP_STATES = {
    SmtpState.ACTIVE: State(lazy_gettext("Active"), "success", "done"),
    SmtpState.DEGRADED: State(lazy_gettext("Active, degraded"), "warning", "alert"),
    SmtpState.OFF: State(lazy_gettext("Off"), "secondary", "skipped"),
    SmtpState.DISABLED: State(lazy_gettext("Disabled: last check failed"), "danger", "failed"),
    SmtpState.UNCHECKED: State(lazy_gettext("Not checked yet"), "secondary", "waiting"),
    SmtpState.UNCHECKABLE: State(lazy_gettext("Cannot be checked"), "warning", "alert"),
}
# What a list of SMTP servers can be filtered by: (value in the address, its words)
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
        lazy_gettext("No active SMTP server: mails of this app will not be sent"),
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


# The pages of a provider, by the names of providers.toml
LINKS = {
    "app_password": lazy_gettext("App passwords and keys"),
    "settings": lazy_gettext("SMTP settings"),
    "sender": lazy_gettext("Verify a sender"),
    "status": lazy_gettext("State of the service"),
    "unblock": lazy_gettext("Have a block lifted"),
    "quota": lazy_gettext("Sending limits"),
}


class Rung(NamedTuple):
    """One stage of a check on its ladder: its name, what happens there, and how it went."""

    stage: Stage
    name: str
    what: str
    outcome: State
    milliseconds: float | None


def smtp_state(smtp: Smtp) -> State:
    """The state of an SMTP server; while a check runs, that."""
    if smtp.checking_until and smtp.checking_until > now():
        return State(_("Checking now"), "info", "clock")
    return SMTP_STATES[states.smtp_state(smtp)]


def has_problem(smtp: Smtp) -> bool:
    """Whether somebody should do something about an SMTP server."""
    return states.smtp_state(smtp) in states.SMTP_PROBLEMS


def since_last_check(smtp: Smtp, last: Check | AnyRow | None) -> str:
    """Why the last check says nothing about an SMTP server as it is now; empty where it does."""
    if last is None or is_under_way(last):
        return ""
    if last.smtp_version < smtp.settings_version:
        return str(_("changed since its last check"))
    return str(_("last check interrupted")) if last.finished is None else ""


def app_state(app: App, summary: Summary | None) -> State:
    """The state of an app; ``summary`` is None where it has no SMTP server."""
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
            return str(_("Using a backup, which cannot be checked"))
        return str(_("Using a backup, which was not checked yet"))
    if summary.active == summary.total:
        return str(ngettext("It works", "All %(num)d work", summary.total))
    if summary.active:
        return str(ngettext("%(num)d of %(total)d works", "%(num)d of %(total)d work", **counts))
    if state is AppState.PARTLY:  # none works, and not all of the others have a problem
        problems = summary.disabled + summary.uncheckable
        return str(
            ngettext(
                "%(num)d of %(total)d has a problem, the others were not checked yet",
                "%(num)d of %(total)d have a problem, the others were not checked yet",
                problems,
                total=summary.total,
            )
        )
    return str(APP_STATES[state].words)


def check_state(check: Check) -> State:
    """The state of a check."""
    if check.queued is not None:
        return State(_("Queued"), "secondary", "waiting")
    if check.finished is None:
        if is_under_way(check):
            return State(_("Under way"), "info", "clock")
        return State(_("Interrupted"), "warning", "alert")
    if check.arrived and check.accepted:
        return State(_("Arrival confirmed after %(time)s", time=travel(check)), "success", "done")
    if check.accepted:
        return State(_("Accepted"), "success", "done")
    if check.stage == Stage.POLICY:
        return State(_("Not tried"), "warning", "alert")
    return State(_("Failed"), "danger", "failed")


def stage(name: str) -> str:
    """The short name of a stage."""
    return str(STAGES[Stage(name)][0])


def is_used(app: App, summary: Summary | None, smtp: Smtp) -> bool:
    """Whether the app's mails go through this SMTP of it now."""
    if app.strategy == "RANDOM":
        return smtp.enabled
    return bool(summary and summary.in_use and summary.in_use[0] == smtp.id)


def rungs(steps: Iterable[Step]) -> list[Rung]:
    """The stages of a check as a ladder, also while it is under way."""
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
    ]


def now_doing(steps: Iterable[Step]) -> str:
    """What a check that runs is doing, in one sentence."""
    for step in steps:
        name, what = STAGES[step.stage]
        if step.outcome is Outcome.UNDER_WAY:
            return f"{name}: {what}"
        if step.outcome is Outcome.FAILED:
            return str(_("%(stage)s failed. Finding out what would work.", stage=name))
    return str(_("The check begins."))


def travel(check: Check) -> str:
    """How long the test mail was under way until its reader said that it is there."""
    since = check.finished or check.started
    seconds = max(0.0, (check.arrived - since).total_seconds()) if check.arrived else 0.0
    return f"{seconds:.0f} s" if seconds < 60 else span(seconds)


def quoted(reply: Reply) -> str:
    """A server's reply in one line: code, enhanced code, words."""
    return " ".join(filter(None, (str(reply.code), reply.enhanced, reply.text)))


def user_name(smtp: Smtp) -> str:
    """The user name as a page may show it."""
    return str(_("(hidden)")) if smtp.hides_username else smtp.username or ""


def tls_facts(report: Report) -> list[tuple[str, str]]:
    """What is known of the TLS session and the certificate, each with its name."""
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
    )
    return [(name, value) for name, value in facts if value]


def relative(moment: datetime) -> str:
    """A time as people say it: "3 minutes ago", "in 90 days"."""
    seconds = (moment - now()).total_seconds()
    if abs(seconds) < 1:
        return str(_("just now"))
    lapse = span(abs(seconds))
    return str(_("in %(time)s", time=lapse) if seconds > 0 else _("%(time)s ago", time=lapse))


def span(seconds: float) -> str:
    """A number of seconds, 1 or more, in the largest unit that fits: "3 minutes"."""
    if seconds >= 86400:
        return str(ngettext("%(num)s day", "%(num)s days", round(seconds / 86400)))
    if seconds >= 3600:
        return str(ngettext("%(num)s hour", "%(num)s hours", round(seconds / 3600)))
    if seconds >= 60:
        return str(ngettext("%(num)s minute", "%(num)s minutes", round(seconds / 60)))
    return str(ngettext("%(num)s second", "%(num)s seconds", round(seconds)))


def days_left(until: str) -> int | None:
    """Whole days until a time in ISO 8601, negative once it is over; None where it is no time."""
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - now()).days


def heartbeat_state(alive: bool) -> State:
    """Whether a worker is there."""
    if alive:
        return State(_("alive"), "success", "done")
    return State(_("not seen"), "danger", "failed")


def certificate_state(days: int) -> State:
    """The state of a certificate with so many days left."""
    if days < 0:
        return State(_("Expired"), "danger", "failed")
    words = ngettext("%(num)s day left", "%(num)s days left", days)
    return State(words, "success", "done") if days >= 14 else State(words, "warning", "alert")


_NOT_HTML = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def printable(text: str) -> str:
    """What was sent to us, with a mark in place of what HTML cannot hold."""
    return _NOT_HTML.sub("\ufffd", str(text))  # a message may be lazy


def is_past(moment: datetime) -> bool:
    """Whether this moment is over."""
    return moment <= now()


def seconds_since(moment: datetime) -> int:
    """Whole seconds from then to now; never negative."""
    return max(0, int((now() - moment).total_seconds()))


def state_words(state: str) -> State:
    """A state by its value in the history."""
    return SMTP_STATES[SmtpState(state)]


def days_until(moment: datetime) -> int:
    """Whole days until a time, negative once it is over."""
    return (moment - now()).days


def share(part: float) -> str:
    """A share from 0 to 1 in percent; only what is whole is shown as 100 %."""
    return str(format_percent(math.floor(part * 10_000) / 10_000, "0.##%"))


def exact(moment: datetime) -> str:
    """A time in full."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def duration(milliseconds: float) -> str:
    """A duration in a unit that fits."""
    if milliseconds >= 1000:
        return f"{format_decimal(milliseconds / 1000, '0.0')} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 1 else str(_("under 1 ms"))


def took(started: datetime, finished: datetime) -> str:
    """How long a check lasted."""
    return duration(max(0.0, (finished - started).total_seconds() * 1000))


def percent(part: int, whole: int) -> str:
    """A share, rounded down: not everything is never called 100 %."""
    return str(format_percent(math.floor(100 * part / whole) / 100))
