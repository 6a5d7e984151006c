"""The HTML door to apps, SMTPs and checks."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from .. import apps, checks, smtps, values
from ..errors import BadInput, Busy, SecretUnreadable, TooMany
from . import access
from .forms import AppForm, SmtpForm

bp = Blueprint("pages", __name__)
bp.url_value_preprocessor(access.require_utf8)
bp.before_request(access.require_login)

APPS_PER_PAGE = 50
CHECKS_PER_PAGE = 20


@bp.get("/")
def home() -> AnyResponse:
    """The first page is the list of apps."""
    return redirect(url_for(".list_apps"))


# --- apps ----------------------------------------------------------------------------------


@bp.get("/apps")
def list_apps() -> str:
    """The user's apps, each with how it stands."""
    page = _page()
    found, total = apps.find_all(access.user().id, page, APPS_PER_PAGE)
    return render_template(
        "apps/list.html",
        apps=found,
        summaries=smtps.summaries([app.id for app in found]),
        page=page,
        pages=-(-total // APPS_PER_PAGE),
    )


@bp.route("/apps/new", methods=["GET", "POST"])
def new_app() -> AnyResponse:
    """Create an app."""
    user = access.user()
    form = AppForm({"testemail": user.email})
    if form.validate_on_submit():
        with form.catches():
            app = apps.save(user.id, form.changes())
            flash(f"{app.name} was created. Now add the SMTP that its mails go through.", "success")
            return redirect(url_for(".show_app", app_id=app.id), 303)
    return form.page("apps/edit.html", app=None)


@bp.get("/apps/<id:app_id>")
def show_app(app_id: str) -> str:
    """An app, and its SMTPs in the order of their use."""
    app = apps.find(access.user().id, app_id)
    listed = smtps.find_by_app(app)
    return render_template("apps/show.html", app=app, smtps=listed)


@bp.route("/apps/<id:app_id>/edit", methods=["GET", "POST"])
def edit_app(app_id: str) -> AnyResponse:
    """Change an app."""
    user = access.user()
    app = apps.find(user.id, app_id)
    form = AppForm(AppForm.of(app))
    if form.validate_on_submit():
        with form.catches():
            apps.save(user.id, form.changes(), app.id, version=form.accepted.get("version"))
            flash(f"{app.name} was saved.", "success")
            return redirect(url_for(".show_app", app_id=app.id), 303)
        if form.conflict:
            form.compare(AppForm.of(apps.find(user.id, app_id)))
    return form.page("apps/edit.html", app=app)


@bp.get("/apps/<id:app_id>/remove")
def ask_to_remove_app(app_id: str) -> str:
    """Ask first, and say what goes with the app."""
    app = apps.find(access.user().id, app_id)
    return render_template("apps/remove.html", app=app, smtps=smtps.find_by_app(app))


@bp.post("/apps/<id:app_id>/remove")
def remove_app(app_id: str) -> AnyResponse:
    """Remove an app."""
    app = apps.find(access.user().id, app_id)
    apps.remove(access.user().id, app.id)
    flash(f"{app.name} was removed.", "success")
    return redirect(url_for(".list_apps"), 303)


# --- SMTPs ---------------------------------------------------------------------------------


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
    page = _page()
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
    flash(f"{smtp.host}:{smtp.port} was removed.", "success")
    return redirect(url_for(".show_app", app_id=smtp.app_id), 303)


# --- checks --------------------------------------------------------------------------------


@bp.post("/smtps/<id:smtp_id>/check")
def check_smtp(smtp_id: str) -> AnyResponse:
    """Check an SMTP, then show how it went."""
    return _check(smtp_id, "")


@bp.get("/checks/<id:check_id>")
def show_check(check_id: str) -> str:
    """One check: the cause, what to do, the stages, the transcript."""
    check = checks.find(access.user().id, check_id)
    return render_template(
        "checks/show.html", check=check, smtp=check.smtp, app=check.smtp.app, report=check.report
    )


def _after_save(smtp_id: str, form: SmtpForm) -> AnyResponse:
    if form.save.data:
        flash("Saved. It was not checked.", "success")
        return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)
    return _check(smtp_id, "Saved, but not checked. ")


def _check(smtp_id: str, done: str) -> AnyResponse:
    """Check, and lead to the check's own page; ``done`` is what stands even if it cannot run."""
    try:
        check = checks.run(access.page_caller(), smtp_id)
    except (Busy, TooMany, SecretUnreadable) as error:
        # Not an error page: what was saved is saved, and the user is led to where it can be seen.
        wait = f" Try again in {error.retry_after} s." if hasattr(error, "retry_after") else ""
        flash(f"{done}{error.detail}{wait}", "warning")
        return redirect(url_for(".show_smtp", smtp_id=smtp_id), 303)
    return redirect(url_for(".show_check", check_id=check.id), 303)


def _page() -> int:
    """The page that is asked for, counted from 0; in the address it is counted from 1."""
    try:
        return values.integer(request.args.get("page", "1"), 1, 10**6) - 1
    except ValueError as error:
        raise BadInput({"page": [str(error)]}) from None
