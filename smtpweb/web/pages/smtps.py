"""The pages of SMTP servers: add, show, edit, remove."""

from __future__ import annotations

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from ...checking import saving, service, unsaved
from ...database.models import App, Smtp
from ...database.session import db
from ...errors import BadInput, Busy, SecretUnreadable, Sentence
from ...mailcheck import Report
from ...monitoring import history, response_times
from ...registry import apps, duplicates, grants, names, overview, removals, smtps
from ..http import auth
from ..http.i18n import say
from ..presentation import causes, chart, remedies
from ..presentation.sparkline import bar
from . import checks, drafts, forewarning, messages, schedule
from .blueprint import bp, page_number
from .smtp_form import SmtpForm

CHECKS_PER_PAGE = 20


@bp.route("/apps/<id:app_id>/smtps/new", methods=["GET", "POST"])
def new_smtp(app_id: str) -> AnyResponse:
    """Add an SMTP server to an app, and check it on request."""
    app = apps.find(auth.user().id, app_id)
    form = SmtpForm(typed=drafts.restored())
    if form.asks_for_preset:
        form.fill_preset()
    elif form.asks_for_parts:
        form.fill_parts()
    elif form.validate_on_submit() and not form.probe.data:
        with form.catches():
            user_id, oauth = auth.user().id, form.oauth_changes()
            smtp = saving.save(user_id, app.id, form.changes(), oauth, once=form.once())
            earlier, _total = service.history(smtp, 0, 1)
            if earlier and not form.save.data:  # the form was sent twice
                return redirect(url_for(".show_check", check_id=earlier[0].id), 303)
            return _after_save(smtp, form)
    elif request.method == "GET":
        form.fill_from(request.args)
    return _form(form, app)


