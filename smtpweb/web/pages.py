"""The HTML door: what the pages of apps, SMTPs and checks share."""

from __future__ import annotations

from flask import Blueprint, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from .. import values
from ..errors import BadInput
from . import access

bp = Blueprint("pages", __name__)
bp.url_value_preprocessor(access.require_utf8)
bp.before_request(access.require_login)


@bp.get("/")
def home() -> AnyResponse:
    """The first page is the list of apps."""
    return redirect(url_for(".list_apps"))


def page_number() -> int:
    """The page that is asked for, counted from 0; in the address it is counted from 1."""
    try:
        return values.integer(request.args.get("page", "1"), 1, 10**6) - 1
    except ValueError as error:
        raise BadInput({"page": [error.args[0]]}) from None
