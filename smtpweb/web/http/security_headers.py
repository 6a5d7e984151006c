"""Security headers for every response, including errors."""

from __future__ import annotations

from flask import Flask, Response, request

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)

_HEADERS = (
    ("Content-Security-Policy", _CSP),
    ("X-Content-Type-Options", "nosniff"),
    # Not no-referrer: over HTTPS, the CSRF check requires a Referer of this site.
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)


def register(app: Flask) -> None:
    """Add the headers to every response."""
    app.after_request(_protect)


def _protect(response: Response) -> Response:
    headers = response.headers
    headers.extend(_HEADERS)
    if request.is_secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"
    return response
