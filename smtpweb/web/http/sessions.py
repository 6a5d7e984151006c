"""The cookie session of the pages; the API, which is called with tokens, has none."""

from __future__ import annotations

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from . import i18n


class PageSessions(SecureCookieSessionInterface):
    """Flask's sessions, except that an API request opens none and depends on no cookie."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session in the cookie; None for the API: Flask then makes an empty one."""
        return None if i18n.is_api_path(request.path) else super().open_session(app, request)
