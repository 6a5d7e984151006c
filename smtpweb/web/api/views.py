"""The views of the JSON API: /auth/login, /private/apps, /private/smtps; also under /api."""

from __future__ import annotations

from flask import Blueprint, Response, g

from ... import validators
from ...accounts import tokens, users
from ...checking import explain as explaining
from ...checking import saving, service, unsaved, verdict
from ...database.models import Check, Smtp
from ...errors import BadInput, CredentialsNotValid, NotAuthorized, NotFound
from ...registry import api_rows, apps, fields, oauth_rules, smtps, switches
from ..errors import describe
from ..http import auth
from . import parameters, problems, schema, smtp_answer
from .smtp_answer import Smtps

bp = Blueprint("api", __name__)
bp.before_request(auth.require_token)


@bp.after_request
def require_caller(response: Response) -> Response:
    """Refuse any successful response without an authenticated caller, in case a view forgot it."""
    if response.status_code < 400 and "caller" not in g:
        return problems.reply(describe(NotAuthorized("No token was looked up for this call.")))
    return response


login_bp = Blueprint("api_login", __name__)  # the only call that requires no token


@login_bp.post("/auth/login")
def login() -> Response:
    """Exchange a user name and password for a token that is valid for 24 hours."""
    parameters.refuse_in_query("username", "password")
    sent = parameters.Sent()
    name = sent.text("username", str, required=True)
    password = sent.text("password", str, required=True)
    sent.done()
    user = users.sign_in(name or "", password or "", auth.network())
    if user is None:
        raise CredentialsNotValid("The user name or the password is wrong.")
    return schema.reply(
        {
            "token": tokens.login_token(user),
            "role": "ADMIN" if user.is_admin else "USER",
            "userId": user.id,
            "username": user.name,
            "clientId": user.id,
        }
    )


# --- SMTP servers --------------------------------------------------------------------------


@bp.post("/private/smtps/save")
@auth.needs("write")
def save_smtp() -> Response:
    """Create an SMTP server, or edit the one with the id ``idsmtp``."""
    sent = parameters.Sent()
    app_id = sent.id("idapp")
    smtp_id = sent.id("idsmtp", required=False)
    changes, oauth = parameters.smtp_changes(sent), parameters.oauth_changes(sent)
    once = sent.once()
    sent.done()
    saved = saving.save(g.caller.user_id, app_id, changes, oauth, smtp_id or None, once=once)
    return _smtp_reply(saved)


@bp.get("/private/smtps/findByApp")
@auth.needs("read", joined=True)
def find_smtps_by_app() -> Response:
    """Return the SMTP servers of an app as an array, in order of use."""
    sent = parameters.Sent()
    caller, rows = auth.caller_and(api_rows.smtps_of_app, sent.id("idapp"))
    sent.done()
    if rows[0].app_found is None:
        raise NotFound("App")
    found = rows if rows[0].id else ()
    secrets = caller.may("secrets")
    return smtp_answer.reply(Smtps(found, rows[0].app_sender, secrets=secrets), one=False)


@bp.get("/private/smtps/findById")
@auth.needs("read", joined=True)
def find_smtp_by_id() -> Response:
    """Return one SMTP server."""
    sent = parameters.Sent()
    caller, rows = auth.caller_and(api_rows.smtp_by_id, sent.id("idsmtp"))
    sent.done()
    if rows[0].app_found is None:
        raise NotFound("SMTP")
    secrets = caller.may("secrets")
    return smtp_answer.reply(Smtps(rows, rows[0].app_sender, secrets=secrets), one=True)


@bp.post("/private/smtps/remove")
@auth.needs("write")
def remove_smtp() -> Response:
    """Remove an SMTP server."""
    sent = parameters.Sent()
    smtp_id = _smtp_under_either_name(sent)
    sent.done()
    smtps.remove(g.caller.user_id, smtp_id)
    return Response(status=200)


@bp.post("/private/smtps/enable")
@auth.needs("write")
def enable_smtp() -> Response:
    """Enable an SMTP server, whether a person or a check disabled it."""
    sent = parameters.Sent()
    smtp_id = sent.id("idsmtp")
    sent.done()
    return _smtp_reply(switches.enable(g.caller.user_id, smtp_id))


@bp.post("/private/smtps/disable")
@auth.needs("write")
def disable_smtp() -> Response:
    """Turn an SMTP server off, until further notice or a time; no check enables it."""
    sent = parameters.Sent()
    smtp_id = sent.id("idsmtp")
    until = sent.text("until", validators.moment)
    note = sent.text("note", validators.note)
    sent.done()
    return _smtp_reply(switches.disable(g.caller.user_id, smtp_id, until=until, note=note or ""))


