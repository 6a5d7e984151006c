"""The pages of apps: list, create, show, reorder SMTP servers, edit, remove."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from ... import validators
from ...errors import BadInput, EditConflict, Sentence
from ...monitoring.alarms import channels
from ...registry import acts, apps, duplicates, names, order, overview, removals
from ..http import auth
from ..presentation.sparkline import bar
from . import drafts, messages, schedule
from .blueprint import address_of, bp, page_number, wanted
from .forms import AppForm

APPS_PER_PAGE = 50
SMTPS_PER_PAGE = 50
ORDERED_PER_PAGE = 200  # all of almost every app, as a row cannot be dragged to another page
NAMED_WHEN_REMOVED = 50


@bp.get("/apps")
def list_apps() -> str:
    """List the user's apps, each with its state."""
    page = page_number()
    asked = wanted(overview.APP_STATES, overview.APP_SORTS)
    found, total = overview.find_apps(auth.user().id, asked, page, APPS_PER_PAGE)
    return render_template(
        "apps/list.html",
        apps=found,
        summaries=overview.summaries([app.id for app in found]),
        wanted=asked,
        address=address_of(asked, overview.APP_SORTS),
        deletions=acts.deletions(auth.user().id),
        total=total,
        page=page,
        pages=-(-total // APPS_PER_PAGE),
    )


@bp.route("/apps/new", methods=["GET", "POST"])
def new_app() -> AnyResponse:
    """Create an app."""
    user = auth.user()
    defaults = apps.defaults(user)
    form = AppForm(
        {
            "testemail": defaults["testemail"],
            "defaultfromemail": defaults["defaultfromemail"] or "",
            "defaultfromname": defaults["defaultfromname"] or "",
            "strategy": defaults["strategy"],
        },
        typed=drafts.restored(),
    )
    if form.validate_on_submit():
        with form.catches():
            app = apps.save(user.id, form.changes(), once=form.once())
            flash(
                _("%(app)s was created. Now add an SMTP server so it can send.", app=app.name),
                "success",
            )
            return redirect(url_for(".show_app", app_id=app.id), 303)
    return form.page("apps/edit.html", app=None, focus=None if form.errors else "name")


@bp.get("/apps/<id:app_id>")
def show_app(app_id: str) -> str:
    """Show an app and its SMTP servers, by default in order of use."""
    app = apps.find(auth.user().id, app_id)
    page = page_number()
    asked = wanted(overview.SMTP_STATES, overview.SMTP_SORTS)
    found, total = overview.find_smtps(app, asked, page, SMTPS_PER_PAGE)
    marks = overview.marks([smtp.id for smtp in found])
    newest = overview.newest(marks)
    return render_template(
        "apps/show.html",
        app=app,
        summary=overview.summaries([app.id]).get(app.id),
        alarms_off=channels.switched_off(auth.user().id, app.id),
        smtps=[(smtp, newest.get(smtp.id), bar(marks[smtp.id])) for smtp in found],
        deletions=acts.deletions(auth.user().id, app.id),
        doubles=duplicates.of(auth.user().id, [smtp.id for smtp in found]),
        positions=overview.positions(app.id, [smtp.id for smtp in found]),
        wanted=asked,
        address=address_of(asked, overview.SMTP_SORTS),
        total=total,
        page=page,
        pages=-(-total // SMTPS_PER_PAGE),
        **schedule.about_app(app),
    )


@bp.get("/apps/<id:app_id>/order")
def show_order(app_id: str) -> str:
    """Show the SMTP servers of an app in order of use, to reorder them."""
    app = apps.find(auth.user().id, app_id)
    page = page_number()
    found, total = overview.find_smtps(app, overview.ALL_SMTPS, page, ORDERED_PER_PAGE)
    return render_template(
        "apps/order.html",
        app=app,
        summary=overview.summaries([app.id]).get(app.id),
        smtps=found,
        positions=overview.positions(app.id, [smtp.id for smtp in found]),
        total=total,
        page=page,
        pages=-(-total // ORDERED_PER_PAGE),
    )


@bp.post("/apps/<id:app_id>/order")
def order_smtps(app_id: str) -> AnyResponse:
    """Reorder the SMTP servers of an app: move one up or down, or order a page as posted."""
    user = auth.user()
    app = apps.find(user.id, app_id)
    seen, moved, step = _order_sent()
    try:
        if step:
            line, undo_id = order.move(user.id, app.id, seen, moved, step)
        else:
            line, undo_id = order.reorder(user.id, app.id, seen)
    except EditConflict:
        told = _(
            "The order changed in another window; nothing was moved. The current order is shown."
        )
        place = overview.positions(app.id, [moved]).get(moved)
        if place is None:  # the SMTP server no longer exists, so there is no row
            flash(told, "warning")
            return redirect(url_for(".show_order", app_id=app.id), 303)
        return _to_row(app.id, moved, place - 1, told, "warning")
    place = next(index for index, smtp in enumerate(line) if smtp.id == moved)
    name = names.shown(line[place])
    told = _("%(smtp)s is now number %(place)d of %(total)d.", smtp=name, place=place + 1,
             total=len(line))  # fmt: skip
    return _to_row(app.id, moved, place, told, "success", undo_id)


def _to_row(
    app_id: str, smtp_id: str, place: int, told: str, tone: str, act_id: str = ""
) -> AnyResponse:
    """Redirect to the row at this position, from 0, and show the result of its move there."""
    messages.tell(told, act_id, f"row-{tone}-{smtp_id}")
    page = place // ORDERED_PER_PAGE  # the row may have moved to another page
    where = url_for(".show_order", app_id=app_id, page=page + 1 if page else None)
    return redirect(f"{where}#smtp-{smtp_id}", 303)


def _order_sent() -> tuple[dict[str, int], str, int]:
    """Return the posted SMTP servers with their versions, the id of the moved one, and the step.

    The step is 0 if the posted order already contains the move.
    """
    try:
        pairs = [place.partition(":") for place in request.form.getlist("place")]
        seen = {
            validators.object_id(name): validators.integer(version, 0, 2**31 - 1)
            for name, _colon, version in pairs
        }
        steps = {"up": -1, "down": 1, "moved": 0}
        named = [name for name in steps if name in request.form]
        moved = validators.object_id(request.form[named[0]]) if len(named) == 1 else ""
        if moved not in seen or len(seen) < len(pairs):
            raise ValueError(Sentence("Must name each SMTP server exactly once."))
    except ValueError as error:
        raise BadInput({"order": [error.args[0]]}) from None
    return seen, moved, steps[named[0]]


@bp.route("/apps/<id:app_id>/edit", methods=["GET", "POST"])
def edit_app(app_id: str) -> AnyResponse:
    """Edit an app."""
    user = auth.user()
    app = apps.find(user.id, app_id)
    form = AppForm(AppForm.of(app), typed=drafts.restored())
    if form.validate_on_submit():
        with form.catches():
            apps.save(user.id, form.changes(), app.id, version=form.accepted.get("version"))
            flash(_("%(app)s was saved.", app=app.name), "success")
            return redirect(url_for(".show_app", app_id=app.id), 303)
        if form.conflict:
            form.compare(AppForm.of(apps.find(user.id, app_id)))
    focus = None if form.errors else request.args.get("field")
    return form.page("apps/edit.html", app=app, focus=focus)


@bp.get("/apps/<id:app_id>/remove")
def ask_to_remove_app(app_id: str) -> str:
    """Ask for confirmation, and list what is deleted with the app."""
    app = apps.find(auth.user().id, app_id)
    first, _total = overview.find_smtps(app, overview.ALL_SMTPS, 0, NAMED_WHEN_REMOVED)
    losses = overview.losses(app.id)
    return render_template("apps/remove.html", app=app, smtps=first, losses=losses)


@bp.post("/apps/<id:app_id>/remove")
def remove_app(app_id: str) -> AnyResponse:
    """Remove an app."""
    app = apps.find(auth.user().id, app_id)
    told = _("%(app)s was deleted.", app=app.name)
    messages.tell(told, removals.remove_app(auth.user().id, app.id))
    return redirect(url_for(".list_apps"), 303)
