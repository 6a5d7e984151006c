"""The API representation of SMTP servers, and its entity tag (RFC 9110 8.8.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

from flask import Response, request
from werkzeug.datastructures import ETags

from ... import installation
from ...database.models import hides_username
from ...database.rows import SmtpRow
from ...errors import SecretUnreadable
from ...registry import fields, grants, smtps
from . import schema


def smtp(row: SmtpRow, app_sender: str | None, *, secrets: bool) -> dict[str, Any]:
    """Return the API representation of one SMTP server."""
    return Smtps([row], app_sender, secrets=secrets).opened()[0]


class Smtps:
    """The API representation of SMTP servers of one app, entities or rows.

    ``app_sender``: the default From address of the app. ``secrets``: whether the caller may see
    passwords, and user names that are as secret. Only :meth:`opened` decrypts them.
    """

    def __init__(self, rows: Sequence[SmtpRow], app_sender: str | None, *, secrets: bool) -> None:
        self._rows, self._secrets = rows, secrets
        self._find_warnings = smtps.warnings_finder(app_sender)
        self._shown = [self._show(row) for row in rows]

    def _show(self, row: SmtpRow) -> dict[str, Any]:
        shown = _EMPTY.copy()
        shown.update(zip(_COPIED, _values_of(row), strict=True))
        shown["created"] = schema.time(row.created)
        shown["modified"] = schema.time(row.modified)
        shown["status"] = "A" if row.enabled else "D"
        if (extras := _extras_of(row)) != _NO_EXTRAS:
            for name, value in zip(_EXTRA, extras, strict=True):
                if value is not None:
                    shown[name] = f"{value:%Y-%m-%d}" if isinstance(value, datetime) else value
        if row.uses_oauth:
            shown.update(grants.shown(row))
        if row.off_since is not None:
            shown["off"] = {
                "since": schema.time(row.off_since),
                "until": schema.time(row.off_until) if row.off_until else None,
                "note": row.off_note,
            }
        if not self._secrets and hides_username(row):
            shown["username"] = None
        if found := self._find_warnings(row):
            shown["warnings"] = schema.warnings(found)
        return shown

    @property
    def etag(self) -> str:
        """What changes whenever the result of :meth:`opened` does; no password is decrypted.

        It is the digest of all that is shown except passwords, and of the versions of the rows,
        because changing a password raises the version.
        """
        versions = [row.version for row in self._rows]
        content = schema.encode([self._secrets, versions, self._shown])
        return hashlib.blake2b(content, digest_size=12).hexdigest()

    def opened(self) -> list[dict[str, Any]]:
        """Return an object for each SMTP server, with its password if the caller may see it."""
        if self._secrets:
            box = installation.secret_box()
            for row, shown in zip(self._rows, self._shown, strict=True):
                try:
                    shown["password"] = smtps.open_password(row, box)
                except SecretUnreadable:  # one bad row must not hide the others
                    found = smtps.with_unreadable(self._find_warnings(row))
                    shown["warnings"] = schema.warnings(found)
        return self._shown


def reply(answer: Smtps, *, one: bool) -> Response:
    """Return the SMTP servers as an array, or ``one``; 304 if the client has this state of them."""
    status, headers, body = parts(answer, request.if_none_match, one=one)
    return Response(body, status, headers, mimetype="application/json")


def parts(answer: Smtps, known: ETags, *, one: bool) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status, headers and body of :func:`reply`; ``known``: the tags that the client has."""
    etag = answer.etag
    headers = [("ETag", f'W/"{etag}"'), *_KEPT]
    if known.contains_weak(etag):
        return "304 NOT MODIFIED", headers, b""
    shown = answer.opened()
    body = schema.encode(shown[0] if one else shown)
    headers += (("Content-Type", "application/json"), ("Content-Length", str(len(body))))
    return "200 OK", headers, body


# A client may keep the answer, which depends on the token, but has to ask before using it.
_KEPT = (("Cache-Control", "private, no-cache"), ("Vary", "Authorization"))
# The members in their order, and the attribute that each is copied from
_MEMBERS: dict[str, str | None] = {
    "_id": "id",
    "idapp": "app_id",
    **{
        field.shown_as or name: None if field.secret else name
        for name, field in fields.SMTP.items()
        if not field.extra
    },
    "numerrors": "numerrors",
    "created": None,
    "modified": None,
    "status": None,
}
# These follow, each only if it has a value
_EXTRA = tuple(name for name, field in fields.SMTP.items() if field.extra and not field.secret)
_extras_of = attrgetter(*_EXTRA)
_NO_EXTRAS = (None,) * len(_EXTRA)
_EMPTY: dict[str, Any] = dict.fromkeys(_MEMBERS)
_COPIED = tuple(member for member, attribute in _MEMBERS.items() if attribute)
_values_of = attrgetter(*filter(None, _MEMBERS.values()))