def _smtp_reply(smtp: Smtp) -> Response:
    sender = smtp.app.defaultfromemail
    return schema.reply(smtp_answer.smtp(smtp, sender, secrets=g.caller.may("secrets")))


@bp.post("/private/smtps/check")
@auth.needs("check")
def check_smtp() -> Response:
    """Check an SMTP server by a test email, or without one: 200 if it accepted, otherwise 406."""
    parameters.refuse_in_query("accesstoken")
    sent = parameters.Sent()
    mode = sent.text("mode", parameters.check_mode) or verdict.EMAIL
    if mode == verdict.PROBE and "host" in sent:
        return _probe_unsaved(sent)
    smtp_id = _smtp_under_either_name(sent)
    token = sent.text("accesstoken", oauth_rules.access_token)
    sent.done()
    check = service.run(
        g.caller, smtp_id, mode=mode, base_url=auth.base_url(), access_token=token or ""
    )
    if not check.accepted:
        return problems.failed_check(check)
    return _probed(check) if mode == verdict.PROBE else Response(status=200)


def _probe_unsaved(sent: parameters.Sent) -> Response:
    parameters.refuse_in_query(*fields.SECRETS)
    app_id, smtp_id = sent.id("idapp"), sent.id("idsmtp", required=False)
    changes, oauth = parameters.smtp_changes(sent), parameters.oauth_changes(sent)
    token = sent.text("accesstoken", oauth_rules.access_token)
    sent.done()
    if not g.caller.may("write"):  # they could be saved and checked, but not without this
        raise NotAuthorized("Settings that are not saved require a token with the scope 'write'.")
    report = unsaved.probe(
        g.caller, app_id, changes, smtp_id or None, oauth=oauth, access_token=token or ""
    )
    return _probed(None) if report.accepted else problems.failed_report(report)


def _probed(check: Check | None) -> Response:
    """Say what was not proved and, unless the settings are not saved, how the server is now."""
    said: dict[str, object] = {
        "idcheck": check.id if check else None,
        "notProved": list(verdict.NOT_PROVED),
    }
    if check:
        said["status"] = "A" if check.smtp.enabled else "D"
        if reason := verdict.why_still_disabled(check):
            said["detail"] = str(reason)
    return schema.reply(said)


@bp.post("/private/smtps/explain")
@auth.needs("read")
def explain_error() -> Response:
    """Explain a pasted error; nothing is stored."""
    sent = parameters.Sent()
    text = sent.text("text", str, required=True)
    host = sent.text("host", str)
    provider = sent.text("provider", str)
    sent.done()
    found = explaining.explain(text or "", host or "", provider or "", g.caller.user_id)
    return schema.reply(schema.explanation(found))


def _smtp_under_either_name(sent: parameters.Sent) -> str:
    """Return the SMTP server's id, which the published documents call ``idapp``."""
    return sent.id("idsmtp", required=False) if "idsmtp" in sent else sent.id("idapp")


# --- apps ----------------------------------------------------------------------------------


@bp.post("/private/apps/save")
@auth.needs("write")
def save_app() -> Response:
    """Create an app, or edit the one with the id ``idapp``."""
    sent = parameters.Sent()
    app_id = sent.id("idapp", required=False)
    changes = parameters.app_changes(sent, edit=bool(app_id))
    once = sent.once()
    sent.done()
    saved = apps.save(g.caller.user_id, changes, app_id or None, once=once)
    return schema.reply(schema.app(saved))


@bp.get("/private/apps/findAll")
@auth.needs("read", joined=True)
def find_apps() -> Response:
    """Return one page of the caller's apps, sorted by name."""
    sent = parameters.Sent()
    number = sent.text("page", lambda value: validators.integer(value, 0, 10**6), required=True)
    size = sent.text("size", lambda value: validators.integer(value, 1, 1000), required=True)
    _caller, rows = auth.caller_and(api_rows.apps_by_name, number or 0, size or 1)
    sent.done()
    if number is None or size is None:  # for the type checker: done() has raised
        raise BadInput({})
    shown = [schema.app(row.app) for row in rows if row.app]
    return schema.reply(schema.page(shown, number, size, rows[0].total))


@bp.get("/private/apps/findById")
@auth.needs("read", joined=True)
def find_app_by_id() -> Response:
    """Return one app."""
    sent = parameters.Sent()
    _caller, rows = auth.caller_and(api_rows.app_by_id, sent.id("idapp"))
    sent.done()
    if rows[0].app is None:
        raise NotFound("App")
    return schema.reply(schema.app(rows[0].app))


@bp.post("/private/apps/remove")
@auth.needs("write")
def remove_app() -> Response:
    """Remove an app with its SMTP servers and their history."""
    sent = parameters.Sent()
    app_id = sent.id("idapp")
    sent.done()
    apps.remove(g.caller.user_id, app_id)
    return Response(status=200)
