"""Refuse requests whose Host header is malformed or names a host that is not served here.

Flask reads the header before any of its error handlers can respond, so WSGI middleware checks it
first: it replaces an unusable host, and the request is refused once it has a context.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import BadRequest
from werkzeug.urls import iri_to_uri

from ...errors import Sentence

# Load balancers and monitoring systems request these by IP address.
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_REFUSED = "smtpweb.host_refused"

# RFC 3986 3.2.2, with DNS names (RFC 1035 2.3.1), and "_", which container names have
_HOST = re.compile(
    r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*)\.?)"
    r"(?::(?P<port>[0-9]{0,5}))?",
    re.ASCII,
)
_LONGEST = 253


def register(app: Flask, base_url: str | None) -> None:
    """Check the Host header of every request; behind a proxy, the one that the proxy forwards.

    ``base_url``: if set, its host is the only one served.
    """
    app.wsgi_app = _HostCheck(app.wsgi_app, base_url)  # type: ignore[method-assign]
    app.url_value_preprocessor(_refuse)


@functools.lru_cache(256)
def host_of(header: str) -> str | None:
    """Return the host of a Host header in lower case, without its port; None if malformed."""
    found = _HOST.fullmatch(header)
    if not found or int(found["port"] or 0) > 65535:
        return None
    if literal := found["literal"]:
        try:
            return str(ipaddress.IPv6Address(literal))
        except ValueError:
            return None
    name = found["name"].lower()
    return name if len(name) <= _LONGEST else None


class _HostCheck:
    """WSGI middleware; see the module docstring."""

    def __init__(self, app: Callable[..., Iterable[bytes]], base_url: str | None) -> None:
        self._app = app
        self._only = host_of(urlsplit(iri_to_uri(base_url)).netloc) if base_url else None

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        header = environ.get("HTTP_HOST")
        host = host_of(header) if header is not None else None
        if host is None:
            # HTTP/1.0 does not require the header; HTTP/1.1 does (RFC 9112 3.2).
            if header is not None or environ.get("SERVER_PROTOCOL") != "HTTP/1.0":
                environ[_REFUSED] = "malformed"
            environ["HTTP_HOST"] = self._only or "localhost"
        elif self._only and host != self._only and environ.get("PATH_INFO") not in _PROBES:
            environ[_REFUSED] = "other"
        return self._app(environ, start_response)


def is_refused(environ: dict[str, Any]) -> bool:
    """Return whether the middleware found that the host of this request is not served."""
    return _REFUSED in environ


def _refuse(_endpoint: str | None, _values: dict[str, Any] | None) -> None:
    # A URL preprocessor, because these run before all other hooks.
    why = request.environ.get(_REFUSED)
    if why == "malformed":
        raise BadRequest(Sentence("The Host header of this request is malformed."))
    if why:
        raise BadRequest(Sentence("This host name is not served here."))
