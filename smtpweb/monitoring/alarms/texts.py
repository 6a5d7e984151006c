"""The texts of events: messages in the language of the user, and JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext

from ...config import settings
from ...database.models import AlarmEvent, Check
from ...database.session import db, now
from ...mailcheck import Report
from ...registry import expiry
from .kinds import Kind
from .senders.outcome import Message, Paragraph

# The key of the function that renders a report in the reader's language, registered by ``web``.
SAID = "smtpweb.said"
_TYPES = {
    Kind.LOST: "smtp.lost",
    Kind.LAST_LOST: "smtp.lastlost",
    Kind.RECOVERED: "smtp.recovered",
    Kind.EXPIRING: "smtp.expiring",
    Kind.DEGRADED: "smtp.degraded",
    Kind.UNSTEADY: "smtp.unsteady",
    Kind.CHANNEL_OFF: "alarm.off",
    Kind.OPERATOR: "installation.problem",
    Kind.WEEKLY: "report.weekly",
    Kind.TEST: "alarm.test",
}


def message(event: AlarmEvent) -> Message:
    """Return the message of one event, in the current language."""
    subject = subject_of(event)
    paragraphs = [Paragraph(tuple(_opening(event)))]
    if event.kind in _DIAGNOSED:
        paragraphs += _diagnosis(event)
    paragraphs.append(_closing(event))
    return Message(subject, tuple(paragraph for paragraph in paragraphs if paragraph.lines))


def digest(events: Sequence[AlarmEvent]) -> Message:
    """Return one message for several events that are due at the same time."""
    number = len(events)
    lines = []
    for event in events:
        report = _report(event) if event.kind in _DIAGNOSED else None
        cause = f": {_rendered(report).title}" if report else ""
        lines.append(f"- {_moment(event.at)} {subject_of(event)}{cause}")
    subject = _("%(number)s alarms", number=number)
    apps = sorted({str(event.facts.get("app")) for event in events if event.facts.get("app")})
    if len(apps) == 1:
        subject = _("%(number)s alarms of %(app)s", number=number, app=apps[0])
    url = _url("apps", events[0].app_id) if len(apps) == 1 else _url("", None)
    return Message(
        subject,
        (
            Paragraph(
                (_("Several alarms were due at the same time. This message combines them:"),)
            ),
            Paragraph(tuple(lines), foreign=True),
            Paragraph((url,) if url else ()),
        ),
    )


def subject_of(event: AlarmEvent) -> str:
    """Return the event in one line."""
    return str(_subject(event))


def _subject(event: AlarmEvent) -> Any:
    facts, kind = event.facts, Kind(event.kind)
    names = {"smtp": _server(facts), "app": facts.get("app")}
    match kind:
        case Kind.LOST if facts.get("new"):
            return _("%(smtp)s does not work (%(app)s)", **names)
        case Kind.LOST:
            return _("%(smtp)s stopped working (%(app)s)", **names)
        case Kind.LAST_LOST:
            return _("%(app)s cannot send: %(smtp)s stopped working", **names)
        case Kind.RECOVERED:
            return _("%(smtp)s works again (%(app)s)", **names)
        case Kind.DEGRADED:
            return _("%(smtp)s has been degraded for a day (%(app)s)", **names)
        case Kind.UNSTEADY:
            return _("%(smtp)s keeps failing and recovering (%(app)s)", **names)
        case Kind.EXPIRING:
            when = _in_days(facts["days"])
            if facts["what"] == expiry.CERTIFICATE:
                return _("Certificate of %(smtp)s expires %(when)s (%(app)s)", when=when, **names)
            if facts["what"] == expiry.CLIENT_CERTIFICATE:
                return _(
                    "Client certificate of %(smtp)s expires %(when)s (%(app)s)", when=when, **names
                )
            if facts["what"] == expiry.CLIENT_SECRET:
                return _("Client secret of %(smtp)s expires %(when)s (%(app)s)", when=when, **names)
            return _("Password of %(smtp)s expires %(when)s (%(app)s)", when=when, **names)
        case Kind.CHANNEL_OFF:
            return _("Alarms to %(channel)s were switched off", channel=facts["shown"])
        case Kind.OPERATOR:
            return _("smtpweb has a problem of its own: %(title)s", title=facts["title"])
        case Kind.WEEKLY:
            return _("Weekly report of your SMTP servers")
        case Kind.TEST:
            return _("Test of an alarm")


def _opening(event: AlarmEvent) -> list[str]:
    facts, kind = event.facts, Kind(event.kind)
    smtp = _server(facts)
    lines = []
    match kind:
        case Kind.LOST | Kind.LAST_LOST:
            lines.append(
                _(
                    "The SMTP server %(smtp)s of the app %(app)s failed its check at %(moment)s"
                    " and was disabled.",
                    smtp=smtp, app=facts["app"], moment=_moment(event.at),
                )
            )  # fmt: skip
            lines += _working_servers(facts)
            if event.repeats:
                lines.append(_("It still does not work; this is repeated every day."))
            if event.ended is not None:
                lines.append(
                    _("It has been working again since %(moment)s.", moment=_moment(event.ended))
                )
        case Kind.RECOVERED:
            lines.append(
                _(
                    "The SMTP server %(smtp)s of the app %(app)s passed its check and is active"
                    " again. It had not worked since %(since)s.",
                    smtp=smtp, app=facts["app"], since=_stored_moment(facts.get("since")),
                )
            )  # fmt: skip
            lines += _working_servers(facts)
        case Kind.DEGRADED:
            lines.append(
                _(
                    "Some checks of the SMTP server %(smtp)s of the app %(app)s have failed since"
                    " %(since)s. It is still in use.",
                    smtp=smtp, app=facts["app"], since=_stored_moment(facts.get("since")),
                )
            )  # fmt: skip
        case Kind.UNSTEADY:
            lines.append(
                _(
                    "The SMTP server %(smtp)s of the app %(app)s failed and recovered several times"
                    " within an hour. No further alarm is sent until its state has not changed for"
                    " an hour; then you get its current state.",
                    smtp=smtp, app=facts["app"],
                )
            )  # fmt: skip
        case Kind.EXPIRING:
            lines += _expiry(facts, smtp)
        case Kind.CHANNEL_OFF:
            lines.append(_channel_off(facts))
            lines.append(_("Its last answer: %(result)s", result=facts.get("result") or "–"))
        case Kind.OPERATOR:
            lines.append(
                _(
                    "Checks fail because of a problem on the side of this installation: %(title)s."
                    " No SMTP server was disabled because of it.",
                    title=facts["title"],
                )
            )
        case Kind.WEEKLY:
            from . import weekly

            lines += weekly.lines(event)
        case Kind.TEST:
            lines.append(_("This is a test. Alarms of your SMTP servers will arrive like this."))
    return lines


def _working_servers(facts: Mapping[str, Any]) -> list[str]:
    if not facts.get("working"):
        return [_("No SMTP server of this app works: its emails cannot be sent.")]
    left = ngettext(
        "%(num)s of %(total)s SMTP servers of the app works.",
        "%(num)s of %(total)s SMTP servers of the app work.",
        facts["working"],
        total=facts["total"],
    )
    return [left, _("In use: %(smtp)s", smtp=facts["inuse"])]


def _expiry(facts: Mapping[str, Any], smtp: str) -> list[str]:
    moment = _stored_moment(facts["expires"])
    if facts["what"] == expiry.CERTIFICATE:
        first = _("The certificate of the SMTP server %(smtp)s of the app %(app)s expires at"
                  " %(moment)s.", smtp=smtp, app=facts["app"], moment=moment)  # fmt: skip
        then = _("The operator of the server has to renew it. After that date, every"
                 " check fails and the server is disabled.")  # fmt: skip
    elif facts["what"] == expiry.CLIENT_CERTIFICATE:
        first = _(
            "The client certificate with which smtpweb signs in to the SMTP server %(smtp)s of the"
            " app %(app)s expires at %(moment)s.",
            smtp=smtp, app=facts["app"], moment=moment,
        )  # fmt: skip
        then = _("Get a new one from whoever issued it, and enter it with its key.")
    elif facts["what"] == expiry.CLIENT_SECRET:
        first = _(
            "The client secret with which the SMTP server %(smtp)s of the app %(app)s gets its"
            " access tokens expires at %(moment)s, according to the date entered with it.",
            smtp=smtp, app=facts["app"], moment=moment,
        )  # fmt: skip
        then = _("Create a new one in the settings of the application at the provider, and enter"
                 " it with its expiry date.")  # fmt: skip
    else:
        first = _("The password of the SMTP server %(smtp)s of the app %(app)s expires at"
                  " %(moment)s, according to the date entered with it.",
                  smtp=smtp, app=facts["app"], moment=moment)  # fmt: skip
        then = _("Get a new one from the provider and enter it with its expiry date.")
    return [first, then]


def _channel_off(facts: Mapping[str, Any]) -> Any:
    if facts["reason"] == "gone":
        return _("%(channel)s replied that it accepts no more alarms (HTTP 410).",
                 channel=facts["shown"])  # fmt: skip
    return _("No alarm could be delivered to %(channel)s for a day.", channel=facts["shown"])


def _diagnosis(event: AlarmEvent) -> list[Paragraph]:
    """Return title, meaning and steps of the cause of the check, and the server's reply."""
    report = _report(event)
    if report is None:
        code = event.facts.get("code")
        return [Paragraph((str(code),), _("Cause"))] if code else []
    rendered = _rendered(report)
    steps = tuple(f"{number}. {step}" for number, step in enumerate(rendered.advice, 1))
    paragraphs = [
        # A title can quote the server.
        Paragraph((rendered.title, rendered.meaning), _("Cause"), foreign=True),
        Paragraph(steps, _("What to do"), foreign=True),
    ]
    if report.reply is not None:
        reply = report.reply
        words = " ".join(filter(None, (str(reply.code), reply.enhanced, reply.text)))
        paragraphs.append(Paragraph((words,), _("The server said"), foreign=True))
    return paragraphs


