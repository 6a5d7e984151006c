"""The owner of a form: a signed hidden field that outlives the session."""

from __future__ import annotations

from flask import current_app, request
from flask_login import current_user
from itsdangerous import BadData, URLSafeTimedSerializer

from ...accounts.sessions import SESSION_LIFE
from . import auth

FIELD = "form_owner"
_LONGEST = 2 * int(SESSION_LIFE.total_seconds())  # a page may stay open after its session


def token() -> str:
    """Return the value of the hidden field; "" if nobody is signed in. It grants no access."""
    return _signer().dumps(auth.user().id) if current_user.is_authenticated else ""


def sent() -> str | None:
    """Return the id of the user who opened the submitted form; None if missing or invalid."""
    try:
        owner = _signer().loads(request.form.get(FIELD, ""), max_age=_LONGEST)
    except BadData:
        return None
    return str(owner)


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="smtpweb form owner")
