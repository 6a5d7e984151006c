"""Return objects as the API shows them, under the member names of QUEUEMAIL.DEV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from flask import Response

from ...database.models import AlarmChannel, App, hides_username
from ...database.rows import SmtpRow
from ...mailcheck.explain.explanation import Explanation
from ...providers.settings import Warning
from ...registry import fields, smtps
from ...registry.fields import Field

T = TypeVar("T")


def smtp(row: SmtpRow, app_sender: str | None, *, secrets: bool) -> dict[str, Any]:
    """Return the API representation of an SMTP server or a row of one.

    ``app_sender``: the default From address of its app. ``secrets``: include the password.
    """
    if secrets:
        password, found = smtps.password_and_warnings(row, app_sender)
        hidden: dict[str, Any] = {"password": password}
    else:
        found = smtps.warnings_of(row, app_sender)
        hidden = {"password": None}
        if hides_username(row):
            hidden["username"] = None
    shown: dict[str, Any] = {
        "_id": row.id,
        "idapp": row.app_id,
        **_members(row, fields.SMTP, hidden),
        "numerrors": row.numerrors,
        "created": time(row.created),
        "modified": time(row.modified),
        "status": "A" if row.enabled else "D",
    }
    shown |= _extra_members(row, fields.SMTP)
    if row.off_since is not None:
        shown["off"] = {
            "since": time(row.off_since),
            "until": time(row.off_until) if row.off_until else None,
            "note": row.off_note,
        }
    if found:
        shown["warnings"] = warnings(found)
    return shown


def _members(row: Any, table: Mapping[str, Field], instead: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a row by their API names; ``instead`` overrides stored values."""
    return {
        field.shown_as or name: instead[name] if name in instead else getattr(row, name)
        for name, field in table.items()
        if not field.extra
    }


def _extra_members(row: Any, table: Mapping[str, Field]) -> dict[str, Any]:
    """Return the members that follow the documented ones, each only if it has a value."""
    values = {name: getattr(row, name) for name, field in table.items() if field.extra}
    return {
        name: f"{value:%Y-%m-%d}" if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def warnings(found: Iterable[Warning]) -> list[dict[str, str | None]]:
    """Return warnings about likely failures, by API parameter name."""
    return [
        {"parameter": _FLAG.get(one.field, one.field), "code": one.code, "message": str(one.text)}
        for one in found
    ]


def explanation(found: Explanation) -> dict[str, Any]:
    """Return the explanation of a pasted error, with the member names of a failed check."""
    diagnosis, reply, provider = found.diagnosis, found.reply, found.provider
    return {
        "understood": diagnosis is not None,
        "code": diagnosis and diagnosis.id,
        "title": diagnosis and diagnosis.title,
        "detail": diagnosis and diagnosis.meaning,
        "steps": list(diagnosis.steps) if diagnosis else [],
        "temporary": diagnosis and diagnosis.temporary,
        "side": diagnosis and diagnosis.side,
        "link": (diagnosis and diagnosis.link) or None,
        "stage": found.stage,
        "reply": reply and {"code": reply.code, "enhanced": reply.enhanced, "text": reply.text},
        "host": found.facts.get("host"),
        "port": found.facts.get("port"),
        "provider": provider and provider.id,
        "asks": list(found.asks),
    }


_FLAG = {"encryption": "starttls"}  # the API has two flags for this; only one can be named


def alarm(channel: AlarmChannel, secret: str | None = None) -> dict[str, Any]:
    """Return an alarm channel; ``secret`` signs its webhooks, and is only shown when it is new."""
    last = None
    if channel.last_at is not None:
        last = {
            "at": time(channel.last_at),
            "delivered": channel.last_delivered,
            "result": channel.last_result,
        }
    shown: dict[str, Any] = {
        "_id": channel.id,
        "idapp": channel.app_id,
        "kind": channel.kind,
        "label": channel.label,
        "target": channel.shown,
        "events": channel.events.split(),
        "quietfrom": _clock(channel.quiet_from),
        "quietuntil": _clock(channel.quiet_until),
        "timezone": channel.timezone,
        "status": "A" if channel.off_since is None else "D",
        "reason": channel.off_reason,
        "last": last,
        "created": time(channel.created),
        "modified": time(channel.modified),
    }
    if secret is not None:
        shown["secret"] = secret
    return shown


def _clock(minutes: int | None) -> str | None:
    return None if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}"


def app(row: App) -> dict[str, Any]:
    """Return the API representation of an app."""
    return {
        "_id": row.id,
        "iduser": row.user_id,
        **_members(row, fields.APP, {}),
        "created": time(row.created),
        "modified": time(row.modified),
        "status": "A",
    }


def page(content: list[dict[str, Any]], number: int, size: int, total: int) -> dict[str, Any]:
    """Return the page envelope of Spring Data, which the Java client expects."""
    pages = -(-total // size)
    sort = {"sorted": True, "unsorted": False, "empty": False}
    return {
        "content": content,
        "number": number,
        "size": size,
        "totalElements": total,
        "totalPages": pages,
        "numberOfElements": len(content),
        "first": number == 0,
        "last": number >= pages - 1,
        "empty": not content,
        "pageable": {
            "pageNumber": number,
            "pageSize": size,
            "offset": number * size,
            "paged": True,
            "unpaged": False,
            "sort": sort,
        },
        "sort": sort,
    }


def reply(body: object, status: int = 200, mimetype: str = "application/json") -> Response:
    """Return JSON as one line of ASCII: some clients show it raw, decoded in any charset."""
    return Response(json.dumps(body, separators=(",", ":")), status, mimetype=mimetype)


def time(moment: datetime) -> str:
    """Return UTC without an offset: the Java client parses a LocalDateTime, which has none."""
    # Plain SQLite rows have already been converted by UtcDateTime.
    text: str = moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
    return text


# --- reading a request ----------------------------------------------------------------------
