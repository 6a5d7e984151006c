"""Compress what is the same for everybody, and nothing else.

A reply that holds a secret, such as the CSRF token of every form, beside words that its address
chose, such as those of a filter, would leak the secret through its compressed length (BREACH).
Style sheets, scripts, icons and the description of the API hold none. A stream of events is never
touched: a compressor would hold its events back.
"""

from __future__ import annotations

from flask import Flask, Response, g, request
from flask_compress import Compress
from flask_compress.flask_compress import DictCache

# Endpoints whose replies depend on nothing but their path.
PUBLIC = frozenset({"static", "bootstrap.static", "dark.rules", "probes.description"})


def register(app: Flask) -> None:
    """Compress these replies for every client that accepts it."""
    app.config.update(
        COMPRESS_REGISTER=False,  # it would compress every reply
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_BR_LEVEL=9,  # slow, but done once per file and process
        COMPRESS_LEVEL=9,
        COMPRESS_CACHE_BACKEND=DictCache,
        COMPRESS_CACHE_KEY=lambda _request: g.content,
    )
    compress = Compress(app)

    @app.after_request
    def shrink(response: Response) -> Response:
        if request.endpoint not in PUBLIC:
            return response
        response.vary.add("Accept-Encoding")
        # A part of a file (206) is a part of the file as it is. Flask-Compress takes a coding that
        # is refused by ";q=0" for one that is accepted.
        refuses = any(quality == 0 for _, quality in request.accept_encodings)
        if response.status_code == 200 and not refuses:
            response.direct_passthrough = False
            response.get_data()  # reads and closes the file, which would else count as a stream
            response.add_etag()
            g.content = f"{request.path} {response.get_etag()[0]}"
            response = compress.after_request(response)
        return response
