"""The API by which an app's mailer gets access tokens."""

from __future__ import annotations

from flask import Response, g

from ...checking import tokens
from ..http import auth
from . import parameters, schema
from .views import bp


@bp.get("/private/smtps/token")
@auth.needs("token")
def find_access_token() -> Response:
    """Return an OAuth access token for an SMTP server; the client secret stays here."""
    sent = parameters.Sent()
    smtp_id = sent.id("idsmtp")
    sent.done()
    issued = tokens.issue(g.caller, smtp_id)
    return schema.reply(
        {
            "idsmtp": smtp_id,
            "username": issued.username,
            "accesstoken": issued.token,
            "tokentype": "Bearer",
            "expires": schema.time(issued.expires),
        }
    )
