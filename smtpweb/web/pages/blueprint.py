"""The blueprint and helpers shared by the pages of apps, SMTP servers and checks."""

from __future__ import annotations

from flask import Blueprint, request

from ... import validators
from ...errors import BadInput, Sentence
from ...registry.overview import Wanted
from ..http import auth
from . import drafts

bp = Blueprint("pages", __name__)
bp.url_value_preprocessor(auth.require_utf8)
bp.before_request(drafts.require_login)


def page_number() -> int:
    """Return the requested page, counted from 0; in the URL it is counted from 1."""
    try:
        return validators.integer(request.args.get("page", "1"), 1, 10**6) - 1
    except ValueError as error:
        raise BadInput({"page": [error.args[0]]}) from None


def wanted(states: tuple[str, ...], sorts: tuple[str, ...]) -> Wanted:
    """Return the filter and order of a list from ``q``, ``state`` and ``sort`` in the URL.

    The first of ``states`` and of ``sorts`` is the default.
    """
    errors = {}
    try:
        text = validators.text(request.args.get("q", "").strip(), most=100)
    except ValueError as error:
        text, errors["q"] = "", [error.args[0]]
    chosen = {}
    for name, known in (("state", states), ("sort", sorts)):
        chosen[name] = request.args.get(name) or known[0]
        if chosen[name] not in known:
            errors[name] = [
                Sentence("Must be one of: %(words)s.", words=", ".join(filter(None, known)))
            ]
    if errors:
        raise BadInput(errors)
    return Wanted(text, **chosen)


def address_of(wanted: Wanted, sorts: tuple[str, ...]) -> dict[str, str]:
    """Return the query parameters for the same list, such as for its next page."""
    sort = "" if wanted.sort == sorts[0] else wanted.sort
    asked = {"q": wanted.text, "state": wanted.state, "sort": sort}
    return {name: value for name, value in asked.items() if value}
