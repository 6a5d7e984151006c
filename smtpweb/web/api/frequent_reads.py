"""Answer findByApp and findById, which mailers ask for all the time, without a Flask request.

WSGI middleware: what Flask prepares for a request takes longer than these calls. It answers only
plain, permitted calls, and those whose token is unknown. All others are left to the views, which
give the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.http import parse_etags

from ...accounts import tokens
from ...database.rows import TokenAndSmtp
from ...database.secret_box import digest_of
from ...errors import CredentialsNotValid
from ...registry import api_rows
from ..errors import STORAGE_FAILURES, Problem, describe, describe_storage
from ..http import auth, host_header, security_headers
from . import problems, smtp_answer

Headers = list[tuple[str, str]]
Answer = tuple[str, Headers, bytes]  # status line, headers, body
Wsgi = Callable[..., Iterable[bytes]]


class _Read(NamedTuple):
    query: re.Pattern[str]
    rows: Callable[[str, str], Sequence[TokenAndSmtp]]  # of (digest of the token, id)
    one: bool


_BY_APP = _Read(re.compile("idapp=([0-9a-f]{24})"), api_rows.smtps_of_app, one=False)
_BY_ID = _Read(re.compile("idsmtp=([0-9a-f]{24})"), api_rows.smtp_by_id, one=True)
_READS = {
    prefix + path: read
    for prefix in ("", "/api")
    for path, read in (
        ("/private/smtps/findByApp", _BY_APP),
        ("/private/smtps/findById", _BY_ID),
    )
}


def register(app: Flask) -> None:
    """Answer these calls before Flask does; inside the middleware that checks the host."""
    app.wsgi_app = _FrequentReads(app, app.wsgi_app)  # type: ignore[method-assign]


class _FrequentReads:
    def __init__(self, app: Flask, others: Wsgi) -> None:
        self._app, self._others = app, others

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        read = _READS.get(environ["PATH_INFO"])
        wanted = read and read.query.fullmatch(environ.get("QUERY_STRING", ""))
        token = wanted and auth.bearer(environ.get("HTTP_AUTHORIZATION", ""))
        if read and wanted and token and _is_plain(environ):
            try:
                answer = self._answer(environ, read, wanted[1], token)
            except STORAGE_FAILURES as error:  # the view would wait for the database again
                answer = _problem(describe_storage(error), environ)
            except Exception:  # the view meets it as well, and its error handlers answer it
                answer = None
            if answer is not None:
                status, headers, body = answer
                start_response(status, headers)
                return [body]
        return self._others(environ, start_response)

    def _answer(
        self, environ: dict[str, Any], read: _Read, wanted: str, token: str
    ) -> Answer | None:
        with self._app.app_context():
            rows = read.rows(digest_of(token), wanted)
            if not rows:
                return _problem(describe(CredentialsNotValid(auth.UNKNOWN_TOKEN)), environ)
            caller, first = tokens.caller_of(rows[0]), rows[0]
            if first.app_found is None or not caller.may("read"):
                return None
            found = rows if first.id else ()
            answer = smtp_answer.Smtps(found, first.app_sender, secrets=caller.may("secrets"))
            known = parse_etags(environ.get("HTTP_IF_NONE_MATCH"))
            status, headers, body = smtp_answer.parts(answer, known, one=read.one)
        return status, headers + security_headers.of(environ["wsgi.url_scheme"] == "https"), body


def _is_plain(environ: dict[str, Any]) -> bool:
    """Return whether a request is a GET without a body, for a host that is served."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and not environ.get("CONTENT_LENGTH")
        and "HTTP_TRANSFER_ENCODING" not in environ
        and not host_header.is_refused(environ)
    )


def _problem(problem: Problem, environ: dict[str, Any]) -> Answer:
    reply = problems.reply(problem)
    secure = environ["wsgi.url_scheme"] == "https"
    headers = [*reply.headers, *security_headers.of(secure)]
    headers.append(("Cache-Control", security_headers.NOT_KEPT))
    return reply.status, headers, reply.get_data()
