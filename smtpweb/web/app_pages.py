"""The pages of apps: list, create, show, edit, remove."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from .. import apps, smtps
from . import access
from .forms import AppForm
from .pages import bp, page_number

APPS_PER_PAGE = 50


@bp.get("/apps")
def list_apps() -> str:
    """The user's apps, each with how it stands."""
    page = page_number()
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
            flash(
                _("%(app)s was created. Now add the SMTP that its mails go through.", app=app.name),
                "success",
            )
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
            flash(_("%(app)s was saved.", app=app.name), "success")
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
    flash(_("%(app)s was removed.", app=app.name), "success")
    return redirect(url_for(".list_apps"), 303)