def _closing(event: AlarmEvent) -> Paragraph:
    match Kind(event.kind):
        case Kind.CHANNEL_OFF if event.app_id:
            url = _url("apps", event.app_id, "/alarms")
        case Kind.CHANNEL_OFF:
            url = _url("account/alarms", None)
        case Kind.OPERATOR | Kind.WEEKLY | Kind.TEST:
            url = _url("", None)
        case _:
            url = _url("smtps", event.smtp_id)
    return Paragraph((url,) if url else ())


def _url(path: str, object_id: str | None, rest: str = "") -> str:
    """Return the URL of a page; "" if the public URL is not known."""
    base = settings().base_url
    if not base:
        return ""
    return f"{base}/{path}/{object_id}{rest}" if object_id else f"{base}/{path}"


def payload(event: AlarmEvent) -> dict[str, Any]:
    """Return the event as JSON values for a program, with sentences in English."""
    facts, kind = event.facts, Kind(event.kind)
    data: dict[str, Any] = {
        "idevent": event.id,
        "text": subject_of(event),
        "repeat": event.repeats,
        "app": {"_id": event.app_id, "name": facts.get("app")} if event.app_id else None,
        "smtp": None,
    }
    if event.smtp_id:
        data["smtp"] = {"_id": event.smtp_id, "host": facts["host"], "port": facts["port"]}
        data |= {name: facts[name] for name in ("working", "total", "inuse")}
    others = ("since", "what", "expires", "days", "reason", "title", "checks")
    data |= {name: facts[name] for name in others if facts.get(name) is not None}
    report = _report(event) if event.kind in _DIAGNOSED else None
    if report is not None:
        data["check"] = {
            "idcheck": facts.get("check"),
            "code": report.code,
            "title": report.title,
            "meaning": report.meaning,
            "steps": list(report.advice),
            "stage": str(report.stage),
            "side": str(report.side),
            "temporary": report.temporary,
            "reply": None
            if report.reply is None
            else {
                "code": report.reply.code,
                "enhanced": report.reply.enhanced,
                "text": report.reply.text,
            },
        }
    elif facts.get("code"):
        data["check"] = {"idcheck": facts.get("check"), "code": facts["code"]}
    closing = _closing(event)
    data["url"] = closing.lines[0] if closing.lines else None
    return {"type": _TYPES[kind], "timestamp": event.at.isoformat(), "data": data}


_DIAGNOSED = frozenset({Kind.LOST.value, Kind.LAST_LOST.value, Kind.UNSTEADY.value})


def _report(event: AlarmEvent) -> Report | None:
    check_id = event.facts.get("check")
    check = db.session.get(Check, check_id) if check_id else None
    return check.report if check and not check.accepted else None


def _rendered(report: Report) -> Report:
    render = cast(Callable[[Report], Report], current_app.extensions[SAID])
    return render(report)


def _in_days(days: int) -> Any:
    if days < 1:
        return _("within a day")
    return ngettext("in %(num)s day", "in %(num)s days", days)


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _stored_moment(text: str | None) -> str:
    return _moment(datetime.fromisoformat(text)) if text else _moment(now())


def _server(facts: Mapping[str, Any]) -> str:
    """What to call the server of an event: its name and address, or only its address."""
    where = f"{facts.get('host')}:{facts.get('port')}"
    return f"{facts['name']} ({where})" if facts.get("name") else where
