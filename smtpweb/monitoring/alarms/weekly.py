"""The weekly report: apps, uptime, changes, expiry."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask_babel import format_percent, ngettext
from flask_babel import gettext as _
from sqlalchemy import func, select

from ...accounts.ownership import visible_apps, visible_smtps
from ...database.models import AlarmEvent, App, Smtp, StatusChange
from ...database.session import db
from ...registry import expiry, names
from .events import WORKING, usable

WEEK = timedelta(days=7)
EXPIRES_WITHIN = timedelta(days=30)
MOST = 50  # entries of each list


def lines(event: AlarmEvent) -> list[str]:
    """Return the report about the week that ended with the event."""
    until = datetime.fromisoformat(event.facts["until"])
    since = until - WEEK
    apps = visible_apps(event.user_id).order_by(func.lower(App.name), App.id)
    if event.app_id is not None:
        apps = apps.where(App.id == event.app_id)
    total = db.session.scalar(select(func.count()).select_from(apps.subquery())) or 0
    listed = list(db.session.scalars(apps.limit(MOST)))
    report = [_("From %(since)s to %(until)s UTC.", since=f"{since:%Y-%m-%d}",
                until=f"{until:%Y-%m-%d %H:%M}"), ""]  # fmt: skip
    report += [_app_line(app, since, until) for app in listed]
    if total > len(listed):
        report.append(_("and %(number)s more", number=total - len(listed)))
    report += _changes([app.id for app in listed], since, until)
    report += _expiring(event, until)
    return report


def _app_line(app: App, since: datetime, until: datetime) -> str:
    working, total = db.session.execute(
        select(func.count().filter(usable()), func.count()).where(Smtp.app_id == app.id)
    ).one()
    if not total:
        return str(_("%(app)s: no SMTP server", app=app.name))
    share = uptime(app.id, since, until)
    uptime_text = (
        _("uptime %(share)s", share=format_percent(share, "0.0 %"))
        if share is not None
        else _("not checked yet")
    )
    counted = ngettext(
        "%(num)s of %(total)s SMTP servers works", "%(num)s of %(total)s SMTP servers work",
        working, total=total,
    )  # fmt: skip
    return f"{app.name}: {counted}, {uptime_text}"


def uptime(app_id: str, since: datetime, until: datetime) -> float | None:
    """Return the mean share of time, 0 to 1, in which servers of the app worked; None if unknown.

    Time in which a server was turned off or not yet checked is not counted.
    """
    changes = db.session.execute(
        select(StatusChange.smtp_id, StatusChange.at, StatusChange.before, StatusChange.after)
        .where(StatusChange.app_id == app_id, StatusChange.at > since, StatusChange.at <= until)
        .order_by(StatusChange.smtp_id, StatusChange.at, StatusChange.id)
    ).all()
    states = {
        row.id: "active" if row.usable and row.judged else "disabled" if row.judged else ""
        for row in db.session.execute(
            select(Smtp.id, Smtp.judged, usable().label("usable")).where(Smtp.app_id == app_id)
        )
    }
    up = known = 0.0
    by_smtp: dict[str, list[tuple[datetime, str, str]]] = {smtp_id: [] for smtp_id in states}
    for smtp_id, at, before, after in changes:
        by_smtp.setdefault(smtp_id, []).append((at, before, after))
    for smtp_id, rows in by_smtp.items():
        state = rows[0][1] if rows else states.get(smtp_id, "")
        began = since
        for at, _before, after in [*rows, (until, "", "")]:
            seconds = (at - began).total_seconds()
            if state in WORKING:
                up, known = up + seconds, known + seconds
            elif state == "disabled":
                known += seconds
            began, state = at, after
    return up / known if known else None


def _changes(app_ids: list[str], since: datetime, until: datetime) -> list[str]:
    changes = db.session.execute(
        select(StatusChange.at, StatusChange.after, App.name.label("app_name"), *names.COLUMNS)
        .join(Smtp, Smtp.id == StatusChange.smtp_id)
        .join(App, App.id == StatusChange.app_id)
        .where(
            StatusChange.app_id.in_(app_ids), StatusChange.at > since, StatusChange.at <= until,
            StatusChange.after.in_((*WORKING[:1], "disabled", "off")),
        )
        .order_by(StatusChange.at.desc(), StatusChange.id)
        .limit(MOST + 1)
    ).all()  # fmt: skip
    if not changes:
        return ["", _("No SMTP server changed its state.")]
    words = {
        "active": _("works"),
        "disabled": _("failed and was disabled"),
        "off": _("was turned off"),
    }
    report = ["", _("What changed:")]
    report += [
        f"- {row.at:%Y-%m-%d %H:%M} {names.shown(row)} ({row.app_name}): {words[row.after]}"
        for row in reversed(changes[:MOST])
    ]
    if len(changes) > MOST:
        report.append(_("and more"))
    return report


def _expiring(event: AlarmEvent, until: datetime) -> list[str]:
    lines = []
    words = {
        expiry.CERTIFICATE: _("certificate"),
        expiry.CLIENT_CERTIFICATE: _("client certificate"),
        expiry.PASSWORD: _("password"),
        expiry.CLIENT_SECRET: _("client secret"),
    }
    for kind, column in expiry.COLUMNS.items():
        statement = (
            visible_smtps(event.user_id)
            .where(column > until, column <= until + EXPIRES_WITHIN)
            .order_by(column)
            .limit(MOST)
        )
        if event.app_id is not None:
            statement = statement.where(Smtp.app_id == event.app_id)
        for smtp in db.session.scalars(statement):
            moment: datetime = getattr(smtp, column.key)
            what = words[expiry.named(kind, smtp)]
            lines.append(f"- {moment:%Y-%m-%d} {names.shown(smtp)} ({smtp.app.name}): {what}")
    return ["", _("What expires within 30 days:"), *lines] if lines else []
