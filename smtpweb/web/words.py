"""How pages say things: the state of an SMTP and of a check, the stages, times and durations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from flask import url_for

from ..mailcheck import Encryption, Outcome, Report, Side, Stage
from ..models import App, Check, Smtp
from ..smtps import Summary
from ..store import now


class State(NamedTuple):
    """A state in words; ``tone`` is Bootstrap's word for its colour, ``icon`` one of ours."""

    words: str
    tone: str
    icon: str


ENCRYPTION = {
    Encryption.IMPLICIT: "TLS from the start",
    Encryption.STARTTLS: "STARTTLS",
    Encryption.NONE: "unencrypted",
}

# Each stage as its command or protocol, and as what happens there.
STAGES = {
    Stage.POLICY: ("Policy", "May this host and port be reached?"),
    Stage.RESOLVE: ("DNS", "Look up the addresses of the host"),
    Stage.CONNECT: ("TCP", "Connect to the port"),
    Stage.TLS: ("TLS", "Encrypt, and verify the certificate"),
    Stage.GREETING: ("Greeting", "The server says who it is"),
    Stage.EHLO: ("EHLO", "The server says what it can do"),
    Stage.STARTTLS: ("STARTTLS", "Ask the server to change over to TLS"),
    Stage.AUTH: ("AUTH", "Sign in with user name and password"),
    Stage.MAIL: ("MAIL FROM", "The server accepts the sender"),
    Stage.RCPT: ("RCPT TO", "The server accepts the recipient"),
    Stage.DATA: ("DATA", "Hand over the message"),
    Stage.ACCEPTED: ("Accepted", "The server has taken charge of the message"),
}

OUTCOMES = {
    Outcome.DONE: State("done", "success", "done"),
    Outcome.FAILED: State("failed", "danger", "failed"),
    Outcome.SKIPPED: State("not used", "secondary", "skipped"),
    Outcome.NOT_REACHED: State("not reached", "secondary", "waiting"),
}


def smtp_state(smtp: Smtp, last: Check | None) -> State:
    """The state of an SMTP whose last check this is."""
    if smtp.checking_until and smtp.checking_until > now():
        return State("Checking now", "info", "clock")
    if not smtp.enabled:
        return State("Disabled by a failed check", "danger", "failed")
    if last is None:
        return State("Active, not checked yet", "secondary", "waiting")
    if last.smtp_version != smtp.version:
        return State("Active, changed since its last check", "secondary", "waiting")
    if last.finished is None:
        return State("Active, last check interrupted", "warning", "alert")
    if not last.accepted:
        return State("Active, could not be checked", "warning", "alert")
    return State("Active", "success", "done")


def app_state(app: App, summary: Summary | None) -> State:
    """The state of an app; None where it has no SMTP."""
    if summary is None:
        return State("No SMTP yet", "secondary", "waiting")
    if summary.in_use is None:
        return State("No active SMTP: mails will not be sent", "danger", "failed")
    if summary.on_reserve and app.strategy == "PRIORITY":
        return State("Running on reserve", "warning", "alert")
    return State("Active", "success", "done")


def check_state(check: Check) -> State:
    """The state of a check."""
    if check.finished is None:
        if check.ends_by > now():
            return State("Under way", "info", "clock")
        return State("Interrupted", "warning", "alert")
    if check.accepted:
        return State("Accepted", "success", "done")
    if check.stage == Stage.POLICY:
        return State("Not tried", "warning", "alert")
    return State("Failed", "danger", "failed")


def stage(name: str) -> str:
    """The short name of a stage."""
    return STAGES[Stage(name)][0]


def in_use(app: App, listed: Sequence[tuple[Smtp, Check | None]]) -> set[str]:
    """The ids of the SMTPs that the app's mails go through now."""
    active = [smtp.id for smtp, _ in listed if smtp.enabled]
    return set(active if app.strategy == "RANDOM" else active[:1])


def fix_url(report: Report, smtp: Smtp) -> str:
    """The form in which the user can mend what a check found; "" where no form can."""
    if report.side is Side.APP:
        return url_for("pages.edit_app", app_id=smtp.app_id)
    if report.side is Side.MACHINE:
        return ""
    return url_for("pages.edit_smtp", smtp_id=smtp.id)


def rungs(report: Report) -> list[tuple[str, str, State, float | None]]:
    """The stages of a check as a ladder: name, what happens there, outcome, milliseconds."""
    return [
        (*STAGES[step.stage], OUTCOMES[step.outcome], step.milliseconds)
        for step in report.steps
        if step.stage is not Stage.ACCEPTED
    ]


_UNITS = (
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)


def relative(moment: datetime) -> str:
    """A time as people say it: "3 minutes ago", "in 90 days"."""
    seconds = (moment - now()).total_seconds()
    for unit, size in _UNITS:
        count = round(abs(seconds) / size)
        if abs(seconds) >= size:
            text = f"{count} {unit}{'' if count == 1 else 's'}"
            return f"in {text}" if seconds > 0 else f"{text} ago"
    return "just now"


def is_past(moment: datetime) -> bool:
    """Whether this moment is over."""
    return moment <= now()


def exact(moment: datetime) -> str:
    """A time in full."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def duration(milliseconds: float) -> str:
    """A duration in a unit that fits."""
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.1f} s"
    return f"{milliseconds:.0f} ms" if milliseconds >= 1 else "under 1 ms"
