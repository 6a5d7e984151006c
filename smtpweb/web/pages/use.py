"""The pages "Use in your app": how a program sends through an app's SMTP servers."""

from __future__ import annotations

from datetime import timedelta

from flask import Response, redirect, render_template, request, url_for
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response as AnyResponse
from wtforms import SubmitField
from wtforms.validators import InputRequired

from ...accounts import tokens
from ...database.models import App, Smtp, hides_username
from ...database.session import now
from ...registry import apps, checkability, overview, smtps
from ..http import auth
from ..presentation import snippets
from ..presentation.snippets import Values
from .blueprint import bp
from .form_fields import REQUIRED
from .forms import Form
from .noted_fields import PasswordField

# A program is set up once, so its token lives longer than one for trying things out.
TOKEN_LIFE = timedelta(days=365)


class ListTokenForm(Form):
    """Create a token with which a program reads the list, without the passwords."""

    submit = SubmitField(lazy_gettext("Create a token for this app"))


class SecretsTokenForm(Form):
    """Create a token with which a program reads the list and the passwords."""

    confirm_password = PasswordField(lazy_gettext("Current password"), [InputRequired(REQUIRED)])
    submit = SubmitField(lazy_gettext("Create a token that reads passwords"))


class AccessTokenForm(Form):
    """Create a token with which a program gets access tokens for the SMTP server."""

    confirm_password = PasswordField(lazy_gettext("Current password"), [InputRequired(REQUIRED)])
    submit = SubmitField(lazy_gettext("Create a token that gets access tokens"))


@bp.get("/apps/<id:app_id>/use")
def use_app(app_id: str) -> AnyResponse:
    """Show how a program fetches the list of an app, or sends through the server in use."""
    return _page(apps.find(auth.user().id, app_id))


@bp.get("/smtps/<id:smtp_id>/use")
def use_smtp(smtp_id: str) -> AnyResponse:
    """Show how a program sends through an SMTP server."""
    return _server_page(smtps.find(auth.user().id, smtp_id), AccessTokenForm(sent=False))


@bp.post("/smtps/<id:smtp_id>/use/access-token")
def make_access_token(smtp_id: str) -> AnyResponse:
    """Create a token that gets access tokens, and show it once."""
    smtp = smtps.find(auth.user().id, smtp_id)
    form = AccessTokenForm()
    if form.validate_on_submit():
        with form.catches():
            done = url_for(".use_smtp", smtp_id=smtp.id)
            return _token(smtp.app, ("token",), form.confirm_password.data, done)
    return _server_page(smtp, form)


@bp.get("/smtps/<id:smtp_id>/use/access-token")
def back_to_use_smtp(smtp_id: str) -> AnyResponse:
    """Redirect to the page when the URL of its form is reloaded."""
    return redirect(url_for(".use_smtp", smtp_id=smtp_id))


def _server_page(smtp: Smtp, form: AccessTokenForm) -> AnyResponse:
    return form.page(
        "apps/use_smtp.html", smtp=smtp, app=smtp.app, **_server_context(smtp.app, smtp)
    )


@bp.post("/apps/<id:app_id>/use/token")
def make_list_token(app_id: str) -> AnyResponse:
    """Create a token that reads the list, and show it once."""
    app = apps.find(auth.user().id, app_id)
    form = ListTokenForm()
    if form.validate_on_submit():
        with form.catches():
            return _token(app, ("read",), "")
    return _page(app)


@bp.post("/apps/<id:app_id>/use/secrets-token")
def make_secrets_token(app_id: str) -> AnyResponse:
    """Create a token that reads the list with the passwords, and show it once."""
    app = apps.find(auth.user().id, app_id)
    form = SecretsTokenForm()
    if form.validate_on_submit():
        with form.catches():
            return _token(app, ("read", "secrets"), form.confirm_password.data)
    return _page(app, form)


@bp.get("/apps/<id:app_id>/use/token")
@bp.get("/apps/<id:app_id>/use/secrets-token")
def back_to_use(app_id: str) -> AnyResponse:
    """Redirect to the page when the URL of a form is reloaded."""
    return redirect(url_for(".use_app", app_id=app_id))


def _token(app: App, scopes: tuple[str, ...], password: str, done: str = "") -> AnyResponse:
    """Return the page with a new token, which nothing else contains; it leads to ``done``."""
    token = tokens.personal_token_in_browser(
        auth.user(),
        app.name,
        scopes,
        now() + TOKEN_LIFE,
        password=password,
        network=auth.network(),
    )
    html = render_template(
        "account/token.html",
        token=token,
        label=app.name,
        done=done or url_for(".use_app", app_id=app.id),
    )
    return Response(html, mimetype="text/html")


def _page(app: App, sent: SecretsTokenForm | None = None) -> AnyResponse:
    summary = overview.summaries([app.id]).get(app.id)
    first, total = overview.find_smtps(app, overview.ALL_SMTPS, 0, 1)
    smtp = first[0] if first else None
    if summary and summary.in_use:
        smtp = smtps.find(auth.user().id, summary.in_use[0])
    fetch = snippets.recipe(snippets.LIST_RECIPES, request.args.get("fetch", ""))
    form = sent or SecretsTokenForm(sent=False)
    return form.page(
        "apps/use.html",
        app=app,
        smtp=smtp,
        total=total,
        list_form=ListTokenForm(sent=False),
        fetch_recipes=snippets.LIST_RECIPES,
        fetch=snippets.for_list(fetch, auth.shown_url(), app.id),
        **(_server_context(app, smtp) if smtp else {"snippet": None}),
    )


def _server_context(app: App, smtp: Smtp) -> dict[str, object]:
    """Return what the shared part of both pages shows of an SMTP server."""
    chosen = snippets.recipe(snippets.RECIPES, request.args.get("in", ""))
    values = _values(app, smtp)
    return {
        "recipes": snippets.RECIPES,
        "snippet": snippets.for_server(chosen, values),
        "token_snippet": snippets.for_token(auth.shown_url(), smtp.id) if values.oauth else None,
        "lacks_from": not values.mail_from,
        "example_from": snippets.EXAMPLE_FROM,
    }


def _values(app: App, smtp: Smtp) -> Values:
    return Values(
        host=smtp.host,
        port=smtp.port,
        encryption=smtp.encryption,
        auth=smtp.auth,
        username=None if hides_username(smtp) else smtp.username or "",
        mail_from=checkability.sender(smtp, app.defaultfromemail),
        from_name=smtp.defaultfromname or app.defaultfromname or "",
        mail_to=app.testemail,
        oauth=smtp.uses_oauth,
    )
