"""Read bodies that come in chunks, whole or not at all, before anything else reads them."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from ...errors import Sentence


def register(app: Flask) -> None:
    """Add it before every other hook: the CSRF check and some URL preprocessors read forms too."""
    app.url_value_preprocessor(_read_chunks)


def _read_chunks(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return
    try:
        body = request.get_data(cache=True)
    except (ParseException, OSError) as error:
        # gunicorn finds a bad chunk, and that there is no more, only when it is read
        raise BadRequest(Sentence("The chunked request body is malformed.")) from error
    # Werkzeug ends a body without a length at the limit and calls that all of it.
    if len(body) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge
