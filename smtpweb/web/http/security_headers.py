"""Security headers for every response, including errors."""

from __future__ import annotations

from flask import Flask, Response, request

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)

NOT_KEPT = "no-store"  # Cache-Control of responses that say nothing else

_HEADERS = [
    ("Content-Security-Policy", _CSP),
    ("X-Content-Type-Options", "nosniff"),
    # Not no-referrer: over HTTPS, the CSRF check requires a Referer of this site.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
]
_OF_HTTPS = [*_HEADERS, ("Strict-Transport-Security", "max-age=31536000")]


def register(app: Flask) -> None:
    """Add the headers to every response."""
    app.after_request(_protect)


def _protect(response: Response) -> Response:
    headers = response.headers
    headers.extend(of(request.is_secure))
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = NOT_KEPT
    return response


def of(secure: bool) -> list[tuple[str, str]]:
    """Return the headers of every response; ``secure``: over HTTPS."""
    return _OF_HTTPS if secure else _HEADERS
