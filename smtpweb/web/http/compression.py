"""Compress what leaks nothing by its compressed length.

A response that contains a secret, such as the CSRF token of a form, together with text taken from
its URL, such as that of a filter, would leak the secret through its compressed length to a site
that makes the browser request it with many guesses (BREACH). So a page is compressed only if the
browser says that no other site caused the request (Sec-Fetch-Site, of the Fetch Metadata Request
Headers), and if nothing in it comes from the query; in the lists the text of the filter does, but
no script of theirs requests an URL that it was given. Style sheets, scripts, icons and the OpenAPI
document contain no secret. Event streams are never compressed: a compressor would buffer their
events.
"""

from __future__ import annotations

import gzip

from flask import Flask, Response, g, request
from flask_compress import Compress
from flask_compress.flask_compress import DictCache

# Endpoints whose responses depend only on their path.
PUBLIC = frozenset({"static", "bootstrap.static", "dark.rules", "probes.description"})
LISTS = frozenset({"pages.list_apps", "pages.show_app", "pages.show_order", "pages.list_smtps"})
_SMALL = 1000  # bytes that fit into the first packet anyway
_LEVEL = 5  # 1 ms for a page of 90 kB


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
            return _shrink_page(response)
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


def _shrink_page(response: Response) -> Response:
    if response.mimetype != "text/html" or not _may_shrink():
        return response
    response.vary.add("Accept-Encoding")
    response.vary.add("Sec-Fetch-Site")
    accepts = any(name == "gzip" and quality > 0 for name, quality in request.accept_encodings)
    if response.status_code == 200 and accepts and not response.is_streamed:
        page = response.get_data()
        if len(page) > _SMALL:
            response.set_data(gzip.compress(page, _LEVEL, mtime=0))
            response.content_encoding = "gzip"
    return response


def _may_shrink() -> bool:
    if request.method != "GET":
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if request.query_string:
        return site == "same-origin" and request.endpoint in LISTS
    return site in ("same-origin", "none")  # none: the address was typed, or is a bookmark
