"""Return objects as the API shows them, under the member names of QUEUEMAIL.DEV."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from flask import Response

from ...database.models import AlarmChannel, App
from ...database.rows import AppRow
from ...providers.settings import Warning
from ...registry import fields

if TYPE_CHECKING:
    from ...mailcheck.explain.explanation import Explanation

T = TypeVar("T")


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
        "confidence": diagnosis and diagnosis.confidence,
        "alsoPossible": list(diagnosis.also_possible) if diagnosis else [],
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


def app(row: App | AppRow) -> dict[str, Any]:
    """Return the API representation of an app."""
    return {
        "_id": row.id,
        "iduser": row.user_id,
        **{field.shown_as or name: getattr(row, name) for name, field in fields.APP.items()},
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
    return Response(encode(body), status, mimetype=mimetype)


def encode(body: object) -> bytes:
    """Return JSON as one line of ASCII."""
    try:
        content = orjson.dumps(body)
    except orjson.JSONEncodeError:  # a lone surrogate, which JSON can only escape
        content = b"\x80"
    return content if content.isascii() else _escape_all.encode(body).encode()


_escape_all = json.JSONEncoder(separators=(",", ":"))


def time(moment: datetime) -> str:
    """Return UTC without an offset: the Java client parses a LocalDateTime, which has none."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00")  # UtcDateTime is UTC
