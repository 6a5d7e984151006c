"""The JSON door: /auth/login, /private/apps and /private/smtps, also under /api."""

from __future__ import annotations

from flask import Blueprint, Response, g

from .. import accounts, apps, checks, smtps, tokens, values
from ..errors import BadInput, CredentialsNotValid, NotFound
from . import access, errors, wire

bp = Blueprint("api", __name__)
bp.before_request(access.require_token)

login_bp = Blueprint("api_login", __name__)  # the one call that nobody has a token for yet


@login_bp.post("/auth/login")
def login() -> Response:
    """Exchange a user name and a password for a token that lives 24 hours."""
    sent = wire.Sent()
    name = sent.text("username", str, required=True)
    password = sent.text("password", str, required=True)
    sent.done()
    user = accounts.sign_in(name or "", password or "", access.network())
    if user is None:
        raise CredentialsNotValid("The user name or the password is wrong.")
    return wire.reply(
        {
            "token": tokens.login_token(user),
            "role": "ADMIN" if user.is_admin else "USER",
            "userId": user.id,
            "username": user.name,
            "clientId": user.id,
        }
    )


# --- SMTPs ---------------------------------------------------------------------------------


@bp.post("/private/smtps/save")
@access.needs("write")
def save_smtp() -> Response:
    """Create an SMTP, or edit the one that ``idsmtp`` names."""
    sent = wire.Sent()
    app_id = sent.id("idapp")
    smtp_id = sent.id("idsmtp", required=False)
    changes = wire.smtp_changes(sent)
    sent.done()
    saved = smtps.save(g.caller.user_id, app_id, changes, smtp_id or None)
    sender = saved.app.defaultfromemail
    return wire.reply(wire.smtp(saved, sender, secrets=g.caller.may("secrets")))


@bp.get("/private/smtps/findByApp")
@access.needs("read", joined=True)
def find_smtps_by_app() -> Response:
    """The SMTPs of an app as an array, in the order of their use."""
    sent = wire.Sent()
    caller, rows = access.caller_and(smtps.rows_by_app, sent.id("idapp"))
    sent.done()
    if rows[0].app_found is None:
        raise NotFound("App")
    secrets = caller.may("secrets")
    return wire.reply([wire.smtp(row, row.app_sender, secrets=secrets) for row in rows if row.id])


@bp.get("/private/smtps/findById")
@access.needs("read", joined=True)
def find_smtp_by_id() -> Response:
    """One SMTP."""
    sent = wire.Sent()
    caller, rows = access.caller_and(smtps.rows_by_id, sent.id("idsmtp"))
    sent.done()
    if rows[0].app_found is None:
        raise NotFound("SMTP")
    row = rows[0]
    return wire.reply(wire.smtp(row, row.app_sender, secrets=caller.may("secrets")))


@bp.post("/private/smtps/remove")
@access.needs("write")
def remove_smtp() -> Response:
    """Remove an SMTP."""
    smtps.remove(g.caller.user_id, _smtp_under_either_name())
    return Response(status=200)


@bp.post("/private/smtps/check")
@access.needs("check")
def check_smtp() -> Response:
    """Send a test mail through an SMTP: 200 where the server accepted it, else 406."""
    check = checks.run(g.caller, _smtp_under_either_name(), base_url=access.base_url())
    if check.accepted:
        return Response(status=200)
    return errors.failed_check(check)


def _smtp_under_either_name() -> str:
    """The SMTP's id; the documents of this API list it under the name of the app's id."""
    sent = wire.Sent()
    smtp_id = sent.id("idsmtp", required=False) if "idsmtp" in sent else sent.id("idapp")
    sent.done()
    return smtp_id


# --- apps ----------------------------------------------------------------------------------


@bp.post("/private/apps/save")
@access.needs("write")
def save_app() -> Response:
    """Create an app, or edit the one that ``idapp`` names."""
    sent = wire.Sent()
    app_id = sent.id("idapp", required=False)
    changes: apps.AppChanges = {}
    sent.into(changes, "name", values.app_name, required=not app_id)
    sent.into(changes, "testemail", values.email)
    sent.into(changes, "defaultfromemail", values.email)
    sent.into(changes, "defaultfromname", values.display_name)
    sent.into(changes, "strategy", values.strategy)
    sent.done()
    return wire.reply(wire.app(apps.save(g.caller.user_id, changes, app_id or None)))


@bp.get("/private/apps/findAll")
@access.needs("read")
def find_apps() -> Response:
    """One page of the caller's apps, by name."""
    sent = wire.Sent()
    number = sent.text("page", lambda value: values.integer(value, 0, 10**6), required=True)
    size = sent.text("size", lambda value: values.integer(value, 1, 1000), required=True)
    sent.done()
    if number is None or size is None:  # done() has raised: this is for the type checker
        raise BadInput({})
    rows, total = apps.find_all(g.caller.user_id, number, size)
    return wire.reply(wire.page([wire.app(row) for row in rows], number, size, total))


@bp.get("/private/apps/findById")
@access.needs("read")
def find_app_by_id() -> Response:
    """One app."""
    sent = wire.Sent()
    app_id = sent.id("idapp")
    sent.done()
    return wire.reply(wire.app(apps.find(g.caller.user_id, app_id)))


@bp.post("/private/apps/remove")
@access.needs("write")
def remove_app() -> Response:
    """Remove an app with its SMTPs and their history."""
    sent = wire.Sent()
    app_id = sent.id("idapp")
    sent.done()
    apps.remove(g.caller.user_id, app_id)
    return Response(status=200)
