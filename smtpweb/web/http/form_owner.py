"""The owner of a form: a signed hidden field that outlives the session, for one path only."""

from __future__ import annotations

from flask import current_app, request
from flask_login import current_user
from itsdangerous import BadData, URLSafeTimedSerializer

from ...accounts.sessions import SESSION_LIFE
from . import auth

FIELD = "form_owner"
_LONGEST = 2 * int(SESSION_LIFE.total_seconds())  # a page may stay open after its session


def token(action: str = "") -> str:
    """Return the value of the hidden field; "" if nobody is signed in. It grants no access.

    ``action``: where the form is posted to, if not to the path of its page.
    """
    if not current_user.is_authenticated:
        return ""
    return _signer().dumps([auth.user().id, action or request.path])


def sent() -> str | None:
    """Return the id of the user who opened the submitted form; None if missing or invalid."""
    try:
        content = _signer().loads(request.form.get(FIELD, ""), max_age=_LONGEST)
    except BadData:
        return None
    if not isinstance(content, list) or content[1:] != [request.path]:
        return None  # of another form, or of a page from before an update
    return str(content[0])


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(str(current_app.secret_key), salt="smtpweb form owner")
