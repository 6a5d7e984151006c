"""The pages of SMTPs: add, show, edit, remove."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from .. import apps, checks, smtps
from . import access, check_pages
from .forms import SmtpForm
from .pages import bp, page_number

CHECKS_PER_PAGE = 20


@bp.route("/apps/<id:app_id>/smtps/new", methods=["GET", "POST"])
def new_smtp(app_id: str) -> AnyResponse:
    """Add an SMTP to an app, and check it if asked to."""
    app = apps.find(access.user().id, app_id)
    form = SmtpForm()
    if form.validate_on_submit():
        with form.catches():
            smtp = smtps.save(access.user().id, app.id, form.changes())
            return _after_save(smtp.id, form)
    return form.page("smtps/edit.html", app=app, smtp=None)


@bp.get("/smtps/<id:smtp_id>")
def show_smtp(smtp_id: str) -> str:
    """An SMTP, the result of its last check, and its history."""
    smtp = smtps.find(access.user().id, smtp_id)
    page = page_number()
    newest, total = checks.history(smtp, 0, 1)
    rows, _ = checks.history(smtp, page, CHECKS_PER_PAGE)
    return render_template(
        "smtps/show.html",
        smtp=smtp,
        app=smtp.app,
        last=newest[0] if newest else None,
        checks=rows,
        total=total,
        page=page,
        pages=-(-total // CHECKS_PER_PAGE),
    )


@bp.route("/smtps/<id:smtp_id>/edit", methods=["GET", "POST"])
def edit_smtp(smtp_id: str) -> AnyResponse:
    """Change an SMTP, and check it if asked to."""
    user = access.user()
    smtp = smtps.find(user.id, smtp_id)
    form = SmtpForm(SmtpForm.of(smtp))
    if form.validate_on_submit():
        with form.catches():
            changes, version = form.changes(smtp), form.accepted.get("version")
            smtps.save(user.id, smtp.app_id, changes, smtp.id, version=version)
            return _after_save(smtp.id, form)
        if form.conflict:
            form.compare(SmtpForm.of(smtps.find(user.id, smtp_id)))
    return form.page("smtps/edit.html", app=smtp.app, smtp=smtp)


@bp.get("/smtps/<id:smtp_id>/remove")
def ask_to_remove_smtp(smtp_id: str) -> str:
    """Ask first, and say what goes with the SMTP."""
    smtp = smtps.find(access.user().id, smtp_id)
    _, count = checks.history(smtp, 0, 1)
    return render_template(
        "smtps/remove.html",
        smtp=smtp,
        app=smtp.app,
        checks=count,
        others=[other for other, _ in smtps.find_by_app(smtp.app) if other.id != smtp.id],
    )


@bp.post("/smtps/<id:smtp_id>/remove")
def remove_smtp(smtp_id: str) -> AnyResponse:
    """Remove an SMTP."""
    smtp = smtps.find(access.user().id, smtp_id)
    smtps.remove(access.user().id, smtp.id)
    flash(_("%(name)s was removed.", name=f"{smtp.host}:{smtp.port}"), "success")
    return redirect(url_for(".show_app", app_id=smtp.app_id), 303)


def _after_save(smtp_id: str, form: SmtpForm) -> AnyResponse:
    if form.save.data:
        flash(_("Saved. It was not checked."), "success")
        return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)
    return check_pages.start(smtp_id, _("Saved, but not checked."))
