"""Read chunked request bodies completely, or refuse them, before anything else reads them."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from ...errors import Sentence


def register(app: Flask) -> None:
    """Register before all other hooks: the CSRF check and some URL preprocessors read forms too."""
    app.url_value_preprocessor(_read_chunks)


def _read_chunks(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    if "chunked" not in request.environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return
    try:
        body = request.get_data(cache=True)
    except (ParseException, OSError) as error:
        # gunicorn detects a bad chunk or a truncated body only when it is read.
        raise BadRequest(Sentence("The chunked request body is malformed.")) from error
    # Werkzeug silently truncates a body without a length at the limit.
    if len(body) >= (request.max_content_length or 0):
        raise RequestEntityTooLarge
