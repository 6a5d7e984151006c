"""The cookie session of the pages; the API, which is called with tokens, has none."""

from __future__ import annotations

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from . import i18n

_MESSAGES = "_flashes"  # Flask's key of messages that no page has shown yet, oldest first
# Browsers drop a cookie beyond 4 KiB, and nginx refuses a response with 4 KiB of headers: both
# although the request was processed.
_MOST_BYTES = 2500


class PageSessions(SecureCookieSessionInterface):
    """Flask's sessions, except that an API request opens none and depends on no cookie.

    If messages pile up, because no page shows them, the oldest are dropped.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session in the cookie; None for the API: Flask then makes an empty one."""
        return None if i18n.is_api_path(request.path) else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the session in the cookie, with as many of the newest messages as fit."""
        signer = self.get_signing_serializer(app)
        while (
            session.modified
            and signer is not None
            and (waiting := session.get(_MESSAGES))
            and len(signer.dumps(dict(session))) > _MOST_BYTES
        ):
            session[_MESSAGES] = waiting[1:]
        super().save_session(app, session, response)
