"""Compress only responses that are the same for everybody.

A response that contains a secret, such as the CSRF token of a form, together with text taken from
its URL, such as that of a filter, would leak the secret through its compressed length (BREACH).
Style sheets, scripts, icons and the OpenAPI document contain none. Event streams are never
compressed: a compressor would buffer their events.
"""

from __future__ import annotations

from flask import Flask, Response, g, request
from flask_compress import Compress
from flask_compress.flask_compress import DictCache

# Endpoints whose responses depend only on their path.
PUBLIC = frozenset({"static", "bootstrap.static", "dark.rules", "probes.description"})


def register(app: Flask) -> None:
    """Compress these responses for every client that accepts it."""
    app.config.update(
        COMPRESS_REGISTER=False,  # it would compress every response
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
        # A partial response (206) is a range of the uncompressed file. Flask-Compress treats a
        # coding refused with ";q=0" as accepted.
        refuses = any(quality == 0 for _, quality in request.accept_encodings)
        if response.status_code == 200 and not refuses:
            response.direct_passthrough = False
            response.get_data()  # reads and closes the file, which otherwise counts as a stream
            response.add_etag()
            g.content = f"{request.path} {response.get_etag()[0]}"
            response = compress.after_request(response)
        return response