@bp.get("/smtps/<id:smtp_id>")
def show_smtp(smtp_id: str) -> str:
    """Show an SMTP server, the result of its last check, and its check history."""
    smtp = smtps.find(auth.user().id, smtp_id)
    page = page_number()
    rows, total = service.history(smtp, page, CHECKS_PER_PAGE)
    newest = service.history(smtp, 0, 1)[0] if page else rows[:1]
    return render_template(
        "smtps/show.html",
        smtp=smtp,
        app=smtp.app,
        grant=grants.find(smtp.id) if smtp.uses_oauth else None,
        warnings=_warnings(smtp),
        doubles=duplicates.of(auth.user().id, [smtp.id]).get(smtp.id, ()),
        last=newest[0] if newest else None,
        summary=overview.summaries([smtp.app_id]).get(smtp.app_id),
        drawn=bar(overview.marks([smtp.id], with_states=True)[smtp.id], one_by_one=True),
        tally=response_times.tally(smtp),
        checks=rows,
        **_past(smtp),
        total=total,
        page=page,
        pages=-(-total // CHECKS_PER_PAGE),
        **schedule.about_server(smtp),
    )


def _past(smtp: Smtp) -> dict[str, Any]:
    """Return the history of the server for as many days as the URL says."""
    sent = request.args.get("days", str(history.DAYS[0]))
    if sent not in map(str, history.DAYS):
        words = ", ".join(map(str, history.DAYS))
        raise BadInput({"days": [Sentence("Must be one of: %(words)s.", words=words)]})
    days = int(sent)
    changes = history.changes(smtp.id)
    times = response_times.of(smtp, days)
    return {
        "days": days,
        "ranges": history.DAYS,
        "uptimes": history.uptimes(smtp, changes, history.known_since()),
        "changes": changes[: history.SHOWN],
        "stage_times": times.stages,
        "is_average": times.is_average,
        "chart": chart.chart(times.columns),
        "chart_places": {look: place for place, (look, _n, _s) in enumerate(chart.PARTS)},
        "stage_name": chart.stage_name,
        "failure_words": chart.failure,
    }


@bp.route("/smtps/<id:smtp_id>/edit", methods=["GET", "POST"])
def edit_smtp(smtp_id: str) -> AnyResponse:
    """Edit an SMTP server, and check it on request."""
    user = auth.user()
    smtp = smtps.find(user.id, smtp_id)
    form = SmtpForm(smtp, typed=drafts.restored())
    if form.asks_for_preset:
        form.fill_preset()
    elif form.asks_for_parts:
        form.fill_parts()
    elif form.validate_on_submit() and not form.probe.data:
        with form.catches():
            version = form.accepted.get("version")
            saved = saving.save(
                user.id,
                smtp.app_id,
                form.changes(),
                form.oauth_changes(),
                smtp.id,
                version=version,
                keep_password=form.keep_password.data,
            )
            return _after_save(saved, form)
        if form.conflict:
            form.compare(SmtpForm.of(smtps.find(user.id, smtp_id)))
    elif request.method == "GET":
        form.fill_from(request.args)
        if not form.unsaved:
            _tell_cause(form, smtp)
    return _form(form, smtp.app)


@bp.post("/apps/<id:app_id>/smtps/preflight")
@bp.post("/smtps/<id:smtp_id>/preflight")
def preflight(app_id: str = "", smtp_id: str = "") -> dict[str, Any]:
    """Return warnings about the settings in the form, for its script. Nothing is stored."""
    user = auth.user()
    smtp = smtps.find(user.id, smtp_id) if smtp_id else None
    form = SmtpForm(smtp)
    app = smtp.app if smtp else apps.find(user.id, app_id)
    db.session.close()  # hold no database connection during DNS queries
    form.judge(app, forewarning.resolver())
    return forewarning.findings(form)


@bp.get("/smtps/<id:smtp_id>/remove")
def ask_to_remove_smtp(smtp_id: str) -> str:
    """Ask for confirmation, and list what is deleted with the SMTP server."""
    smtp = smtps.find(auth.user().id, smtp_id)
    return render_template(
        "smtps/remove.html",
        smtp=smtp,
        app=smtp.app,
        losses=overview.losses(smtp.app_id, smtp.id),
        summary=overview.summaries([smtp.app_id]).get(smtp.app_id),
    )


@bp.post("/smtps/<id:smtp_id>/remove")
def remove_smtp(smtp_id: str) -> AnyResponse:
    """Remove an SMTP server."""
    smtp = smtps.find(auth.user().id, smtp_id)
    app_id, told = smtp.app_id, _("%(name)s was deleted.", name=names.shown(smtp))
    messages.tell(told, removals.remove_smtp(auth.user().id, smtp.id))
    return redirect(url_for(".show_app", app_id=app_id), 303)


def _form(form: SmtpForm, app: App) -> AnyResponse:
    report = _probe(form, app) if form.probe.data and not form.errors else None
    form.judge(app)
    return form.page("smtps/edit.html", app=app, smtp=form.smtp, probed=causes.said(report))


def _probe(form: SmtpForm, app: App) -> Report | None:
    """Test what was typed, without saving it; return None if that was refused."""
    smtp_id, keep = form.smtp.id if form.smtp else None, bool(form.keep_password.data)
    with form.catches():
        try:
            return unsaved.probe(
                auth.page_caller(), app.id, form.changes(), smtp_id,
                oauth=form.oauth_changes(), keep_password=keep,
            )  # fmt: skip
        except (Busy, SecretUnreadable) as error:
            form.form_errors.append(say(error.detail))
    return None


def _tell_cause(form: SmtpForm, smtp: Smtp) -> None:
    """Show the cause of the last failed check at its field, if it used the current settings."""
    newest = service.history(smtp, 0, 1)[0]
    report = causes.said(newest[0].report) if newest else None
    if report and not report.accepted and newest[0].smtp_version >= smtp.settings_version:
        form.tell_cause(remedies.field_at_fault(report), report)


def _warnings(smtp: Smtp) -> list[tuple[str, str, str]]:
    """Return the warnings about a stored SMTP server: field label, text, URL of the form."""
    found = smtps.warnings_of(smtp, smtp.app.defaultfromemail)
    form = SmtpForm(smtp)
    fields = [form[one.field] for one in found]
    return [
        (
            str(field.label.text),
            say(one.text),
            url_for(".edit_smtp", smtp_id=smtp.id, field=field.name),
        )
        for one, field in zip(found, fields, strict=True)
    ]


def _after_save(smtp: Smtp, form: SmtpForm) -> AnyResponse:
    warnings = _warnings(smtp)
    if form.save.data:
        if warnings:
            flash(_("Saved with warnings, not checked."), "warning")
        else:
            flash(_("Saved, not checked."), "success")
        return redirect(url_for(".show_smtp", smtp_id=smtp.id), 303)
    if warnings:
        # One box for all, so that the result below stays on the screen.
        texts = " ".join(f"{label}: {text}" for label, text, _url in warnings)
        flash(
            ngettext(
                "Saved with a warning. %(texts)s",
                "Saved with %(num)s warnings. %(texts)s",
                len(warnings),
                texts=texts,
            ),
            "warning",
        )
    if grants.awaits_sign_in(smtp.id):
        flash(_("Saved. Sign in at the provider, then send a test email."), "success")
        return redirect(url_for(".show_sign_in", smtp_id=smtp.id), 303)
    return checks.start(smtp.id, _("Saved, but not checked."))
