"""Whose a form is: a signed hidden field, which is still there when the session has ended."""

from __future__ import annotations

from flask import current_app, request
from flask_login import current_user
from itsdangerous import BadData, URLSafeTimedSerializer

from ...accounts.sessions import SESSION_LIFE
from . import auth

FIELD = "form_owner"
_LONGEST = 2 * int(SESSION_LIFE.total_seconds())  # a page may stay open after its session


def token() -> str:
    """What a form of this page carries; it opens nothing. Empty where nobody is signed in."""
    return _signer().dumps(auth.user().id) if current_user.is_authenticated else ""


def sent() -> str | None:
    """The id of the user who had the form open that this request sends."""
    try:
        owner = _signer().loads(request.form.get(FIELD, ""), max_age=_LONGEST)
    except BadData:
        return None
    return str(owner)


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="smtpweb form owner")
